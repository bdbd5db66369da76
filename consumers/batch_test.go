package consumers

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"
	"pgregory.net/rapid"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

func testConsumers() *Consumers {
	config := DefaultConfig()
	config.RetryMin, config.RetryMax = time.Microsecond, time.Microsecond
	return &Consumers{Config: config, Metrics: NewMetrics(nil), Log: slog.New(slog.DiscardHandler), Clock: time.Now, Wall: time.Now,
		inFlight: semaphore.NewWeighted(config.MaxBytesInFlight), waiting: map[string]int{}}
}

// share is that of a generation that has the topic's three partitions.
var share = generation{partitions: 3}

// kept is a batch that keeps the events.
type kept struct{ events []churn.DealEvent }

func (k *kept) Add(e *churn.DealEvent) { k.events = append(k.events, *e) }
func (k *kept) Len() int               { return len(k.events) }
func (k *kept) Payload(i int) []byte   { return k.events[i].Payload }
func (k *kept) Reset()                 { k.events = nil }

func eventLane(c *Consumers, insert func(token string, known time.Time, positions []churn.Position) error) *laneOf[churn.DealEvent] {
	return newTopic("deals", "deals",
		func(r *broker.Record, e *churn.DealEvent) *churn.Rejection {
			if string(r.Value) == "bad" {
				return &churn.Rejection{Code: churn.CodeMalformedJSON}
			}
			_, known, why := broker.ReadHeaders(r.Headers)
			e.Stamp = stampOf(r, known)
			return why
		}, (*churn.DealEvent).Key, func(e *churn.DealEvent) *churn.Stamp { return &e.Stamp }, table[churn.DealEvent]{
			open: func(Store) churn.Batch[churn.DealEvent] { return &kept{} },
			insert: func(_ Store, _ context.Context, token string, known time.Time, batches []churn.Batch[churn.DealEvent]) error {
				var positions []churn.Position
				for _, b := range batches {
					for _, e := range b.(*kept).events {
						positions = append(positions, e.Position)
					}
				}
				return insert(token, known, positions)
			},
		}).open(c).(*laneOf[churn.DealEvent])
}

// A header may say that a fact became known in the past; one that is ahead of our clock would hide the fact until then.
func TestAFactIsNotKnownAheadOfTheClock(t *testing.T) {
	c, registry := testConsumers(), prometheus.NewRegistry()
	c.Metrics = NewMetrics(registry, "deals")
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	c.Wall = func() time.Time { return now }
	c.Clock = func() time.Time { return now.AddDate(-8, 0, 0) } // simulated: no measure of what sources may say
	lane := eventLane(c, nil)
	p := lane.piece(churn.TopicPartition{Topic: "deals"})
	for offset, ahead := range []time.Duration{-8766 * time.Hour, 0, 5 * time.Minute, 5*time.Minute + time.Millisecond, 8766 * time.Hour} {
		p.decode(&broker.Record{Position: churn.Position{Offset: int64(offset)}, Value: []byte("x"), Headers: []broker.Header{broker.KnownAt(now.Add(ahead))}})
	}
	p.decode(&broker.Record{Position: churn.Position{Offset: 5}, Value: []byte("x")})
	for i, e := range p.events.(*kept).events {
		var known, claimed time.Time
		switch i {
		case 0:
			known = now.Add(-8766 * time.Hour)
		case 1:
			known = now
		case 2:
			known = now.Add(5 * time.Minute)
		case 3:
			claimed = now.Add(5*time.Minute + time.Millisecond)
		case 4:
			claimed = now.Add(8766 * time.Hour)
		}
		if !e.KnownAt.Equal(known) || !e.Claimed.Equal(claimed) {
			t.Errorf("%d: known at %s, claimed %s", i, e.KnownAt, e.Claimed)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "aftershock_consumer_known_ahead_total" && f.GetMetric()[0].GetCounter().GetValue() == 2 {
			return
		}
	}
	t.Error("two are not counted")
}

func TestATokenNamesPlaceAndContent(t *testing.T) {
	lane := eventLane(testConsumers(), nil)
	name := func(partition int, value string, offsets ...int64) string {
		p := lane.piece(churn.TopicPartition{Topic: "deals", Partition: partition})
		for _, o := range offsets {
			p.decode(&broker.Record{Position: churn.Position{Offset: o}, Value: []byte(value)})
		}
		return token([]*piece[churn.DealEvent]{p})
	}
	if got := name(2, "a", 5, 6, 9); !strings.HasPrefix(got, "deals/") || got != name(2, "a", 5, 6, 9) {
		t.Errorf("token %s", got)
	}
	names := map[string]bool{}
	for _, n := range []string{name(2, "a", 5, 6), name(2, "b", 5, 6), name(2, "a", 5, 7), name(3, "a", 5, 6), name(2, "a", 5, 6, 6), name(2, "a", 4, 6)} {
		if names[n] {
			t.Error("other rows have the same token")
		}
		names[n] = true
	}
}

// Whatever the sizes and the limits, batches cover every record of each partition in order, keep within the limits, and give all
// memory back.
func TestBatchesCoverEverythingWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := testConsumers()
		c.Config.ChunkRows = rapid.IntRange(1, 20).Draw(t, "rows")
		c.Config.ChunkBytes = rapid.IntRange(1, 4<<20).Draw(t, "bytes")
		c.Config.ChunkWait = time.Millisecond
		c.Config.MaxBytesInFlight = rapid.Int64Range(4*reserveStep, 8*reserveStep).Draw(t, "in flight")
		c.inFlight = semaphore.NewWeighted(c.Config.MaxBytesInFlight)
		sizes := make([][]int, rapid.IntRange(1, 4).Draw(t, "partitions"))
		for i := range sizes {
			sizes[i] = rapid.SliceOfN(rapid.IntRange(0, 10<<20), 0, 12).Draw(t, "sizes")
		}
		deals := eventLane(c, nil)
		c.lanes = map[string]lane{"deals": deals}
		live, cancel := context.WithCancel(context.Background())
		defer cancel()
		pieces, batches := make(chan *piece[churn.DealEvent]), make(chan *batch[churn.DealEvent])
		var reading, gathering sync.WaitGroup
		gathering.Go(func() { _ = deals.gather(live, pieces, batches) })
		value := make([]byte, 10<<20)
		left := 0
		for i := range sizes {
			left += len(sizes[i])
			reading.Go(func() {
				tp := churn.TopicPartition{Topic: "deals", Partition: i}
				p := &partition[churn.DealEvent]{lane: deals, tp: tp, pieces: pieces, current: deals.piece(tp)}
				defer func() { deals.release(p.current) }()
				for o, size := range sizes[i] {
					record := &broker.Record{Position: churn.Position{Topic: "deals", Partition: i, Offset: int64(o)}, Value: value[:size]}
					if size%5 == 0 {
						record.Value = []byte("bad")
					}
					if err := p.add(live, record); err != nil {
						panic(err)
					}
				}
				if err := p.handOverIfAny(live); err != nil {
					panic(err)
				}
			})
		}
		next := map[int]int64{}
		for left > 0 {
			b := <-batches
			if b.rows == 0 || b.rows > c.Config.ChunkRows {
				t.Fatalf("a batch of %d rows, where %d are the most", b.rows, c.Config.ChunkRows)
			}
			for _, p := range b.pieces {
				if p.next != next[p.tp.Partition]+int64(p.rows()) {
					t.Fatalf("a piece of %d rows of partition %d up to %d after %d", p.rows(), p.tp.Partition, p.next, next[p.tp.Partition])
				}
				next[p.tp.Partition] = p.next
			}
			for partition, end := range b.next {
				if end != next[partition] {
					t.Fatalf("partition %d would be committed to %d, though the batch ends at %d", partition, end, next[partition])
				}
			}
			left -= b.rows
			deals.releaseAll(b.pieces)
		}
		reading.Wait()
		cancel()
		gathering.Wait()
		if !c.inFlight.TryAcquire(c.Config.MaxBytesInFlight) {
			t.Fatal("memory was not given back")
		}
	})
}
