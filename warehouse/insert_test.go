package warehouse

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// Views count an event once, however often it stands: only the bare tables show whether an insert stores what it was given.
func TestEveryRowIsStoredOnce(t *testing.T) {
	w := open(t)
	f := newFeed(t, w)
	for i := range 3 {
		f.store(parseFacts(t, fmt.Sprintf(`deal 2024-01-01 {"event_id":"d%d","deal_id":"d","account_id":"a","closed_at":"2024-01-01"}
			ticket 2024-01-01 {"event_id":"t%d","ticket_id":"t","account_id":"a","opened_at":"2024-01-01"}`, i, i))...)
	}
	several := make([]churn.Batch[churn.DealEvent], 3)
	for i := range several {
		several[i] = batchOf(w.NewDealBatch, churn.DealEvent{DealClosed: churn.DealClosed{AccountID: "b", EventID: fmt.Sprint(i), ClosedAt: now()}})
	}
	if err := w.InsertDeals(t.Context(), "", now(), several); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"SELECT toString(count()) FROM deal_events":                                 "6\n",
		"SELECT toString(count()) FROM ticket_events":                               "3\n",
		"SELECT toString(sum(records)) FROM source_stamps WHERE source = 'deals'":   "6\n",
		"SELECT toString(sum(records)) FROM source_stamps WHERE source = 'tickets'": "3\n",
	} {
		if got := lines(t, w, query, now()); got != want {
			t.Errorf("%s gives %swant %s", query, got, want)
		}
	}
}

// An insert whose connection is cut after any number of bytes, in whichever of its batches, stores all of its rows or none, and a
// repeat with the same token completes it.
func TestAnInsertThatIsCutIsAllOrNothing(t *testing.T) {
	w := migrated(t) // the server may still be at one that was cut
	const batches, rows = 4, 3000
	for try, after := range []int64{0, 200, 1_000, 50_000, 400_000, 1_000_000, 2_000_000, 3_000_000, 1 << 40} {
		var all []churn.Batch[churn.DealEvent]
		for b := range batches {
			events := make([]churn.DealEvent, rows)
			for i := range events {
				events[i] = churn.DealEvent{DealClosed: churn.DealClosed{AccountID: fmt.Sprint("cut", try), DealID: fmt.Sprint(b, "-", i), EventID: fmt.Sprint(b, "-", i), ClosedAt: now()},
					Stamp: churn.Stamp{Payload: bytes.Repeat([]byte("x"), 100)}}
			}
			all = append(all, batchOf(w.NewDealBatch, events...))
		}
		stored := func() string {
			return lines(t, w, fmt.Sprintf("SELECT toString(count()) FROM deal_events WHERE account_id = 'cut%d'", try), now())
		}
		c := w.config
		c.Addr = cutting(t, w.config.Addr, after)
		through, err := Open(c, now)
		if err != nil {
			t.Fatal(err)
		}
		token := fmt.Sprint("cut/", try)
		err = through.InsertDeals(t.Context(), token, now(), all)
		through.Close()
		if got := stored(); got != "0\n" && got != fmt.Sprintln(batches*rows) {
			t.Errorf("cut after %d bytes: %s rows of %d are stored", after, got, batches*rows)
		} else if err == nil && got == "0\n" {
			t.Errorf("cut after %d bytes: nothing is stored, though the insert succeeded", after)
		}
		if cut := after < 1<<40; cut == (err == nil) {
			t.Errorf("cut after %d bytes: the error is %v", after, err)
		}
		if err := w.InsertDeals(t.Context(), token, now(), all); err != nil {
			t.Fatal(err)
		}
		if got := stored(); got != fmt.Sprintln(batches*rows) {
			t.Errorf("cut after %d bytes, then repeated: %s rows of %d are stored", after, got, batches*rows)
		}
	}
}

// cutting is the address of a way to the server that ends after so many bytes.
func cutting(t *testing.T, server string, after int64) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				return
			}
			go func() {
				_, _ = io.Copy(client, upstream)
				client.Close()
			}()
			go func() {
				_, _ = io.CopyN(upstream, client, after)
				client.Close()
				upstream.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

// What a batch takes in is what the table gives out, whatever the values and however often the batch was used before.
func TestABatchKeepsEveryValue(t *testing.T) {
	w := open(t)
	batch := w.NewDealBatch()
	rounds := [2]*float64{nil, new(float64)}
	for round := range rounds {
		batch.Reset()
		for i := range 300 { // more different words than fit a byte
			price := churn.OptionalMoney{}
			if i%2 == 0 {
				price = churn.MustMoney("12.34")
			}
			e := churn.DealEvent{
				DealClosed: churn.DealClosed{AccountID: "a", DealID: fmt.Sprint(i), EventID: fmt.Sprint(round, "-", i), Segment: fmt.Sprint("segment", i%290), Revision: int64(i) - 5,
					ClosedAt: now(), TermMonths: i, SignedPrice: price},
				Stamp: churn.Stamp{Payload: fmt.Append(nil, "payload", i), Position: churn.Position{Topic: "deals", Offset: int64(i)}},
				Hardness: churn.Hardness{Band: churn.BandHard, Score: float64(i), DiscountDepth: rounds[round], Missing: []string{"x", fmt.Sprint(i)},
					Contributions: make([]churn.Contribution, i%3)},
			}
			for j := range e.Hardness.Contributions {
				e.Hardness.Contributions[j] = churn.Contribution{Component: fmt.Sprint("c", j), Value: float64(j), Points: float64(i), Evidence: fmt.Sprint("because ", i, j)}
			}
			if i%7 == 0 {
				e.KnownAt = now().AddDate(-1, 0, 0)
			}
			batch.Add(&e)
		}
		if err := w.InsertDeals(t.Context(), "", now(), []churn.Batch[churn.DealEvent]{batch}); err != nil {
			t.Fatal(err)
		}
	}
	got := lines(t, w, `SELECT concat(toString(count()), ' ', toString(countIf(
			segment = concat('segment', toString(n % 290)) AND revision = n - 5 AND term_months = n AND signed_price IS NOT DISTINCT FROM if(n % 2 = 0, toDecimal64('12.34', 4), NULL)
			AND payload = concat('payload', deal_id) AND topic = 'deals' AND offset = n AND hardness = n AND isNull(discount_depth) = startsWith(event_id, '0-')
			AND missing = ['x', deal_id] AND length(components) = n % 3 AND component_points = arrayWithConstant(n % 3, toFloat64(n))
			AND component_evidence = arrayMap(j -> concat('because ', deal_id, ' ', toString(j)), range(n % 3)) AND components = arrayMap(j -> concat('c', toString(j)), range(n % 3))
			AND known_at = if(n % 7 = 0, toDateTime64('2025-01-01 00:00:00', 3, 'UTC'), toDateTime64('2026-01-01 00:00:00', 3, 'UTC')))))
		FROM (SELECT *, toInt64(deal_id) AS n FROM deal_events)`, now())
	if got != "600 600\n" {
		t.Errorf("%s rows are there and as they were given; want 600 600", got)
	}
}

func batchOf[E any](open func() churn.Batch[E], events ...E) churn.Batch[E] {
	b := open()
	for i := range events {
		b.Add(&events[i])
	}
	return b
}

// Every table that rows are inserted into has the columns that we name, of the types that we send. A column that we do not name has
// a default.
func TestTablesAreTheServers(t *testing.T) {
	w := open(t)
	defaults := map[string]string{"feedback": "stored_at\n"}
	for table, ours := range map[string]string{
		dealEvents.name: described(&dealEvents.table), ticketEvents.name: described(&ticketEvents.table), feedbackEvents.name: described(&feedbackEvents.table),
		rejectedEvents.name: described(&rejectedEvents), replays.name: described(&replays), owners.name: described(&owners), fx.name: described(&fx),
		claims.name: described(&claims), alertLog.name: described(&alertLog), alertDeliveries.name: described(&alertDeliveries),
	} {
		server := lines(t, w, "SELECT format('{} {}', name, type) FROM system.columns WHERE database = currentDatabase() AND table = '"+table+
			"' AND default_kind != 'ALIAS' AND name != '"+strings.TrimSpace(defaults[table])+"' ORDER BY name", now())
		if diff := cmp.Diff(server, ours); diff != "" {
			t.Errorf("%s (-server +ours):\n%s", table, diff)
		}
	}
}

func described[R any](of *table[R]) string {
	var columns []string
	for _, c := range of.batch().input {
		columns = append(columns, fmt.Sprintf("%s %s\n", c.Name, c.Data.Type()))
	}
	slices.Sort(columns)
	return strings.Join(columns, "")
}

func TestColumnsOfUnequalLengthsAreRefused(t *testing.T) {
	b := replays.batch()
	b.Add(&churn.Replay{})
	b.column("account_id").Reset()
	if err := b.check(); err == nil || err.Error() != "column account_id has 0 values for 1 rows" {
		t.Error(err)
	}
}

// The statements' files declare the rows that they are sent, which no table holds.
func TestStatementsDeclareTheRowsThatTheyAreSent(t *testing.T) {
	declared := regexp.MustCompile(`(?s)format\(Native, '(.*?)',\s+base64Decode|format\(Native, '(.*?)', base64Decode`)
	for name, ours := range map[string]string{"upkeep_links": described(&linkRows), "upkeep_unmatched": described(&unmatchedRows), "note_ids": described(&arrivedRows)} {
		found := declared.FindStringSubmatch(query(name))
		if found == nil {
			t.Fatalf("%s: no rows are declared", name)
		}
		columns := strings.Split(strings.Join(strings.Fields(strings.ReplaceAll(found[1]+found[2], `\'`, "'")), " "), ", ")
		var joined []string
		for _, c := range columns {
			if strings.HasPrefix(c, "'") { // the zone, behind the precision
				joined[len(joined)-1] += ", " + c
				continue
			}
			joined = append(joined, c)
		}
		slices.Sort(joined)
		if diff := cmp.Diff(strings.Join(joined, "\n")+"\n", ours); diff != "" {
			t.Errorf("%s (-declared +sent):\n%s", name, diff)
		}
	}
}

// A server that was restarted has closed the connections that lay idle: the next insert takes another one, and does not fail.
func TestAnInsertAfterARestartSucceeds(t *testing.T) {
	w := migrated(t) // the server may still be at an insert whose connection was ended
	c := w.config
	var restart func()
	c.Addr, restart = restarting(t, w.config.Addr)
	through, err := Open(c, now)
	if err != nil {
		t.Fatal(err)
	}
	defer through.Close()
	for i := range 3 {
		note := alert.Delivery{Transition: alert.Transition{ID: fmt.Sprint(i)}}
		var wg sync.WaitGroup
		for range 4 { // so that several connections are idle
			wg.Go(func() {
				if err := through.Delivered(t.Context(), "d", now(), []alert.Delivery{note}); err != nil {
					t.Errorf("after %d restarts: %v", i, err)
				}
			})
		}
		wg.Wait()
		restart()
	}
}

// restarting is the address of a way to the server, and a function that ends its connections, but takes new ones.
func restarting(t *testing.T, server string) (addr string, restart func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	var lock sync.Mutex
	var open []net.Conn
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				return
			}
			lock.Lock()
			open = append(open, client, upstream)
			lock.Unlock()
			go func() { _, _ = io.Copy(client, upstream) }()
			go func() { _, _ = io.Copy(upstream, client) }()
		}
	}()
	return listener.Addr().String(), func() {
		lock.Lock()
		defer lock.Unlock()
		for _, c := range open {
			c.Close()
		}
		open = nil
	}
}
