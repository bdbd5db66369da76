package consumers

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

// lane is what one topic needs done with its partitions.
type lane interface {
	// run consumes the partitions until the context ends or their generation is refused.
	run(ctx context.Context, w *worker, partitions []*partition)
	// hurry asks for what is gathered to be stored now: memory is short.
	hurry()
}

// laneOf is the lane of one type of event. Its partitions are fetched and decoded side by side; their pieces are gathered into
// chunks, and a chunk is stored and committed while the next is gathered:
//
//	fetch, fetch, ... -> pieces -> gather -> chunks -> settleAll
type laneOf[E any] struct {
	event  func(*broker.Record, *E) *churn.Rejection
	stamp  func(*E) *churn.Stamp
	open   func() churn.Batch[E]
	insert func(ctx context.Context, token string, known time.Time, blocks []churn.Batch[E]) error
	spare  sync.Pool // of emptied pieces, for their memory
	short  chan struct{}
}

func newLane[E any](event func(*broker.Record, *E) *churn.Rejection, stamp func(*E) *churn.Stamp, open func() churn.Batch[E],
	insert func(context.Context, string, time.Time, []churn.Batch[E]) error) *laneOf[E] {
	return &laneOf[E]{event: event, stamp: stamp, open: open, insert: insert, short: make(chan struct{}, 1)}
}

func (l *laneOf[E]) run(ctx context.Context, w *worker, partitions []*partition) {
	group, live := errgroup.WithContext(ctx)
	pieces, chunks := make(chan *piece[E]), make(chan *chunk[E])
	for _, p := range partitions {
		defer w.Metrics.forget(p.tp)
		group.Go(func() error { return l.fetch(live, p, pieces) })
	}
	group.Go(func() error { return l.gather(live, w, pieces, chunks) })
	group.Go(func() error { return l.settleAll(live, w, chunks) })
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		w.Log.Warn("giving the partitions up; the group assigns them anew", "topic", w.topic, "error", err)
	}
}

func (l *laneOf[E]) hurry() {
	select {
	case l.short <- struct{}{}:
	default: // it has been asked for
	}
}

// gather joins pieces to chunks, and hands a chunk over when it is full or due or memory is short.
func (l *laneOf[E]) gather(live context.Context, w *worker, pieces <-chan *piece[E], chunks chan<- *chunk[E]) error {
	c := &chunk[E]{}
	defer func() { l.releaseAll(w, c.pieces) }()
	var due <-chan time.Time
	handOver := func() error {
		if c.empty() {
			return nil
		}
		select {
		case chunks <- c:
			c, due = &chunk[E]{}, nil
			return nil
		case <-live.Done():
			return live.Err()
		}
	}
	for {
		var err error
		select {
		case <-live.Done():
			err = live.Err()
		case <-due:
			err = handOver()
		case <-l.short:
			err = handOver()
		case p := <-pieces:
			if !c.holds(p, &w.Config) {
				if err := handOver(); err != nil {
					l.release(w, p)
					return err
				}
			}
			c.take(p)
			if due == nil {
				due = time.After(w.Config.ChunkWait - time.Since(c.opened))
			}
			if c.full(&w.Config) {
				err = handOver()
			}
		}
		if err != nil {
			return err
		}
	}
}

// fetching is the state of one fetch loop.
type fetching[E any] struct {
	lane      *laneOf[E]
	partition *partition
	pieces    chan<- *piece[E]
	current   *piece[E]
}

// fetch reads the partition from its start and hands over pieces; it returns when live ends.
func (l *laneOf[E]) fetch(live context.Context, p *partition, pieces chan<- *piece[E]) error {
	reader := p.Kafka.Reader(p.tp, broker.FetchLimits{MinBytes: p.Config.FetchMinBytes, MaxWait: p.Config.FetchMaxWait, MaxBytes: p.Config.FetchMaxBytes})
	defer reader.Close()
	f := &fetching[E]{lane: l, partition: p, pieces: pieces, current: l.piece(p.tp)}
	defer func() { l.release(p.worker, f.current) }()

	var position int64 = -1
	outOfRange := 0
	failing, pause := false, p.pause()
	for live.Err() == nil {
		err := func() (err error) {
			if position < 0 {
				if position, err = p.startAt(live); err != nil {
					position = -1
					return err
				}
			}
			position, err = f.step(live, reader, position)
			return err
		}()
		if errors.Is(err, kafka.OffsetOutOfRange) {
			outOfRange++
			if position, err = p.outOfRange(live, position, outOfRange); err == nil {
				// A piece is consecutive: what was read before the jump goes off on its own.
				err = f.handOverIfAny(live)
			}
		}
		switch {
		case live.Err() != nil:
		case err == nil:
			outOfRange = 0
			if failing {
				failing = false
				p.addWaiting(waitBroker, -1)
			}
			continue
		case !failing:
			failing, pause = true, p.pause()
			p.addWaiting(waitBroker, +1)
			p.Log.Warn("reading the partition; trying again", "partition", p.tp.String(), "error", err)
			fallthrough
		default:
			// What was read before the broker went away need not wait for its return.
			if err := f.handOverWhenDue(live); err == nil {
				_ = pause.Wait(live)
			}
		}
	}
	if failing {
		p.addWaiting(waitBroker, -1)
	}
	return live.Err()
}

// step does one fetch and returns the position behind what it took.
func (f *fetching[E]) step(live context.Context, reader *broker.PartitionReader, position int64) (int64, error) {
	wait := max(f.current.due(&f.partition.Config, time.Now()), time.Millisecond)
	fetched, err := reader.Fetch(live, position, wait)
	if err != nil {
		return position, err
	}
	for record, bad := range fetched.Records() {
		if err = bad; err == nil {
			err = f.take(live, record)
		}
		if err != nil {
			break
		}
	}
	if fetched.Next > position {
		f.current.cover(fetched.Next)
	}
	f.partition.Metrics.partitionLag(f.partition.tp).Set(float64(max(fetched.End-fetched.Next, 0)))
	if err != nil {
		return fetched.Next, err
	}
	return fetched.Next, f.handOverWhenDue(live)
}

// take puts one record into the current piece, and hands the piece over when it is full or memory is short.
func (f *fetching[E]) take(live context.Context, record *broker.Record) error {
	bytes := weigh(record)
	if err := f.reserve(live, int64(bytes)+eventOverhead); err != nil {
		return err
	}
	f.lane.add(f.current, record)
	f.current.bytes += bytes
	if f.current.full(&f.partition.Config) {
		return f.handOver(live)
	}
	return nil
}

// add decodes a record into the piece.
func (l *laneOf[E]) add(p *piece[E], record *broker.Record) {
	if p.opened.IsZero() {
		p.opened = time.Now()
	}
	p.next = record.Offset + 1
	var none E
	p.event = none
	if why := l.event(record, &p.event); why != nil {
		p.refuse(record, *why)
		return
	}
	p.block.Add(&p.event)
	p.digest.Write(l.stamp(&p.event).Hash[:])
	p.keep(record)
}

// reserve takes room for a record from the bound on bytes in flight. Where there is none, what is gathered goes off as it is, for
// only storing makes room; a fetch loop that holds nothing waits for the others.
func (f *fetching[E]) reserve(live context.Context, weight int64) error {
	for {
		c, w := f.current, f.partition.worker
		need := c.weight + weight - c.reserved
		if need <= 0 {
			c.weight += weight
			return nil
		}
		// One record heavier than the bound takes all of it.
		step := min(max(need, reserveStep), w.Config.MaxBytesInFlight-c.reserved)
		switch {
		case step > 0 && w.inFlight.TryAcquire(step):
		case c.rows() > 0:
			if err := f.handOver(live); err != nil {
				return err
			}
			w.hurry()
			continue
		case step <= 0:
			c.weight += weight
			return nil
		default:
			w.hurry()
			if err := w.inFlight.Acquire(live, step); err != nil {
				return err
			}
		}
		c.reserved += step
		w.Metrics.inFlight.Add(float64(step))
	}
}

func (f *fetching[E]) handOverWhenDue(live context.Context) error {
	if f.current.due(&f.partition.Config, time.Now()) > 0 {
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
	case f.pieces <- f.current:
		f.current = f.lane.piece(f.partition.tp)
		return nil
	case <-live.Done():
		return live.Err()
	}
}

// piece opens an empty piece.
func (l *laneOf[E]) piece(tp churn.TopicPartition) *piece[E] {
	p, _ := l.spare.Get().(*piece[E])
	if p == nil {
		p = &piece[E]{block: l.open(), digest: sha256.New()}
	}
	p.tp = tp
	return p
}

// release gives the piece's memory back.
func (l *laneOf[E]) release(w *worker, p *piece[E]) {
	if p.reserved > 0 {
		w.inFlight.Release(p.reserved)
		w.Metrics.inFlight.Add(-float64(p.reserved))
	}
	p.block.Reset()
	p.digest.Reset()
	*p = piece[E]{block: p.block, digest: p.digest, origins: p.origins[:0], keys: p.keys[:0]}
	l.spare.Put(p)
}

func (l *laneOf[E]) releaseAll(w *worker, pieces []*piece[E]) {
	for _, p := range pieces {
		l.release(w, p)
	}
}
