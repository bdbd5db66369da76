package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/publish"
	"github.com/aftershock/aftershock/testservers"
)

func TestMain(m *testing.M) { os.Exit(testservers.Main(m)) }

var servers = map[string]func(testing.TB) []string{
	"embedded": testservers.Broker,
	"kafka4":   testservers.Kafka4,
}

func onEveryBroker(t *testing.T, test func(t *testing.T, conn *broker.Connection)) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			config := broker.DefaultConfig()
			config.Brokers = start(t)
			for _, topic := range []*string{&config.Topics.Deals, &config.Topics.Tickets, &config.Topics.Feedback, &config.Topics.Alerts,
				&config.Topics.Handoffs, &config.Topics.DeadLetter, &config.Topics.Control} {
				*topic = testservers.Name(*topic)
			}
			conn, err := broker.Connect(config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(conn.Close)
			if _, err := conn.CreateTopics(within(t), conn.Topics().Wanted()); err != nil {
				t.Fatal(err)
			}
			test(t, conn)
		})
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// alertLog is a Log in memory.
type alertLog struct {
	mu        sync.Mutex
	entries   []alert.Entry
	delivered []string
	others    []string // of them, those that were not accepted
	fail      error    // of Delivered
	read      int      // entries, whole
	again     uint64
}

func (l *alertLog) append(group string, transitions ...alert.Transition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int64(1)
	for _, e := range l.entries {
		if e.Group == group {
			n = e.N + 1
		}
	}
	l.entries = append(l.entries, alert.Entry{Group: group, N: n, Transitions: transitions})
}

func (l *alertLog) Published(_ context.Context, after map[string]int64, limit int) (page []alert.Entry, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	so := 0
	for _, e := range l.entries {
		if e.N > after[e.Group] && so < limit {
			page = append(page, e)
			so += len(e.Transitions)
		}
	}
	l.read += len(page)
	return page, nil
}

// outgoing is every transition with a topic, in log order.
func (l *alertLog) outgoing(do func(group string, n int64, t alert.Transition)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		for _, t := range e.Transitions {
			if t.Topic != "" {
				t.Value, t.Headers = nil, nil
				do(e.Group, e.N, t)
			}
		}
	}
}

func (l *alertLog) Topics(context.Context) (topics []string, err error) {
	l.outgoing(func(_ string, _ int64, t alert.Transition) { topics = append(topics, t.Topic) })
	slices.Sort(topics)
	return slices.Compact(topics), nil
}

func (l *alertLog) Latest(_ context.Context, do func(string, int64, alert.Transition) error) error {
	type row struct {
		group string
		n     int64
		t     alert.Transition
	}
	rows := map[string]row{}
	l.outgoing(func(group string, n int64, t alert.Transition) { rows[group+" "+t.Topic+" "+t.Key] = row{group, n, t} })
	for _, r := range rows {
		if err := do(r.group, r.n, r.t); err != nil {
			return err
		}
	}
	return nil
}

func (l *alertLog) noted(destination string, t alert.Transition) bool {
	return slices.Contains(l.delivered, destination+" "+t.ID)
}

func (l *alertLog) Unnoted(_ context.Context, destination string, do func(string, int64, alert.Transition) error) (err error) {
	var rows []func() error
	l.outgoing(func(group string, n int64, t alert.Transition) {
		if !l.noted(destination, t) {
			rows = append(rows, func() error { return do(group, n, t) })
		}
	})
	for _, row := range rows {
		if err == nil {
			err = row()
		}
	}
	return err
}

func (l *alertLog) Noted(_ context.Context, destination string, do func(alert.Transition) error) (err error) {
	latest := map[string]alert.Transition{}
	l.outgoing(func(_ string, _ int64, t alert.Transition) {
		if l.noted(destination, t) {
			latest[t.Fingerprint] = t
		}
	})
	for _, t := range latest {
		if err == nil {
			err = do(t)
		}
	}
	return err
}

func (l *alertLog) Refused(_ context.Context, destination string, do func(alert.Transition) error) (err error) {
	l.outgoing(func(_ string, _ int64, t alert.Transition) {
		refused := slices.ContainsFunc(l.others, func(said string) bool { return strings.HasPrefix(said, destination+" "+t.ID+" refused") })
		if err == nil && refused && l.noted(destination, t) {
			err = do(t)
		}
	})
	return err
}

// Again is what tests put into again; what they take out of delivered is unnoted.
func (l *alertLog) Again(context.Context, string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.again
	l.again = 0
	return n, nil
}

func (l *alertLog) Ended(_ context.Context, destination string, before time.Time, after string, limit int) (ended []alert.Transition, err error) {
	latest := map[string]alert.Transition{}
	l.outgoing(func(_ string, _ int64, t alert.Transition) { latest[t.Fingerprint] = t })
	for _, t := range latest {
		if t.State == alert.Resolved && t.ResolvedAt.Before(before) && t.Fingerprint > after && !l.noted(destination, t) {
			ended = append(ended, t)
		}
	}
	slices.SortFunc(ended, func(a, b alert.Transition) int { return strings.Compare(a.Fingerprint, b.Fingerprint) })
	return ended[:min(limit, len(ended))], nil
}

func (l *alertLog) Delivered(_ context.Context, destination string, _ time.Time, deliveries []alert.Delivery) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	for _, d := range deliveries {
		l.delivered = append(l.delivered, fmt.Sprintf("%s %s", destination, d.ID))
		if d.Outcome != alert.DeliveryAccepted {
			l.others = append(l.others, fmt.Sprintf("%s %s %s: %s", destination, d.ID, d.Outcome, d.Detail))
		}
	}
	return nil
}

func (l *alertLog) Begin(_ context.Context, _ string, at time.Time) (time.Time, error) {
	return at, nil
}

func transition(topic, fingerprint string, episode, sequence int) alert.Transition {
	id := fmt.Sprintf("%s-%d-%d", fingerprint, episode, sequence)
	value, _ := json.Marshal(map[string]any{"fingerprint": fingerprint, "episode": episode, "sequence": sequence, "summary": "[" + id + "]"})
	return alert.Transition{ID: id, Fingerprint: fingerprint, Episode: episode, Sequence: sequence, Topic: topic, Key: fingerprint, Value: value,
		Headers: []alert.Header{{Key: "ce_id", Value: id}, {Key: "ce_specversion", Value: "1.0"}}}
}

func newRelay(t *testing.T, conn *broker.Connection, log *alertLog) *publish.Relay {
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	return &publish.Relay{Log: log, Destination: &publish.Topics{Kafka: conn, Logger: logger}, Logger: logger}
}

func flush(t *testing.T, r *publish.Relay, want int) {
	t.Helper()
	n, err := r.Flush(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if n != want {
		t.Fatalf("published %d transitions, want %d", n, want)
	}
}

// on returns the ids on a topic in order; of a tombstone, the transition that it took off.
func on(t *testing.T, conn *broker.Connection, topic string) (ids []string) {
	t.Helper()
	ranges, err := conn.Ranges(within(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	tp := churn.TopicPartition{Topic: topic}
	for r, err := range conn.Read(within(t), tp, ranges[tp], broker.FetchLimits{MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Second}) {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case len(r.Headers) != 2 || string(r.Headers[0].Value) == "":
			t.Errorf("a record is not as it was stored: %s %v", r.Value, r.Headers)
		case r.Value == nil:
			ids = append(ids, fmt.Sprintf("-%s-%s-%s", r.Key, r.Headers[0].Value, r.Headers[1].Value))
		case !strings.Contains(string(r.Value), "["+string(r.Headers[0].Value)+"]"):
			t.Errorf("a record is not as it was stored: %s %v", r.Value, r.Headers)
		default:
			ids = append(ids, string(r.Headers[0].Value))
		}
	}
	return ids
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestTheLogIsPublishedInOrderAndOnce(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		alerts, handoffs := conn.Topics().Alerts, conn.Topics().Handoffs
		log := &alertLog{}
		log.append("g", transition(alerts, "a", 1, 1), transition(handoffs, "h", 1, 1), transition("", "silent", 1, 1), transition(alerts, "b", 1, 1))
		log.append("g", transition(alerts, "a", 1, 2))
		log.append("other", transition(alerts, "c", 1, 1))
		relay := newRelay(t, conn, log)
		flush(t, relay, 5)
		flush(t, relay, 0)
		log.append("g", transition(alerts, "a", 2, 1))
		flush(t, relay, 1)
		expect(t, on(t, conn, alerts), "a-1-1", "b-1-1", "a-1-2", "c-1-1", "a-2-1")
		expect(t, on(t, conn, handoffs), "h-1-1")
		expect(t, log.delivered, "kafka a-1-1", "kafka h-1-1", "kafka b-1-1", "kafka a-1-2", "kafka c-1-1", "kafka a-2-1")
	})
}

func TestANewRelayReadsBackWhatIsThere(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		alerts := conn.Topics().Alerts
		log := &alertLog{}
		log.append("g", transition(alerts, "a", 1, 1), transition(alerts, "a", 1, 2), transition(alerts, "b", 1, 1))
		flush(t, newRelay(t, conn, log), 3)
		log.append("g", transition(alerts, "a", 2, 1), transition(alerts, "b", 1, 2))
		flush(t, newRelay(t, conn, log), 2)
		flush(t, newRelay(t, conn, log), 0)
		expect(t, on(t, conn, alerts), "a-1-1", "a-1-2", "b-1-1", "a-2-1", "b-1-2")
	})
}

func TestAStaleHeadIsMended(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		alerts := conn.Topics().Alerts
		log := &alertLog{}
		log.append("g", transition(alerts, "a", 1, 1), transition(alerts, "b", 1, 1), transition(alerts, "a", 1, 2))
		relay := newRelay(t, conn, log)
		flush(t, relay, 3)
		// A leader that was paused wakes up and finishes what it had begun.
		late := transition(alerts, "a", 1, 1)
		produce(t, conn, late)
		flush(t, relay, 0)
		expect(t, on(t, conn, alerts), "a-1-1", "b-1-1", "a-1-2", "a-1-1", "a-1-2")
		// The same, found at the start of another relay.
		produce(t, conn, late)
		flush(t, newRelay(t, conn, log), 0)
		expect(t, on(t, conn, alerts), "a-1-1", "b-1-1", "a-1-2", "a-1-1", "a-1-2", "a-1-1", "a-1-2")
		flush(t, newRelay(t, conn, log), 0)
	})
}

func TestDeliveriesAreNotedLaterWhereTheLogIsAway(t *testing.T) {
	conn := onlyEmbedded(t)
	log := &alertLog{fail: errors.New("away")}
	log.append("g", transition(conn.Topics().Alerts, "a", 1, 1))
	relay := newRelay(t, conn, log)
	if _, err := relay.Flush(within(t)); err == nil {
		t.Fatal("Flush hides that the log is away")
	}
	log.fail = nil
	flush(t, relay, 0)
	expect(t, log.delivered, "kafka a-1-1")
	expect(t, on(t, conn, conn.Topics().Alerts), "a-1-1")
}

func TestRunPublishesWhenWoken(t *testing.T) {
	conn := onlyEmbedded(t)
	log := &alertLog{}
	relay := newRelay(t, conn, log)
	relay.Every = time.Hour
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- relay.Run(ctx) }()
	log.append("g", transition(conn.Topics().Alerts, "a", 1, 1))
	relay.Wake()
	tp := churn.TopicPartition{Topic: conn.Topics().Alerts}
	for bound := within(t); ; {
		ranges, err := conn.Ranges(bound, tp.Topic)
		if err != nil {
			t.Fatal(err)
		}
		if ranges[tp].End == 1 {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAStockClientReadsTheAlertTopic(t *testing.T) {
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		alerts := conn.Topics().Alerts
		log := &alertLog{}
		log.append("g", transition(alerts, "a", 1, 1), transition(alerts, "b", 1, 1))
		flush(t, newRelay(t, conn, log), 2)
		out, err := exec.CommandContext(within(t), kcat, "-b", conn.Brokers()[0], "-C", "-t", alerts, "-o", "beginning", "-e", "-q", "-f", "%k %h %s\n").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		want := fmt.Sprintf("a ce_id=a-1-1,ce_specversion=1.0 %s\nb ce_id=b-1-1,ce_specversion=1.0 %s\n",
			transition(alerts, "a", 1, 1).Value, transition(alerts, "b", 1, 1).Value)
		if string(out) != want {
			t.Errorf("kcat read\n%s\nwant\n%s", out, want)
		}
	})
}

func onlyEmbedded(t *testing.T) *broker.Connection {
	config := broker.DefaultConfig()
	config.Brokers = testservers.Broker(t)
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

func produce(t *testing.T, conn *broker.Connection, late alert.Transition) {
	t.Helper()
	record := kafka.Record{Key: kafka.NewBytes([]byte(late.Key)), Value: kafka.NewBytes(late.Value)}
	for _, h := range late.Headers {
		record.Headers = append(record.Headers, kafka.Header{Key: h.Key, Value: []byte(h.Value)})
	}
	response, err := conn.Client().Produce(within(t), &kafka.ProduceRequest{Topic: late.Topic, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(record)})
	if err == nil {
		err = response.Error
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Standing is what people were told of last and that is not over.
func (l *alertLog) Standing(context.Context) (standing []alert.Transition, err error) {
	latest := map[string]alert.Transition{}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		for _, t := range e.Transitions {
			if t.Topic != "" {
				latest[t.Fingerprint] = t
			}
		}
	}
	for _, t := range latest {
		if t.State != alert.Resolved {
			standing = append(standing, t)
		}
	}
	return standing, nil
}
