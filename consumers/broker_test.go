package consumers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

type refusedRow struct{}

func (refusedRow) Error() string    { return "the store refuses the row" }
func (refusedRow) RowRefused() bool { return true }

func TestRecordsAreStoredThenCommitted(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		store := newMemory()
		var messages []kafka.Message
		for i := range 20 {
			messages = append(messages,
				kafka.Message{Topic: conn.Topics().Deals, Partition: i % 2, Key: []byte("acme"), Value: deal(fmt.Sprint("d", i))},
				kafka.Message{Topic: conn.Topics().Tickets, Partition: i % 2, Key: []byte("acme"), Value: ticket(fmt.Sprint("t", i))})
		}
		produce(t, conn, messages...)
		c := newConsumers(t, conn, store)
		if err := c.RunUntilIdle(within(t)); err != nil {
			t.Fatal(err)
		}
		if len(store.deals) != 20 || len(store.tickets) != 20 || len(store.rejected) != 0 {
			t.Fatalf("stored %d deals, %d tickets, %d rejected; want 20, 20, 0", len(store.deals), len(store.tickets), len(store.rejected))
		}
		for where, e := range store.deals {
			if !e.KnownAt.Equal(knownAt) || e.Hardness.ModelVersion != "test" || string(e.Payload) != string(deal(e.EventID)) || e.Time.IsZero() {
				t.Errorf("%s: known at %s, model %q, payload %s", where, e.KnownAt, e.Hardness.ModelVersion, e.Payload)
			}
		}
		progress, err := c.Positions().Now(within(t))
		if err != nil {
			t.Fatal(err)
		}
		for tp, end := range progress.Ends {
			if n := end - progress.Committed[tp]; n != 0 {
				t.Errorf("%s lags by %d", tp, n)
			}
		}
		// A second run finds nothing to do.
		if err := newConsumers(t, conn, store).RunUntilIdle(within(t)); err != nil {
			t.Fatal(err)
		}
		if store.repeats != 0 {
			t.Errorf("%d batches were stored again", store.repeats)
		}
	})
}

func TestBadRecordsBecomeDeadLetters(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		store := newMemory()
		topics := conn.Topics()
		produce(t, conn,
			kafka.Message{Topic: topics.Deals, Key: []byte("k0"), Value: deal("good")},
			kafka.Message{Topic: topics.Deals, Key: []byte("k1"), Value: []byte(`{"event_id":`), Headers: []kafka.Header{{Key: "trace", Value: []byte("7")}}},
			kafka.Message{Topic: topics.Deals, Key: []byte("k2"), Value: deal("late"), Headers: []kafka.Header{{Key: "aftershock-known-at", Value: []byte("soon")}}},
			kafka.Message{Topic: topics.Deals, Key: []byte("k3")},
			kafka.Message{Topic: topics.Deals, Key: []byte("k4"), Value: deal("known"), Headers: []kafka.Header{{Key: "aftershock-known-at", Value: []byte("2025-01-01T00:00:00Z")}}},
		)
		if err := newConsumers(t, conn, store).RunUntilIdle(within(t)); err != nil {
			t.Fatal(err)
		}
		letters := readAll(t, conn, topics.DeadLetter)
		slices.SortFunc(letters, func(a, b broker.Record) int {
			return strings.Compare(header(a, "aftershock-offset"), header(b, "aftershock-offset"))
		})
		var got []string
		for _, l := range letters {
			got = append(got, fmt.Sprintf("%s %s %s/%s/%s %d", l.Key, header(l, "aftershock-code"), header(l, "aftershock-topic"), header(l, "aftershock-partition"), header(l, "aftershock-offset"), len(l.Value)))
		}
		want := []string{
			fmt.Sprintf("k1 malformed_json %s/0/1 12", topics.Deals),
			fmt.Sprintf("k2 bad_header %s/0/2 %d", topics.Deals, len(deal("late"))),
			fmt.Sprintf("k3 empty_value %s/0/3 0", topics.Deals),
		}
		if !slices.Equal(got, want) {
			t.Errorf("dead letters\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(letters) > 0 && header(letters[0], "trace") != "7" {
			t.Error("the record's own header is gone")
		}
		if len(store.deals) != 2 || len(store.rejected) != 3 {
			t.Errorf("stored %d deals and %d rejections, want 2 and 3", len(store.deals), len(store.rejected))
		}
		if e := store.deals[position(churn.Position{Topic: topics.Deals, Offset: 4})]; !e.KnownAt.Equal(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("the header's time of knowing was lost: %s", e.KnownAt)
		}
	})
}

func TestTheLargestRecordFitsAsDeadLetter(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		largest := make([]byte, conn.Topics().MaxRecordBytes-200) // a batch and a record have headers of their own
		for i := range largest {
			largest[i] = byte('a' + i*i%23)
		}
		produce(t, conn, kafka.Message{Topic: conn.Topics().Tickets, Key: []byte("k"), Value: largest},
			kafka.Message{Topic: conn.Topics().Tickets, Key: []byte("k"), Value: ticket("after")})
		store := newMemory()
		if err := newConsumers(t, conn, store).RunUntilIdle(within(t)); err != nil {
			t.Fatal(err)
		}
		letters := readAll(t, conn, conn.Topics().DeadLetter)
		if len(letters) != 1 || string(letters[0].Value) != string(largest) {
			t.Fatalf("%d dead letters; want the largest record, whole", len(letters))
		}
		if len(store.tickets) != 1 {
			t.Error("the record behind the largest one was not stored")
		}
	})
}

// A record that is small on its way and large once it is inflated is named in a dead letter, and those behind it go on.
func TestWhatInflatesTooFarBecomesADeadLetter(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		writer := &kafka.Writer{Addr: conn.Address(), Transport: conn.Transport(), RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond,
			BatchBytes: 64 << 20, Compression: kafka.Zstd, Topic: conn.Topics().Tickets, Balancer: kafka.BalancerFunc(func(kafka.Message, ...int) int { return 0 })}
		defer writer.Close()
		err := writer.WriteMessages(within(t), kafka.Message{Value: ticket("before")},
			kafka.Message{Key: []byte("k"), Value: make([]byte, 2*conn.Topics().MaxRecordBytes)}, kafka.Message{Value: ticket("after")})
		if err != nil {
			t.Fatal(err)
		}
		store := newMemory()
		if err := newConsumers(t, conn, store).RunUntilIdle(within(t)); err != nil {
			t.Fatal(err)
		}
		letters := readAll(t, conn, conn.Topics().DeadLetter)
		if len(letters) != 1 || len(letters[0].Value) > 0 || header(letters[0], "aftershock-code") != string(churn.CodeUnreadable) ||
			header(letters[0], "aftershock-offset") != "1" || !strings.Contains(header(letters[0], "aftershock-reason"), "8388608 are the most") {
			t.Errorf("dead letters: %+v", letters)
		}
		if len(store.tickets) != 2 || len(store.rejected) != 1 {
			t.Errorf("%d tickets and %d rejections are stored", len(store.tickets), len(store.rejected))
		}
	})
}

func TestGuiltyRowsAreFoundAndTheRestLives(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		store := newMemory()
		store.fail = func(_ string, ids []string) error {
			if slices.Contains(ids, "d3") || slices.Contains(ids, "d7") {
				return fmt.Errorf("inserting: %w", refusedRow{})
			}
			return nil
		}
		var messages []kafka.Message
		for i := range 10 {
			messages = append(messages, kafka.Message{Topic: conn.Topics().Deals, Key: fmt.Append(nil, "k", i), Value: deal(fmt.Sprint("d", i))})
		}
		produce(t, conn, messages...)
		if err := newConsumers(t, conn, store).RunUntilIdle(within(t)); err != nil {
			t.Fatal(err)
		}
		letters := readAll(t, conn, conn.Topics().DeadLetter)
		if len(letters) != 2 || len(store.deals) != 8 {
			t.Fatalf("%d dead letters and %d deals, want 2 and 8", len(letters), len(store.deals))
		}
		for _, l := range letters {
			if header(l, "aftershock-code") != "refused_by_store" || (string(l.Key) != "k3" && string(l.Key) != "k7") {
				t.Errorf("dead letter %s with code %s", l.Key, header(l, "aftershock-code"))
			}
		}
	})
}

func TestAStoreThatIsAwayIsWaitedFor(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		store := newMemory()
		tries := make(chan string, 1000)
		store.fail = func(token string, _ []string) error { tries <- token; return errors.New("connection refused") }
		produce(t, conn, kafka.Message{Topic: conn.Topics().Deals, Value: deal("d")})
		c := newConsumers(t, conn, store)
		start(t, c)
		first := <-tries
		for range 4 {
			if again := <-tries; again != first {
				t.Fatalf("the token changed from %s to %s", first, again)
			}
		}
		if c.Ready() == nil {
			t.Error("ready while the store is away")
		}
		store.setFail(nil)
		store.until(t, "the deal is stored", func() bool { return len(store.deals) == 1 })
		if len(store.rejected) != 0 {
			t.Error("a good record was rejected")
		}
	})
}

// member is one member's view of a shared store.
type member struct {
	*memory
	stored atomic.Int64
}

func (m *member) InsertDeals(ctx context.Context, token string, known time.Time, batches []churn.Batch[churn.DealEvent]) error {
	for _, b := range batches {
		m.stored.Add(int64(b.Len()))
	}
	return m.memory.InsertDeals(ctx, token, known, batches)
}

func TestRebalanceLosesNothing(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		store := newMemory()
		n := 0
		putAndWait := func(what string) {
			t.Helper()
			var messages []kafka.Message
			for range 50 {
				n++
				messages = append(messages, kafka.Message{Topic: conn.Topics().Deals, Partition: n % 2, Value: deal(fmt.Sprint("d", n))})
			}
			produce(t, conn, messages...)
			store.until(t, what, func() bool { return len(store.deals) == n })
		}
		a, b := &member{memory: store}, &member{memory: store}
		one, two := newConsumers(t, conn, a), newConsumers(t, conn, b)
		stopOne := start(t, one)
		putAndWait("one member stored all")
		stopTwo := start(t, two)
		for ctx := within(t); b.stored.Load() == 0; {
			if ctx.Err() != nil {
				t.Fatal("the second member never got a partition")
			}
			putAndWait("two members stored all")
		}
		before := a.stored.Load()
		for range 3 {
			putAndWait("both members stored all")
		}
		if a.stored.Load() == before {
			t.Error("the first member has no partition any more")
		}
		stopOne()
		putAndWait("the second member stored all")
		waited, err := two.Positions().Wait(within(t), broker.Patience{Timeout: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if err := waited.Err(); err != nil {
			t.Error(err)
		}
		stopTwo()
	})
}

func TestAStaleGenerationCannotCommit(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		produce(t, conn, kafka.Message{Topic: conn.Topics().Deals, Value: deal("a")}, kafka.Message{Topic: conn.Topics().Deals, Value: deal("b")})
		join := func() (*kafka.ConsumerGroup, *kafka.Generation) {
			group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: "stale." + conn.Topics().Deals, Brokers: conn.Brokers(), Dialer: conn.Dialer(),
				Topics: []string{conn.Topics().Deals}, HeartbeatInterval: 200 * time.Millisecond, SessionTimeout: 6 * time.Second, RebalanceTimeout: 6 * time.Second, JoinGroupBackoff: 100 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			for {
				g, err := group.Next(within(t))
				if err == nil {
					return group, g
				}
				if errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
			}
		}
		first, old := join()
		defer first.Close()
		second, _ := join() // the first member's generation ends, as it did not ask for the next one its commit is stale
		defer second.Close()
		if _, err := first.Next(within(t)); err != nil {
			t.Logf("the first member rejoins: %v", err)
		}
		err := old.CommitOffsets(map[string]map[int]int64{conn.Topics().Deals: {0: 2}})
		if err == nil {
			t.Fatal("a generation that has been replaced could commit")
		}
		committed, err := conn.Committed(within(t), "stale."+conn.Topics().Deals, conn.Topics().Deals)
		if err != nil || len(committed) != 0 {
			t.Errorf("committed %v, %v; want nothing", committed, err)
		}
	})
}

func header(r broker.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// readAll returns what a topic holds.
func readAll(t testing.TB, conn *broker.Connection, topic string) (records []broker.Record) {
	t.Helper()
	ranges, err := conn.Ranges(within(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	for tp, r := range ranges {
		for r, err := range conn.Read(within(t), tp, r, broker.FetchLimits{MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Second}) {
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, *r)
		}
	}
	return records
}
