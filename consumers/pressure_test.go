package consumers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers"
)

// metric reads what an operator would: the sum over a metric's series.
func metric(t *testing.T, registry *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "aftershock_consumer_"+name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
			return sum
		}
	}
	t.Fatalf("the metric %s is missing", name)
	return 0
}

// A store that is away, and far more records than may be in flight, over more partitions than fit: memory stays within the bound,
// nothing deadlocks, and everything is stored when the store is back.
func TestMemoryIsBoundedWhileTheStoreIsAway(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		const records, size = 200, 100 << 10
		store := newMemory()
		tries := make(chan string, 100_000)
		store.setFail(func(token string, _ []string) error { tries <- token; return errors.New("too many parts") })
		for from := 0; from < records; from += 20 {
			var messages []kafka.Message
			for i := from; i < from+20; i++ {
				value := append(deal(fmt.Sprint("d", i)), bytes.Repeat([]byte(" "), size)...)
				messages = append(messages, kafka.Message{Topic: conn.Topics().Deals, Partition: i % 2, Value: value})
			}
			produce(t, conn, messages...)
		}
		c := newConsumers(t, conn, store)
		c.Config.MaxBytesInFlight = 4 << 20
		c.Config.ChunkBytes = 1 << 20
		c.Config.FetchMaxBytes = 256 << 10
		registry := prometheus.NewRegistry()
		c.Metrics = consumers.NewMetrics(registry, conn.Topics().Deals, conn.Topics().Tickets)
		start(t, c)
		seen := map[string]bool{}
		for range 60 { // the same batches, again and again
			seen[<-tries] = true
			if n := metric(t, registry, "in_flight_bytes"); n > float64(c.Config.MaxBytesInFlight) {
				t.Fatalf("%.0f bytes in flight", n)
			}
		}
		if len(seen) > 2 {
			t.Errorf("%d batches were tried, though each partition has only one at a time", len(seen))
		}
		store.setFail(nil)
		store.until(t, "all is stored", func() bool { return len(store.deals) == records })
	})
}

// stuck is a store whose inserts end only with their context.
type stuck struct {
	*memory
	entered chan struct{}
}

func (s *stuck) InsertDeals(ctx context.Context, _ string, _ time.Time, _ []churn.Batch[churn.DealEvent]) error {
	s.entered <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func TestStoppingIsBoundedAndLosesNothing(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		produce(t, conn, kafka.Message{Topic: conn.Topics().Deals, Value: deal("d")})
		hanging := &stuck{newMemory(), make(chan struct{}, 10)}
		c := newConsumers(t, conn, hanging)
		c.Config.DrainTimeout = 100 * time.Millisecond
		stop := start(t, c)
		<-hanging.entered
		began := time.Now()
		stop()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("stopping took %s", took)
		}
		store := newMemory()
		if err := newConsumers(t, conn, store).RunUntilIdle(within(t)); err != nil {
			t.Fatal(err)
		}
		if len(store.deals) != 1 {
			t.Error("the record whose insert was cut off is lost")
		}
	})
}

// slow is a store whose first insert takes until it is let go.
type slow struct {
	*memory
	entered, proceed chan struct{}
}

func (s *slow) InsertDeals(ctx context.Context, token string, known time.Time, batches []churn.Batch[churn.DealEvent]) error {
	s.entered <- struct{}{}
	<-s.proceed
	return s.memory.InsertDeals(ctx, token, known, batches)
}

func TestStoppingLetsAnInsertFinishAndCommits(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		produce(t, conn, kafka.Message{Topic: conn.Topics().Deals, Value: deal("d")})
		store := &slow{newMemory(), make(chan struct{}, 10), make(chan struct{})}
		c := newConsumers(t, conn, store)
		stop := start(t, c)
		<-store.entered
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		close(store.proceed)
		<-stopped
		progress, err := c.Positions().Now(within(t))
		if err != nil {
			t.Fatal(err)
		}
		for tp, end := range progress.Ends {
			if n := end - progress.Committed[tp]; n != 0 {
				t.Errorf("%s lags by %d: what was stored while stopping is not committed", tp, n)
			}
		}
	})
}

func TestAPartitionThatEndsBeforeOurOffsetIsReadFromItsStart(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		topic := conn.Topics().Deals
		for i := range 5 {
			produce(t, conn, kafka.Message{Topic: topic, Value: deal(fmt.Sprint("d", i))})
		}
		store := newMemory()
		c := newConsumers(t, conn, store)
		// The group stands at an offset beyond the partition's end.
		group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: c.Config.Group, Brokers: conn.Brokers(), Dialer: conn.Dialer(), Topics: []string{topic},
			HeartbeatInterval: time.Second, SessionTimeout: 6 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		generation, err := group.Next(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := generation.CommitOffsets(map[string]map[int]int64{topic: {0: 500}}); err != nil {
			t.Fatal(err)
		}
		group.Close()
		registry := prometheus.NewRegistry()
		c.Metrics = consumers.NewMetrics(registry, topic)
		start(t, c)
		store.until(t, "the partition is read from its start", func() bool { return len(store.deals) == 5 })
		if n := metric(t, registry, "rewound_total"); n != 1 {
			t.Errorf("rewound_total is %g", n)
		}
	})
}

func TestRecordsDeletedBeforeTheyWereConsumedAreToldOf(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		topic := conn.Topics().Deals
		store := newMemory()
		produce(t, conn, kafka.Message{Topic: topic, Value: deal("d0")})
		if err := newConsumers(t, conn, store).RunUntilIdle(within(t)); err != nil {
			t.Fatal(err)
		}
		for i := 1; i < 5; i++ {
			produce(t, conn, kafka.Message{Topic: topic, Value: deal(fmt.Sprint("d", i))})
		}
		deleteBelow(t, conn, topic, 3)
		c := newConsumers(t, conn, store)
		registry := prometheus.NewRegistry()
		c.Metrics = consumers.NewMetrics(registry, topic)
		start(t, c)
		store.until(t, "what is left is stored", func() bool { return len(store.deals) == 3 }) // d0, d3, d4
		if n := metric(t, registry, "offsets_lost_total"); n != 2 {
			t.Errorf("offsets_lost_total is %g, want 2", n)
		}
	})
}

// deleteBelow does what retention does.
func deleteBelow(t *testing.T, conn *broker.Connection, topic string, offset int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(conn.Brokers()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	partition := kmsg.NewDeleteRecordsRequestTopicPartition()
	partition.Offset = offset
	of := kmsg.NewDeleteRecordsRequestTopic()
	of.Topic, of.Partitions = topic, append(of.Partitions, partition)
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.Topics = append(request.Topics, of)
	response, err := request.RequestWith(within(t), client)
	if err != nil {
		t.Fatal(err)
	}
	if code := response.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("deleting records: error %d", code)
	}
}

// discard is a store that takes no time.
type discard struct{ rows chan int }

// none is a batch that counts.
type none[E any] struct{ rows int }

func (n *none[E]) Add(*E)             { n.rows++ }
func (n *none[E]) Len() int           { return n.rows }
func (n *none[E]) Payload(int) []byte { return nil }
func (n *none[E]) Reset()             { n.rows = 0 }

func (d discard) NewDealBatch() churn.Batch[churn.DealEvent]     { return &none[churn.DealEvent]{} }
func (d discard) NewTicketBatch() churn.Batch[churn.TicketEvent] { return &none[churn.TicketEvent]{} }

func (d discard) InsertDeals(_ context.Context, _ string, _ time.Time, batches []churn.Batch[churn.DealEvent]) error {
	for _, b := range batches {
		d.rows <- b.Len()
	}
	return nil
}

func (d discard) NewFeedbackBatch() churn.Batch[churn.FeedbackEvent] {
	return &none[churn.FeedbackEvent]{}
}

func (d discard) InsertFeedback(context.Context, string, time.Time, []churn.Batch[churn.FeedbackEvent]) error {
	return nil
}

func (d discard) InsertTickets(_ context.Context, _ string, _ time.Time, batches []churn.Batch[churn.TicketEvent]) error {
	for _, b := range batches {
		d.rows <- b.Len()
	}
	return nil
}
func (d discard) StoreRejected(context.Context, string, []churn.Rejected) error { return nil }

// BenchmarkConsume reads deals of about 280 bytes from a real Kafka and drops them: fetching, decoding and batching alone.
func BenchmarkConsume(b *testing.B) {
	conn := connect(b, servers["kafka4"](b), 2)
	var batch []kafka.Message
	for i := 0; i < b.N; i++ {
		value := append(bytes.TrimSuffix(deal(fmt.Sprint("deal-", i)), []byte("}")), fmt.Appendf(nil, `,"owners":{"account_manager":"m%d","team":"north"},"list_price":"1500","annual_value":"1200","term_months":12}`, i)...)
		batch = append(batch, kafka.Message{Topic: conn.Topics().Deals, Partition: i / 1000 % 2, Key: []byte("acme"), Value: value})
		if len(batch) == 10_000 || i == b.N-1 {
			produce(b, conn, batch...)
			batch = nil
		}
	}
	c := newConsumers(b, conn, nil)
	rows := make(chan int, 1000)
	c.Store = discard{rows}
	c.Config = consumers.DefaultConfig()
	c.Config.Group = "bench." + conn.Topics().Deals
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	b.ReportAllocs()
	b.ResetTimer()
	go func() { done <- c.Run(ctx) }()
	for left := b.N; left > 0; {
		left -= <-rows
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
