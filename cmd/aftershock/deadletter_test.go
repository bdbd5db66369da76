package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers/deadletter"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/warehouse"
)

// refusedDeals sends deals that lack their account, has them refused, and returns how a replay mends them.
func refusedDeals(t *testing.T, s *server, p *pipeline.Pipeline, n int) deadletter.Replay {
	t.Helper()
	out := broker.NewProducer(p.Kafka)
	for i := range n {
		value := fmt.Appendf(nil, `{"event_id":"e%d","deal_id":"D-%d","closed_at":"2026-01-02T03:04:05Z","currency":"EUR","signed_price":"1200.50"}`, i, i)
		var knownAt time.Time
		if i == 0 {
			knownAt = time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)
		}
		if err := out.Add(t.Context(), p.Kafka.Topics().Deals, fmt.Sprint("A-", i%7), value, knownAt); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(out.Flush(t.Context()), out.Close()); err != nil {
		t.Fatal(err)
	}
	consume(t, p)
	s.is(t, "SELECT count(), countIf(state = 'open') FROM dead_letters", fmt.Sprintf("%d\t%d", n, n))
	enrichment, err := p.Config.Models.Enrichment()
	if err != nil {
		t.Fatal(err)
	}
	return deadletter.Replay{Kafka: p.Kafka, Store: p.Warehouse, Decode: enrichment.Decoders(p.Kafka.Topics()), Mend: func(_ context.Context, d *deadletter.Letter) ([]byte, error) {
		if strings.Contains(string(d.Value), "account_id") { // a replay of it was refused
			return d.Value, nil
		}
		return []byte(strings.Replace(string(d.Value), `{`, `{"account_id":"`+string(d.Key)+`",`, 1)), nil
	}}
}

func pipelineOf(t *testing.T, s *server) *pipeline.Pipeline {
	t.Helper()
	p, err := pipeline.Open(s.config, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func consume(t *testing.T, p *pipeline.Pipeline) {
	t.Helper()
	if err := p.Consumers.RunUntilIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func replays(t *testing.T, r deadletter.Replay, want deadletter.Counts) {
	t.Helper()
	report, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if report.Counts != want {
		t.Errorf("replayed %+v, want %+v", report.Counts, want)
	}
}

// forgetful is a warehouse that cannot note what a replay did, as for one that dies after it sent.
type forgetful struct {
	*warehouse.Warehouse
	after int // batches that it still notes
}

func (f *forgetful) NoteReplays(ctx context.Context, replays []churn.Replay) error {
	if f.after--; f.after < 0 {
		return errors.New("the replay died")
	}
	return f.Warehouse.NoteReplays(ctx, replays)
}

func TestReplayThatDiesHalfWay(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := pipelineOf(t, s)
	const n = 1200 // batches of 500
	replay := refusedDeals(t, s, p, n)
	dying := replay
	dying.Store = &forgetful{p.Warehouse, 1}
	report, err := dying.Run(t.Context())
	if err == nil || report.Sent != 1000 {
		t.Fatalf("%v after %d records", err, report.Sent)
	}
	s.is(t, "SELECT state, count() FROM dead_letters GROUP BY state ORDER BY state", "open\t700\nsent\t500")
	// Before anybody reads: what was noted waits; what was sent and not noted is sent twice.
	replays(t, replay, deadletter.Counts{Waiting: 500, Sent: 700})
	consume(t, p)
	s.is(t, "SELECT count(), uniqExact(event_id) FROM deal_events", "1700\t1200")
	replays(t, replay, deadletter.Counts{Accepted: n})
	s.is(t, "SELECT state, count() FROM dead_letters GROUP BY state", "accepted\t1200")
	// Imported history was known when its header says, the others when their replay was stored.
	s.is(t, "SELECT event_id FROM deal_events WHERE known_at = '2026-01-03 00:00:00'", "e0")
}

// A replay that died is followed by one that finds its records stored: they are accepted, though nobody noted them.
func TestReplayFindsWhatIsStored(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := pipelineOf(t, s)
	replay := refusedDeals(t, s, p, 20)
	dying := replay
	dying.Store = &forgetful{p.Warehouse, 0}
	if _, err := dying.Run(t.Context()); err == nil {
		t.Fatal("it did not die")
	}
	consume(t, p)
	s.is(t, "SELECT state, count() FROM dead_letters GROUP BY state", "open\t20")
	replays(t, replay, deadletter.Counts{Accepted: 20})
	s.is(t, "SELECT state, count() FROM dead_letters GROUP BY state", "accepted\t20")
	consume(t, p)
	s.is(t, "SELECT count() FROM deal_events", "20")
}

func TestTwoReplaysAtOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := pipelineOf(t, s)
	replay := refusedDeals(t, s, p, 600)
	var both errgroup.Group
	for range 2 {
		both.Go(func() error {
			own := replay
			_, err := own.Run(t.Context())
			return err
		})
	}
	if err := both.Wait(); err != nil {
		t.Fatal(err)
	}
	consume(t, p)
	s.is(t, "SELECT uniqExact(event_id) FROM deal_events", "600")
	s.is(t, "SELECT count() FROM deals", "0") // no upkeep yet
	replays(t, replay, deadletter.Counts{Accepted: 600})
}

// picky is a warehouse that blames every deal, as one might that is older than the decoder.
type picky struct{ *warehouse.Warehouse }

type blamed struct{}

func (blamed) Error() string    { return "no such currency" }
func (blamed) RowRefused() bool { return true }

func (picky) InsertDeals(context.Context, string, time.Time, []churn.Batch[churn.DealEvent]) error {
	return blamed{}
}

func TestReplayThatIsRefusedAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := pipelineOf(t, s)
	const n = 10
	replay := refusedDeals(t, s, p, n)
	for round := range 2 {
		replays(t, replay, deadletter.Counts{Sent: n})
		p.Consumers.Store = picky{p.Warehouse}
		consume(t, p)
		s.is(t, "SELECT countIf(state = 'open'), countIf(state = 'refused_again'), countIf(replay_of != '') FROM dead_letters",
			fmt.Sprintf("%d\t%d\t%d", n, n*(round+1), n*(round+1)))
	}
	var groups []warehouse.DeadLetterGroup
	if err := json.Unmarshal([]byte(s.command(t, "deadletter", "list", "--json")), &groups); err != nil {
		t.Fatal(err)
	}
	if len(groups) != 2 || groups[0].Code != churn.CodeRefusedByStore || groups[0].Open != n || groups[0].RefusedAgain != n || groups[0].Replays != 2*n ||
		groups[1].Code != churn.CodeMissingField || groups[1].RefusedAgain != n || groups[1].Open != 0 {
		t.Errorf("%+v", groups)
	}
	// Whichever dead letter of a record is named, the record goes once.
	var first, last churn.Position
	for _, name := range []struct {
		state string
		into  *churn.Position
	}{{"replay_of = ''", &first}, {"state = 'open'", &last}} {
		path := s.sql(t, "SELECT position FROM dead_letters WHERE "+name.state+" AND if(replay_of = '', position, replay_of) LIKE '%/0' LIMIT 1")
		position, err := churn.ParsePosition(path)
		if err != nil {
			t.Fatal(err)
		}
		*name.into = position
	}
	p.Consumers.Store = p.Warehouse
	one := replay
	one.Positions, one.Code = []churn.Position{first, last}, churn.CodeRefusedByStore // the last refusal's
	report, err := one.Run(t.Context())
	if err != nil || report.Sent < 1 || report.Sent > 2 || report.Records != report.Sent {
		t.Fatalf("%+v, %v", report.Counts, err)
	}
	rest := replay
	replays(t, rest, deadletter.Counts{Sent: n - report.Sent, Waiting: report.Sent})
	consume(t, p)
	replays(t, replay, deadletter.Counts{Accepted: n})
	s.is(t, "SELECT count(), uniqExact(event_id) FROM deal_events", fmt.Sprintf("%d\t%d", n, n))
	s.is(t, "SELECT state, count() FROM dead_letters GROUP BY state", fmt.Sprintf("accepted\t%d", 3*n))
	s.is(t, "SELECT count() FROM rejections_now WHERE code = 'refused_by_store'", "0") // no news: whoever replays sees them
}

// Feedback that was refused, mended and replayed is seen as accepted, by the next replay and in the list.
func TestAReplayOfFeedbackIsAccepted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := pipelineOf(t, s)
	out := broker.NewProducer(p.Kafka)
	if err := out.Add(t.Context(), p.Kafka.Topics().Feedback, "f", []byte(`{"event_id":"e","what":"ack","whom":"ada"}`), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(out.Flush(t.Context()), out.Close()); err != nil {
		t.Fatal(err)
	}
	consume(t, p)
	s.is(t, "SELECT topic, code, state FROM dead_letters", p.Kafka.Topics().Feedback+"\tmissing_field\topen")
	enrichment, err := p.Config.Models.Enrichment()
	if err != nil {
		t.Fatal(err)
	}
	replay := deadletter.Replay{Kafka: p.Kafka, Store: p.Warehouse, Decode: enrichment.Decoders(p.Kafka.Topics()),
		Mend: func(_ context.Context, d *deadletter.Letter) ([]byte, error) {
			return []byte(strings.Replace(string(d.Value), "whom", "who", 1)), nil
		}}
	replays(t, replay, deadletter.Counts{Sent: 1})
	replays(t, replay, deadletter.Counts{Waiting: 1})
	s.is(t, "SELECT state FROM dead_letters", "sent")
	consume(t, p)
	s.is(t, "SELECT count() FROM feedback", "1")
	replays(t, replay, deadletter.Counts{Accepted: 1})
	s.is(t, "SELECT state FROM dead_letters", "accepted")
}
