package warehouse

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/attempts"
	"github.com/aftershock/aftershock/testservers"
)

func TestMain(m *testing.M) { os.Exit(testservers.Main(m)) }

var databases atomic.Int64

// now is the instant at which every test writes.
func now() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// open returns a migrated warehouse in a database of its own.
func open(t testing.TB) *Warehouse {
	t.Helper()
	w, done := borrow(t)
	t.Cleanup(done)
	return w
}

// borrow is open for a test that takes many, one after the other. Nothing may be under way when it is done with one.
func borrow(t testing.TB) (w *Warehouse, done func()) {
	t.Helper()
	name, release := testservers.Migrated(t, func(database string) error {
		w := connected(t, database)
		defer w.Close()
		return w.Migrate(t.Context())
	}, func(string) error { return w.Forget(context.WithoutCancel(t.Context())) })
	w = connected(t, name)
	return w, func() {
		release()
		w.Close()
	}
}

// migrated is a warehouse whose database came from nothing just now, and is nobody else's afterwards.
func migrated(t testing.TB) *Warehouse {
	t.Helper()
	w := unmigrated(t)
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// unmigrated is a warehouse whose database does not exist yet.
func unmigrated(t testing.TB) *Warehouse {
	t.Helper()
	w := connected(t, fmt.Sprintf("test_%d", databases.Add(1)))
	t.Cleanup(func() { w.Close() })
	return w
}

func connected(t testing.TB, database string) *Warehouse {
	t.Helper()
	c := DefaultConfig()
	c.Addr, c.Database = testservers.ClickHouse(t).Addr, database
	w, err := Open(c, now)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// fact is one record of a test: what a consumer would have stored.
type fact struct {
	kind    string
	knownAt time.Time
	value   string
}

var dateOnly = regexp.MustCompile(`"(\d{4}-\d\d-\d\d)"`)

// parseFacts reads lines `deal|ticket KNOWN {json}`; a bare date is midnight, absent event_id, currency and price are filled in.
func parseFacts(t testing.TB, text string) []fact {
	t.Helper()
	var facts []fact
	for line := range strings.Lines(text) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind == "" {
			continue
		}
		known, value, _ := strings.Cut(rest, " ")
		fields := map[string]any{"event_id": fmt.Sprintf("e%d", len(facts)+1)}
		if kind == "deal" {
			fields["currency"], fields["signed_price"] = "USD", 1000
		}
		if err := json.Unmarshal([]byte(dateOnly.ReplaceAllString(value, `"${1}T00:00:00Z"`)), &fields); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		full, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		facts = append(facts, fact{kind, at(t, known), string(full)})
	}
	return facts
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	if len(text) == len("2006-01-02") {
		text += "T00:00:00Z"
	}
	instant, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return instant
}

// feed is a topic of one partition for each kind, as the tests fill it.
type feed struct {
	t       testing.TB
	w       *Warehouse
	offsets map[churn.TopicPartition]int64
}

func newFeed(t testing.TB, w *Warehouse) *feed {
	return &feed{t, w, map[churn.TopicPartition]int64{}}
}

// store stores facts as one batch a kind, as a consumer would. A ticket is an attempt where its category says so.
func (f *feed) store(facts ...fact) {
	f.t.Helper()
	var deals []churn.DealEvent
	var tickets []churn.TicketEvent
	for _, x := range facts {
		tp := churn.TopicPartition{Topic: x.kind}
		stamp := churn.Stamp{
			Position: churn.Position{Topic: tp.Topic, Offset: f.offsets[tp], Time: now()},
			KnownAt:  x.knownAt, Hash: sha256.Sum256([]byte(x.value)), Payload: []byte(x.value),
		}
		f.offsets[tp]++
		if x.kind == "deal" {
			d, err := churn.DecodeDeal([]byte(x.value), time.Time{})
			if err != nil {
				f.t.Fatal(err)
			}
			deals = append(deals, churn.DealEvent{DealClosed: d, Stamp: stamp, Hardness: hardnessOf(d)})
			continue
		}
		ticket, err := churn.DecodeTicket([]byte(x.value), time.Time{})
		if err != nil {
			f.t.Fatal(err)
		}
		tickets = append(tickets, churn.TicketEvent{SupportTicket: ticket, Stamp: stamp, Attempt: attemptOf(ticket)})
	}
	if err := f.w.StoreDeals(f.t.Context(), "", deals); err != nil {
		f.t.Fatal(err)
	}
	if err := f.w.StoreTickets(f.t.Context(), "", tickets); err != nil {
		f.t.Fatal(err)
	}
}

// update takes in everything stored, by a Links that starts from what the warehouse remembers, as after a restart.
func (f *feed) update() LinksResult {
	f.t.Helper()
	return f.takenBy(f.openLinks())
}

func (f *feed) openLinks() *Links {
	f.t.Helper()
	u, err := f.w.OpenLinks(f.t.Context(), "test")
	if err != nil {
		f.t.Fatal(err)
	}
	return u
}

// takenBy takes in everything stored, by a Links that is open already.
func (f *feed) takenBy(u *Links) LinksResult {
	f.t.Helper()
	r, err := u.Update(f.t.Context(), f.offsets)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// hardnessOf stands in for the model, which has tests of its own: the segment names the band.
func hardnessOf(d churn.DealClosed) churn.Hardness {
	band := churn.Band(d.Segment)
	if d.Segment == "" {
		band = churn.BandUnknown
	}
	return churn.Hardness{
		Score: 80, Band: band, Coverage: 0.5, Missing: []string{"anticipated_price"}, ModelVersion: "test",
		Contributions: []churn.Contribution{{Component: "price_premium", Value: 0.1, Points: 80, Evidence: "10% above"}},
	}
}

// attemptOf stands in for the classifier: a ticket may name the class and strength in its subject.
func attemptOf(t churn.SupportTicket) churn.Classification {
	c := churn.Classification{ModelVersion: "test"}
	if t.Category == "attempt" {
		c.At = t.OpenedAt
		finding := churn.Finding{Class: attempts.ClassPriceReduction, Strength: churn.Strong, Confidence: 0.9, Quote: "lower it", At: t.OpenedAt, Rule: "test"}
		if class, strength, named := strings.Cut(t.Subject, " "); named {
			finding.Class, finding.Strength = class, churn.Strength(strength)
		}
		c.Findings = []churn.Finding{finding}
	}
	return c
}

// lines runs a query and returns its rows as lines of space-separated cells.
func lines(t testing.TB, w *Warehouse, text string, instant time.Time) string {
	t.Helper()
	rows, err := w.conn.Query(withInstant(t.Context(), instant), text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		b.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
