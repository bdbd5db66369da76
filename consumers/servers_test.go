package consumers_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/testservers"
)

func TestMain(m *testing.M) { os.Exit(testservers.Main(m)) }

// servers are the brokers that every conformance test runs against.
var servers = map[string]func(testing.TB) []string{
	"embedded": testservers.Broker,
	"kafka4":   testservers.Kafka4,
}

// onEveryBroker runs a conformance test against each kind of broker, with our topics created.
func onEveryBroker(t *testing.T, test func(t *testing.T, conn *broker.Connection)) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) { test(t, connect(t, start(t), 2)) })
	}
}

// connect makes topics whose names are the test's own, since servers may be shared.
func connect(t testing.TB, addresses []string, partitions int) *broker.Connection {
	t.Helper()
	config := broker.DefaultConfig()
	config.Brokers = addresses
	prefix := fmt.Sprintf("t%d.", time.Now().UnixNano())
	for _, name := range []*string{&config.Topics.Deals, &config.Topics.Tickets, &config.Topics.Feedback, &config.Topics.Alerts,
		&config.Topics.Handoffs, &config.Topics.DeadLetter, &config.Topics.Control} {
		*name = prefix + *name
	}
	config.Topics.InputPartitions = partitions
	conn, err := broker.Connect(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if _, err := conn.CreateTopics(within(t), conn.Topics().Wanted()); err != nil {
		t.Fatal(err)
	}
	return conn
}

// within bounds what a test waits for.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// memory is a Store that keeps rows, tells of each call, and fails as it is told to.
type memory struct {
	mu       sync.Mutex
	deals    map[string]churn.DealEvent // by topic/partition/offset
	tickets  map[string]churn.TicketEvent
	feedback map[string]churn.FeedbackEvent
	rejected map[string]churn.Rejected
	tokens   map[string]bool
	calls    int
	repeats  int
	// fail, where set, is asked before each insert with its token and event ids.
	fail    func(token string, ids []string) error
	changed chan struct{} // closed and replaced at each change
}

func newMemory() *memory {
	return &memory{deals: map[string]churn.DealEvent{}, tickets: map[string]churn.TicketEvent{}, feedback: map[string]churn.FeedbackEvent{}, rejected: map[string]churn.Rejected{},
		tokens: map[string]bool{}, changed: make(chan struct{})}
}

func (m *memory) insert(token string, ids []string, put func()) error {
	m.mu.Lock()
	fail := m.fail
	m.calls++
	m.mu.Unlock()
	if fail != nil {
		if err := fail(token, ids); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tokens[token] {
		m.repeats++
		return nil
	}
	m.tokens[token] = true
	put()
	close(m.changed)
	m.changed = make(chan struct{})
	return nil
}

func position(p churn.Position) string {
	return fmt.Sprintf("%s/%d/%d", p.Topic, p.Partition, p.Offset)
}

// kept is a batch that keeps the events.
type kept[E any] struct {
	events []E
	stamp  func(*E) *churn.Stamp
}

func (k *kept[E]) Add(e *E)             { k.events = append(k.events, *e) }
func (k *kept[E]) Len() int             { return len(k.events) }
func (k *kept[E]) Payload(i int) []byte { return k.stamp(&k.events[i]).Payload }
func (k *kept[E]) Reset()               { k.events = nil }

// known gives the events of some batches, each dated.
func known[E any](batches []churn.Batch[E], known time.Time) []E {
	var events []E
	for _, b := range batches {
		k := b.(*kept[E])
		for _, e := range k.events {
			if s := k.stamp(&e); s.KnownAt.IsZero() {
				s.KnownAt = known
			}
			events = append(events, e)
		}
	}
	return events
}

func (m *memory) NewDealBatch() churn.Batch[churn.DealEvent] {
	return &kept[churn.DealEvent]{stamp: func(e *churn.DealEvent) *churn.Stamp { return &e.Stamp }}
}

func (m *memory) NewTicketBatch() churn.Batch[churn.TicketEvent] {
	return &kept[churn.TicketEvent]{stamp: func(e *churn.TicketEvent) *churn.Stamp { return &e.Stamp }}
}

func (m *memory) InsertDeals(_ context.Context, token string, at time.Time, batches []churn.Batch[churn.DealEvent]) error {
	events := known(batches, at)
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = events[i].EventID
	}
	return m.insert(token, ids, func() {
		for _, e := range events {
			m.deals[position(e.Position)] = e
		}
	})
}

func (m *memory) InsertTickets(_ context.Context, token string, at time.Time, batches []churn.Batch[churn.TicketEvent]) error {
	events := known(batches, at)
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = events[i].EventID
	}
	return m.insert(token, ids, func() {
		for _, e := range events {
			m.tickets[position(e.Position)] = e
		}
	})
}

func (m *memory) NewFeedbackBatch() churn.Batch[churn.FeedbackEvent] {
	return &kept[churn.FeedbackEvent]{stamp: func(e *churn.FeedbackEvent) *churn.Stamp { return &e.Stamp }}
}

func (m *memory) InsertFeedback(_ context.Context, token string, at time.Time, batches []churn.Batch[churn.FeedbackEvent]) error {
	events := known(batches, at)
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = events[i].EventID
	}
	return m.insert(token, ids, func() {
		for _, e := range events {
			m.feedback[position(e.Position)] = e
		}
	})
}

func (m *memory) StoreRejected(_ context.Context, token string, rows []churn.Rejected) error {
	return m.insert(token, nil, func() {
		for _, r := range rows {
			m.rejected[position(r.Position)] = r
		}
	})
}

func (m *memory) setFail(fail func(token string, ids []string) error) {
	m.mu.Lock()
	m.fail = fail
	m.mu.Unlock()
}

// until waits for a condition on the store.
func (m *memory) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := within(t)
	for {
		m.mu.Lock()
		ok, changed := holds(), m.changed
		m.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("gave up waiting until %s (%d deals, %d tickets, %d rejected)", what, len(m.deals), len(m.tickets), len(m.rejected))
		}
	}
}

// start runs consumers until the test ends, or until the returned function stops them.
func start(t *testing.T, c *consumers.Consumers) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("Run did not return within 30 s of its context's end")
		}
	})
	t.Cleanup(stop)
	return stop
}

// quick is a config with short pauses.
func quick() consumers.Config {
	config := consumers.DefaultConfig()
	config.ChunkWait = 50 * time.Millisecond
	config.FetchMaxWait = 50 * time.Millisecond
	config.FetchMinBytes = 1
	config.SessionTimeout = 6 * time.Second // the least that Kafka accepts by default
	config.DrainTimeout = 5 * time.Second
	config.RetryMin = 10 * time.Millisecond
	config.RetryMax = 100 * time.Millisecond
	config.CommitTimeout = 5 * time.Second
	return config
}

var knownAt = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func newConsumers(t testing.TB, conn *broker.Connection, store consumers.Store) *consumers.Consumers {
	config := quick()
	config.Group = "group." + conn.Topics().Deals // one of each test's own, as the server may be shared
	return &consumers.Consumers{
		Config: config, Kafka: conn, Store: store, Enrichment: enrichment,
		Clock: func() time.Time { return knownAt },
		Log:   slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// ear hears what consumers log, so that a test can wait until they have come so far.
type ear struct {
	slog.Handler
	mu      sync.Mutex
	heard   map[string]int
	changed chan struct{}
}

func listen(t testing.TB, c *consumers.Consumers) *ear {
	e := &ear{Handler: slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}), heard: map[string]int{}, changed: make(chan struct{})}
	c.Log = slog.New(e)
	return e
}

func (e *ear) Handle(ctx context.Context, r slog.Record) error {
	e.mu.Lock()
	e.heard[r.Message]++
	close(e.changed)
	e.changed = make(chan struct{})
	e.mu.Unlock()
	return e.Handler.Handle(ctx, r)
}

// until waits until a message was logged so often.
func (e *ear) until(t testing.TB, message string, times int) {
	t.Helper()
	for ctx := within(t); ; {
		e.mu.Lock()
		heard, changed := e.heard[message], e.changed
		e.mu.Unlock()
		if heard >= times {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("gave up waiting for %q, which was logged %d times", message, heard)
		}
	}
}

var enrichment = consumers.Enrichment{
	Score: func(d *churn.DealClosed) churn.Hardness {
		return churn.Hardness{Band: churn.BandUnknown, ModelVersion: "test"}
	},
	Classify: func(*churn.SupportTicket) churn.Classification { return churn.Classification{ModelVersion: "test"} },
}

func deal(id string) []byte {
	return fmt.Appendf(nil, `{"event_id":%q,"deal_id":%q,"account_id":"acme","closed_at":"2026-01-02T03:04:05Z","currency":"EUR","signed_price":"1200.50"}`, id, id)
}

func ticket(id string) []byte {
	return fmt.Appendf(nil, `{"event_id":%q,"ticket_id":%q,"account_id":"acme","opened_at":"2026-02-02T03:04:05Z","subject":"price"}`, id, id)
}

// produce writes messages, of which each names its topic and partition.
func produce(t testing.TB, conn *broker.Connection, messages ...kafka.Message) {
	t.Helper()
	writer := &kafka.Writer{
		Addr: conn.Address(), Transport: conn.Transport(), RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond, BatchBytes: 64 << 20,
		Balancer: kafka.BalancerFunc(func(m kafka.Message, partitions ...int) int { return m.WriterData.(int) }),
	}
	defer writer.Close()
	for i := range messages {
		if messages[i].WriterData == nil {
			messages[i].WriterData = messages[i].Partition
		}
		messages[i].Partition = 0
	}
	if err := writer.WriteMessages(within(t), messages...); err != nil {
		t.Fatalf("producing: %v", err)
	}
}
