package consumers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"
	"pgregory.net/rapid"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

type guilty struct{}

func (guilty) Error() string    { return "bad row" }
func (guilty) RowRefused() bool { return true }

func testWorker() *worker {
	config := DefaultConfig()
	config.RetryMin, config.RetryMax = time.Microsecond, time.Microsecond
	return &worker{
		Consumers: &Consumers{Config: config, Metrics: NewMetrics(nil), Log: slog.New(slog.DiscardHandler), Clock: time.Now,
			inFlight: semaphore.NewWeighted(config.MaxBytesInFlight), waiting: map[string]int{}},
		tp: churn.TopicPartition{Topic: "deals"},
	}
}

func eventLane(insert func(token string, offsets []int64) error) *laneOf[churn.DealEvent] {
	return newLane(
		func(r *broker.Record, e *churn.DealEvent) *churn.Rejection {
			if string(r.Value) == "bad" {
				return &churn.Rejection{Code: churn.CodeMalformedJSON}
			}
			e.Stamp = stampOf(r, time.Time{})
			return nil
		},
		func(_ context.Context, token string, events []churn.DealEvent) error {
			offsets := make([]int64, len(events))
			for i := range events {
				offsets[i] = events[i].Offset
			}
			return insert(token, offsets)
		},
		func(e *churn.DealEvent) *churn.Stamp { return &e.Stamp },
	)
}

// Whatever rows the store refuses, and however often it is away between, exactly those rows are refused and every other one is
// stored once.
func TestBisectingFindsExactlyTheGuilty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "rows")
		bad := map[int64]bool{}
		for _, offset := range rapid.SliceOfDistinct(rapid.Int64Range(0, int64(n)-1), func(o int64) int64 { return o }).Draw(t, "guilty") {
			bad[offset] = true
		}
		away := rapid.SliceOfN(rapid.Bool(), 0, 20).Draw(t, "away")
		var stored []int64
		tokens := map[string]bool{}
		lane := eventLane(func(token string, offsets []int64) error {
			if len(away) > 0 {
				gone := away[0]
				away = away[1:]
				if gone {
					return errors.New("connection refused")
				}
			}
			if tokens[token] {
				t.Fatalf("token %s is used for two inserts", token)
			}
			for _, o := range offsets {
				if bad[o] {
					return fmt.Errorf("inserting: %w", guilty{})
				}
			}
			tokens[token] = true
			stored = append(stored, offsets...)
			return nil
		})
		c := lane.open()
		for o := range n {
			lane.add(c, &broker.Record{Position: churn.Position{Offset: int64(o)}, Key: fmt.Append(nil, o), Value: fmt.Append(nil, "v", o)})
		}
		refused, err := lane.store(context.Background(), context.Background(), testWorker(), c.events, c.origins)
		if err != nil {
			t.Fatal(err)
		}
		if len(refused) != len(bad) || len(stored)+len(refused) != n {
			t.Fatalf("stored %v, refused %d of %d guilty", stored, len(refused), len(bad))
		}
		for _, r := range refused {
			if !bad[r.record.Offset] || string(r.record.Key) != fmt.Sprint(r.record.Offset) || string(r.record.Value) != fmt.Sprint("v", r.record.Offset) {
				t.Fatalf("refused %+v", r.record)
			}
		}
		if !slices.IsSorted(stored) {
			t.Fatalf("stored out of order: %v", stored)
		}
	})
}

func TestStampsAreOfTheAttemptThatStored(t *testing.T) {
	w := testWorker()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w.Clock = func() time.Time { now = now.Add(time.Minute); return now }
	history := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	var seen [][]time.Time
	lane := eventLane(nil)
	lane.insert = func(_ context.Context, _ string, events []churn.DealEvent) error {
		var stamps []time.Time
		for _, e := range events {
			stamps = append(stamps, e.KnownAt)
		}
		if seen = append(seen, stamps); len(seen) < 3 {
			return errors.New("away")
		}
		return nil
	}
	event := lane.event
	lane.event = func(r *broker.Record, e *churn.DealEvent) *churn.Rejection {
		why := event(r, e)
		if r.Offset == 1 {
			e.KnownAt = history
		}
		return why
	}
	c := lane.open()
	for o := range 3 {
		lane.add(c, &broker.Record{Position: churn.Position{Offset: int64(o)}})
	}
	if _, err := lane.store(context.Background(), context.Background(), w, c.events, c.origins); err != nil {
		t.Fatal(err)
	}
	for i, stamps := range seen {
		want := time.Date(2026, 1, 1, 0, i+1, 0, 0, time.UTC)
		if !stamps[0].Equal(want) || !stamps[1].Equal(history) || !stamps[2].Equal(want) {
			t.Errorf("attempt %d: %v", i, stamps)
		}
	}
}

func TestATokenNamesPlaceAndContent(t *testing.T) {
	lane := eventLane(nil)
	name := func(value string, offsets ...int64) string {
		c := lane.open()
		for _, o := range offsets {
			lane.add(c, &broker.Record{Position: churn.Position{Offset: o}, Value: []byte(value)})
		}
		return token(churn.TopicPartition{Topic: "deals", Partition: 2}, c.events, lane.stamp)
	}
	if got := name("a", 5, 6, 9); !strings.HasPrefix(got, "deals/2/5-9/") || got != name("a", 5, 6, 9) {
		t.Errorf("token %s", got)
	}
	if name("a", 5, 6) == name("b", 5, 6) || name("a", 5, 6) == name("a", 5, 7) {
		t.Error("other rows have the same token")
	}
}

// Whatever the sizes and the limits, chunks cover every record in order, keep within the limits, and give all memory back.
func TestChunksCoverEverythingWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := testWorker()
		w.Config.ChunkRows = rapid.IntRange(1, 20).Draw(t, "rows")
		w.Config.ChunkBytes = rapid.IntRange(1, 4<<20).Draw(t, "bytes")
		w.Config.MaxBytesInFlight = rapid.Int64Range(4*reserveStep, 8*reserveStep).Draw(t, "in flight")
		w.inFlight = semaphore.NewWeighted(w.Config.MaxBytesInFlight)
		sizes := rapid.SliceOfN(rapid.IntRange(0, 10<<20), 0, 30).Draw(t, "sizes")
		lane := eventLane(nil)
		chunks := make(chan *chunk[churn.DealEvent])
		f := &fetching[churn.DealEvent]{lane: lane, worker: w, chunks: chunks, current: lane.open()}
		done := make(chan int64)
		go func() {
			next := int64(0)
			for c := range chunks {
				if c.rows() > w.Config.ChunkRows || c.next != next+int64(c.rows()) || c.rows() == 0 {
					panic(fmt.Sprintf("a chunk of %d rows up to %d after %d", c.rows(), c.next, next))
				}
				if c.reserved > w.Config.MaxBytesInFlight {
					panic(fmt.Sprintf("%d bytes reserved", c.reserved))
				}
				next = c.next
				lane.release(w, c)
			}
			done <- next
		}()
		value := make([]byte, 10<<20)
		for o, size := range sizes {
			record := &broker.Record{Position: churn.Position{Offset: int64(o)}, Value: value[:size]}
			if size%5 == 0 {
				record.Value = []byte("bad")
			}
			if err := f.take(context.Background(), record); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.handOverIfAny(context.Background()); err != nil {
			t.Fatal(err)
		}
		close(chunks)
		if next := <-done; next != int64(len(sizes)) {
			t.Fatalf("chunks end at %d of %d", next, len(sizes))
		}
		lane.release(w, f.current)
		if !w.inFlight.TryAcquire(w.Config.MaxBytesInFlight) {
			t.Fatal("memory was not given back")
		}
	})
}

func TestConfigReportsEverythingAtOnce(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	err := Config{Group: "g", ControlGroup: "g"}.Validate()
	for _, want := range []string{"control_group", "chunk_rows", "chunk_bytes", "chunk_wait", "max_bytes_in_flight", "fetch_min_bytes",
		"session_timeout", "drain_timeout", "retry_min", "insert_timeout", "commit_timeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing from %v", want, err)
		}
	}
}
