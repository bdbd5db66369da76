package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/simulate"
)

// seqHeader numbers every record that is produced.
const seqHeader = "chaos-seq"

// fact is what is known of one record before it is produced.
type fact struct {
	event  string
	broken churn.Code // why it must be a dead letter; empty: it must be accepted
	hash   [8]byte    // of its value
}

// ledger is the truth: every record, by its number.
type ledger struct {
	mu    sync.Mutex
	facts []fact
	acked atomic.Int64
}

func (l *ledger) add(r simulate.Record) (seq int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.facts = append(l.facts, fact{r.EventID, r.Broken, hashOf(r.Value)})
	return len(l.facts) - 1
}

func (l *ledger) all() []fact {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.facts
}

func hashOf(value []byte) (h [8]byte) {
	whole := sha256.Sum256(value)
	copy(h[:], whole[:])
	return h
}

// clients are as many as give so many records within half a year that ends now; many records are late, repeated, corrected or broken.
func clients(seed uint64, records int) (iter.Seq[simulate.Record], error) {
	c := simulate.DefaultConfig()
	c.Seed = seed
	c.To = time.Now().Add(-time.Minute)
	c.From = c.To.Add(-180 * 24 * time.Hour)
	c.TicketRate, c.AttemptRate = 60, 2
	c.LateShare, c.DuplicateShare, c.CorrectedShare, c.BrokenShare = 0.1, 0.05, 0.05, 0.02
	c.Accounts = max(records/10, 20) // they give some more than twenty each: the pace goes on where the faults take longer
	s, err := simulate.New(c)
	if err != nil {
		return nil, err
	}
	return s.Records(), nil
}

// production is producing under way.
type production struct {
	stop context.CancelFunc
	done chan struct{}
	err  error // set before done closes
}

// wait waits until everything is produced and acknowledged.
func (p *production) wait() error {
	<-p.done
	return p.err
}

// produce writes records at the pace of so many within so long, until stop is called. What was
// handed to the broker is acknowledged in any case: a record that is not is an error.
func (h *house) produce(ctx context.Context, seed uint64, records int, within time.Duration) (*production, error) {
	world, err := clients(seed, records)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(h.kafkaAddr), kgo.ProducerBatchMaxBytes(4<<20), kgo.ProducerLinger(5*time.Millisecond),
		kgo.MaxBufferedRecords(20_000))
	if err != nil {
		return nil, fmt.Errorf("making the producer: %w", err)
	}
	pacing, stop := context.WithCancel(ctx)
	p := &production{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer client.Close()
		var failed error
		var once sync.Once
		began, n := time.Now(), 0
		for r := range world {
			due := began.Add(time.Duration(float64(within) * float64(n) / float64(records)))
			if wait := time.Until(due); wait > 0 {
				sleep(pacing, wait)
			}
			if pacing.Err() != nil {
				break
			}
			topic := h.topics.Tickets
			if r.Kind == simulate.Deal {
				topic = h.topics.Deals
			}
			seq := h.truth.add(r)
			client.Produce(ctx, &kgo.Record{
				Topic: topic, Key: []byte(r.Key), Value: r.Value,
				Headers: []kgo.RecordHeader{{Key: seqHeader, Value: []byte(strconv.Itoa(seq))}},
			}, func(_ *kgo.Record, err error) {
				if err != nil {
					once.Do(func() { failed = fmt.Errorf("producing record %d: %w", seq, err) })
					return
				}
				h.truth.acked.Add(1)
			})
			n++
		}
		p.err = errors.Join(client.Flush(ctx), failed)
	}()
	return p, nil
}

// read reads a topic from its beginning to its present end, with another client library than the pipeline's.
func (h *house) read(ctx context.Context, topic string, each func(*kgo.Record)) error {
	ranges, err := h.direct.Ranges(ctx, topic)
	if err != nil {
		return fmt.Errorf("reading %s: %w", topic, err)
	}
	offsets, left := map[int32]kgo.Offset{}, map[int32]int64{}
	for tp, held := range ranges {
		if held.End > held.Start {
			offsets[int32(tp.Partition)], left[int32(tp.Partition)] = kgo.NewOffset().AtStart(), held.End
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(h.kafkaAddr), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}))
	if err != nil {
		return fmt.Errorf("reading %s: %w", topic, err)
	}
	defer client.Close()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("reading %s: %w", topic, ctx.Err())
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset < left[r.Partition] {
				each(r)
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return nil
}
