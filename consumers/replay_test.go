package consumers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers/deadletter"
)

// notebook notes replays, and looks for events where the consumers' store keeps them. The real one is tried in cmd.
type notebook struct {
	*memory
	notes []churn.Replay
}

func (n *notebook) StoredEvents(_ context.Context, keys []churn.EventKey) (map[churn.EventKey]bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := map[churn.EventKey]bool{}
	for _, e := range n.deals {
		all[e.Key()] = true
	}
	for _, e := range n.tickets {
		all[e.Key()] = true
	}
	return all, nil
}

func (n *notebook) Replays(ctx context.Context, of []string) (map[string][]churn.Replay, error) {
	stored, _ := n.StoredEvents(ctx, nil)
	found := map[string][]churn.Replay{}
	for _, path := range of {
		for _, note := range n.notes {
			if note.Of == path {
				note.Stored = stored[note.Key]
				found[path] = append(found[path], note)
			}
		}
	}
	return found, nil
}

func (n *notebook) NoteReplays(_ context.Context, replays []churn.Replay) error {
	n.notes = append(n.notes, replays...)
	return nil
}

// unquote mends what the test breaks.
func unquote(_ context.Context, d *deadletter.Letter) ([]byte, error) {
	if d.Value == nil {
		return nil, errors.New("there is nothing to mend")
	}
	return bytes.ReplaceAll(d.Value, []byte("'"), []byte(`"`)), nil
}

func TestReplayBringsRecordsBack(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		store := &notebook{memory: newMemory()}
		topics := conn.Topics()
		var messages []kafka.Message
		for i := range 1200 { // several batches
			messages = append(messages, kafka.Message{Topic: topics.Deals, Partition: i % 2, Key: fmt.Append(nil, "k", i),
				Value:   bytes.ReplaceAll(deal(fmt.Sprint("d", i)), []byte(`"EUR"`), []byte(`'EUR'`)),
				Headers: []kafka.Header{{Key: "trace", Value: fmt.Append(nil, i)}, {Key: "empty"}}})
		}
		messages = append(messages, kafka.Message{Topic: topics.Tickets, Key: []byte("none")},
			kafka.Message{Topic: topics.Tickets, Key: []byte("acme"), Value: ticket("known"), Headers: []kafka.Header{
				{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_time", Value: []byte("noon")}}})
		produce(t, conn, messages...)
		if err := newConsumers(t, conn, store).RunUntilIdle(within(t)); err != nil {
			t.Fatal(err)
		}
		// A consumer that dies before it commits writes its dead letters again; others may put what they like there.
		letters := readAll(t, conn, topics.DeadLetter)
		again := kafka.Message{Topic: topics.DeadLetter, Partition: letters[0].Partition, Key: letters[0].Key, Value: letters[0].Value}
		for _, h := range letters[0].Headers {
			again.Headers = append(again.Headers, kafka.Header(h))
		}
		produce(t, conn, again, kafka.Message{Topic: topics.DeadLetter, Value: []byte("hello")})

		replay := deadletter.Replay{Kafka: conn, Store: store, Decode: enrichment.Decoders(conn.Topics()), Mend: unquote, DropHeaders: []string{"ce_time"}}
		run := func(want deadletter.Counts) deadletter.Report {
			t.Helper()
			report, err := replay.Run(within(t))
			if err != nil {
				t.Fatal(err)
			}
			if report.Counts != want || report.Records != 1202 {
				t.Fatalf("%+v of %d records, want %+v", report.Counts, report.Records, want)
			}
			return report
		}
		replay.DryRun = true
		report := run(deadletter.Counts{Sent: 1201, LeftOut: 1})
		if report.Repeats != 1 || report.Foreign != 1 || len(report.Groups) != 3 || len(store.notes) != 0 {
			t.Errorf("%+v, %d notes", report, len(store.notes))
		}
		if ends := readAll(t, conn, topics.Deals); len(ends) != 1200 {
			t.Fatalf("a dry run sent %d records", len(ends)-1200)
		}
		replay.DryRun = false
		run(deadletter.Counts{Sent: 1201, LeftOut: 1})
		run(deadletter.Counts{Waiting: 1201, LeftOut: 1})

		// Each stands where it is noted to, with its own key, value and headers.
		noted := map[string]churn.Replay{}
		for _, n := range store.notes {
			noted[n.To.Path()] = n
		}
		if len(noted) != 1201 {
			t.Fatalf("%d positions are noted", len(noted))
		}
		stands := map[string]broker.Record{}
		for _, r := range append(readAll(t, conn, topics.Deals), readAll(t, conn, topics.Tickets)...) {
			stands[r.Path()] = r
		}
		for path, note := range noted {
			r, was := stands[path], stands[note.Of]
			mended, _ := unquote(within(t), &deadletter.Letter{Value: was.Value})
			own := []broker.Header{}
			for _, h := range was.Headers {
				if h.Key != "ce_time" {
					own = append(own, h)
				}
			}
			want := append(own, broker.Header{Key: deadletter.HeaderReplayOf, Value: []byte(note.Of)})
			if !bytes.Equal(r.Key, was.Key) || !bytes.Equal(r.Value, mended) || fmt.Sprint(r.Headers) != fmt.Sprint(want) {
				t.Fatalf("%s was %s %s %v\nand is  %s %s %v", note.Of, was.Key, was.Value, was.Headers, r.Key, r.Value, r.Headers)
			}
		}

		if err := newConsumers(t, conn, store).RunUntilIdle(within(t)); err != nil {
			t.Fatal(err)
		}
		if len(store.deals) != 1200 || len(store.tickets) != 1 {
			t.Errorf("%d deals, %d tickets are stored", len(store.deals), len(store.tickets))
		}
		run(deadletter.Counts{Accepted: 1201, LeftOut: 1})
		replay.Again = true
		report = run(deadletter.Counts{Accepted: 1201, LeftOut: 1})
		if len(report.Reasons) != 1 || report.Reasons[0].Reason != "there is nothing to mend" || !strings.HasPrefix(report.Reasons[0].Example, topics.Tickets) {
			t.Errorf("%+v", report.Reasons)
		}
	})
}

// What today's decoder would refuse is told by its own code, and positions choose.
func TestReplaySaysWhatIsStillRefused(t *testing.T) {
	conn := connect(t, servers["embedded"](t), 1)
	store := &notebook{memory: newMemory()}
	topics := conn.Topics()
	produce(t, conn,
		kafka.Message{Topic: topics.Deals, Value: []byte(`{"event_id":'x'}`)},
		kafka.Message{Topic: topics.Deals, Value: []byte(`{'event_id':"y"}`)},
		kafka.Message{Topic: topics.Deals, Value: deal("late"), Headers: []kafka.Header{{Key: broker.HeaderKnownAt, Value: []byte("soon")}}})
	if err := newConsumers(t, conn, store).RunUntilIdle(within(t)); err != nil {
		t.Fatal(err)
	}
	replay := deadletter.Replay{Kafka: conn, Store: store, Decode: enrichment.Decoders(conn.Topics()), Mend: unquote}
	report, err := replay.Run(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if report.Refused != 3 || report.Sent != 0 || len(report.Reasons) != 2 || report.Reasons[0].Code != churn.CodeMissingField || report.Reasons[0].Records != 2 ||
		report.Reasons[1].Code != churn.CodeBadHeader || report.Reasons[1].Field != broker.HeaderKnownAt {
		t.Errorf("%+v", report)
	}
	replay.Positions = []churn.Position{{Topic: topics.Deals, Offset: 2}, {Topic: topics.Deals, Offset: 7}}
	replay.DropHeaders = []string{broker.HeaderKnownAt}
	report, err = replay.Run(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if report.Records != 1 || report.Sent != 1 || len(report.Missing) != 1 || report.Missing[0].Offset != 7 {
		t.Errorf("%+v", report)
	}
}
