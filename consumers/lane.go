package consumers

import (
	"context"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

// lane is what one topic needs done with its partitions.
type lane interface {
	// run consumes the partition until the context ends or its generation is refused.
	run(ctx context.Context, w *worker)
}

// laneOf is the lane of one type of event. Fetching and decoding of the next chunk overlaps with the storing of the previous.
type laneOf[E any] struct {
	event  func(*broker.Record, *E) *churn.Rejection
	insert func(ctx context.Context, token string, events []E) error
	stamp  func(*E) *churn.Stamp
	spare  chan *chunk[E] // for their slices, so that these grow once
}

// spareChunks is how many emptied chunks a lane keeps, whose slices may take some ten megabytes each.
const spareChunks = 2

func newLane[E any](event func(*broker.Record, *E) *churn.Rejection, insert func(context.Context, string, []E) error,
	stamp func(*E) *churn.Stamp) *laneOf[E] {
	return &laneOf[E]{event: event, insert: insert, stamp: stamp, spare: make(chan *chunk[E], spareChunks)}
}

func (l *laneOf[E]) run(ctx context.Context, w *worker) {
	defer w.Metrics.forget(w.tp)
	group, live := errgroup.WithContext(ctx)
	chunks := make(chan *chunk[E])
	group.Go(func() error { return l.fetch(live, w, chunks) })
	group.Go(func() error { return l.settleAll(live, w, chunks) })
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		w.Log.Warn("giving the partition up; the group assigns it anew", "partition", w.tp.String(), "error", err)
	}
}

// fetching is the state of one fetch loop.
type fetching[E any] struct {
	lane    *laneOf[E]
	worker  *worker
	chunks  chan<- *chunk[E]
	current *chunk[E]
}

// fetch reads the partition from its start and hands over chunks; it returns when live ends.
func (l *laneOf[E]) fetch(live context.Context, w *worker, chunks chan<- *chunk[E]) error {
	reader := w.Kafka.Reader(w.tp, broker.FetchLimits{MinBytes: w.Config.FetchMinBytes, MaxWait: w.Config.FetchMaxWait, MaxBytes: w.Config.FetchMaxBytes})
	defer reader.Close()
	f := &fetching[E]{lane: l, worker: w, chunks: chunks, current: l.open()}
	defer func() { l.release(w, f.current) }()

	var position int64 = -1
	outOfRange := 0
	var failing *backoff
	for live.Err() == nil {
		err := func() (err error) {
			if position < 0 {
				if position, err = w.startAt(live); err != nil {
					position = -1
					return err
				}
			}
			position, err = f.step(live, reader, position)
			return err
		}()
		if errors.Is(err, kafka.OffsetOutOfRange) {
			outOfRange++
			if position, err = w.outOfRange(live, position, outOfRange); err == nil {
				// A chunk is consecutive: what was read before the jump goes off on its own.
				err = f.handOverIfAny(live)
			}
		}
		switch {
		case live.Err() != nil:
		case err == nil:
			outOfRange = 0
			if failing != nil {
				failing = nil
				w.addWaiting(waitBroker, -1)
			}
			continue
		case failing == nil:
			failing = w.pause()
			w.addWaiting(waitBroker, +1)
			w.Log.Warn("reading the partition; trying again", "partition", w.tp.String(), "error", err)
			fallthrough
		default:
			// What was read before the broker went away need not wait for its return.
			if err := f.handOverWhenDue(live); err == nil {
				failing.wait(live)
			}
		}
	}
	if failing != nil {
		w.addWaiting(waitBroker, -1)
	}
	return live.Err()
}

// step does one fetch and returns the position behind what it took.
func (f *fetching[E]) step(live context.Context, reader *broker.PartitionReader, position int64) (int64, error) {
	wait := max(f.current.due(&f.worker.Config, time.Now()), time.Millisecond)
	fetched, err := reader.Fetch(live, position, wait)
	if err != nil {
		return position, err
	}
	err = fetched.Each(func(record *broker.Record) error { return f.take(live, record) })
	if fetched.Next > position {
		f.current.cover(fetched.Next)
	}
	f.worker.Metrics.partitionLag(f.worker.tp).Set(float64(max(fetched.End-fetched.Next, 0)))
	if err != nil {
		return fetched.Next, err
	}
	return fetched.Next, f.handOverWhenDue(live)
}

// cover moves the chunk's end over offsets that hold nothing for us, so that they are committed too.
func (c *chunk[E]) cover(next int64) {
	if next > c.next {
		c.next = next
		if c.opened.IsZero() {
			c.opened = time.Now()
		}
	}
}

// take puts one record into the current chunk, and hands the chunk over when it is full or memory is short.
func (f *fetching[E]) take(live context.Context, record *broker.Record) error {
	bytes := weigh(record)
	if err := f.reserve(live, int64(bytes)+eventOverhead); err != nil {
		return err
	}
	f.lane.add(f.current, record)
	f.current.bytes += bytes
	if f.current.full(&f.worker.Config) {
		return f.handOver(live)
	}
	return nil
}

func (l *laneOf[E]) add(c *chunk[E], record *broker.Record) {
	if c.opened.IsZero() {
		c.opened = time.Now()
	}
	c.next = record.Offset + 1
	n := len(c.events)
	var none E
	c.events = append(c.events, none)
	if why := l.event(record, &c.events[n]); why != nil {
		c.events[n] = none
		c.events = c.events[:n]
		c.refused = append(c.refused, refusal{*record, *why})
		return
	}
	dated := !l.stamp(&c.events[n]).KnownAt.IsZero()
	c.origins = append(c.origins, origin{record.Key, record.Headers, dated})
}

// reserve takes room for a record from the bound on bytes in flight. Where there is none, the current chunk goes off as it is, for
// only storing makes room; a fetch loop that holds nothing waits for the others.
func (f *fetching[E]) reserve(live context.Context, weight int64) error {
	for {
		c := f.current
		need := c.weight + weight - c.reserved
		if need <= 0 {
			c.weight += weight
			return nil
		}
		// One record heavier than the bound takes all of it.
		step := min(max(need, reserveStep), f.worker.Config.MaxBytesInFlight-c.reserved)
		switch {
		case step > 0 && f.worker.inFlight.TryAcquire(step):
		case c.rows() > 0:
			if err := f.handOver(live); err != nil {
				return err
			}
			continue
		case step <= 0:
			c.weight += weight
			return nil
		default:
			if err := f.worker.inFlight.Acquire(live, step); err != nil {
				return err
			}
		}
		c.reserved += step
		f.worker.Metrics.inFlight.Add(float64(step))
	}
}

func (f *fetching[E]) handOverWhenDue(live context.Context) error {
	if f.current.due(&f.worker.Config, time.Now()) > 0 {
		return nil
	}
	return f.handOverIfAny(live)
}

func (f *fetching[E]) handOverIfAny(live context.Context) error {
	if f.current.empty() {
		return nil
	}
	return f.handOver(live)
}

func (f *fetching[E]) handOver(live context.Context) error {
	select {
	case f.chunks <- f.current:
		f.current = f.lane.open()
		return nil
	case <-live.Done():
		return live.Err()
	}
}

func (l *laneOf[E]) open() *chunk[E] {
	select {
	case c := <-l.spare:
		return c
	default:
		return &chunk[E]{}
	}
}

// release gives the chunk's memory back.
func (l *laneOf[E]) release(w *worker, c *chunk[E]) {
	if c.reserved > 0 {
		w.inFlight.Release(c.reserved)
		w.Metrics.inFlight.Add(-float64(c.reserved))
	}
	clear(c.events)
	clear(c.origins)
	*c = chunk[E]{events: c.events[:0], origins: c.origins[:0]}
	select {
	case l.spare <- c:
	default:
	}
}
