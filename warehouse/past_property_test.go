package warehouse

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/govalues/decimal"
	"pgregory.net/rapid"

	"github.com/aftershock/aftershock/churn"
)

// pastQueries read every view that depends on the instant: whole, in part, twice, and one inside another.
var pastQueries = []string{
	"SELECT * FROM contract_signals(at = {at:DateTime64(3, 'UTC')}) ORDER BY ALL",
	"SELECT * FROM account_risk(at = {at:DateTime64(3, 'UTC')}) ORDER BY ALL",
	"SELECT * FROM deals_at(at = {at:DateTime64(3, 'UTC')}) ORDER BY ALL",
	"SELECT * FROM links_at(at = {at:DateTime64(3, 'UTC')}) ORDER BY ALL",
	"SELECT * FROM source_freshness(at = {at:DateTime64(3, 'UTC')}) ORDER BY ALL",
	"SELECT * FROM rejections(at = {at:DateTime64(3, 'UTC')}) ORDER BY ALL",
	`SELECT account_id, contract_id, days_since_close, attempts_90d, sum(arr_at_risk) OVER (PARTITION BY account_id) AS at_risk
	FROM contract_signals(at = {at:DateTime64(3, 'UTC')}) AS c
	WHERE in_force AND (account_id, contract_id) NOT IN (SELECT account_id, renewal_of FROM deals_at(at = {at:DateTime64(3, 'UTC')}))
	ORDER BY ALL`,
	"SELECT count() AS n FROM account_risk(at = {at:DateTime64(3, 'UTC')})",
	"SELECT a.account_id AS account_id, count() AS n FROM account_risk(at = {at:DateTime64(3, 'UTC')}) AS a JOIN links_at(at = {at:DateTime64(3, 'UTC')}) AS l ON l.account_id = a.account_id GROUP BY ALL ORDER BY ALL",
}

// What a snapshot answers is what the views answer, at any instant of a random history, in whichever order one asks, whichever
// columns the queries name, and whether it was told beforehand: of an instant, of some of its queries, of one twice, or not.
func TestSnapshotsAnswerAsTheViews(t *testing.T) {
	if err := flag.Set("rapid.checks", "12"); err != nil {
		t.Fatal(err)
	}
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		w, done := borrow(t)
		defer done()
		f := newFeed(t, w)
		round++
		begin := time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)
		instant := func(name string) time.Time {
			return begin.Add(time.Duration(rapid.IntRange(0, 360*24).Draw(rt, name)) * time.Hour)
		}
		var facts []fact
		var rejected []churn.Rejected
		for n := range rapid.IntRange(10, 40).Draw(rt, "records") {
			known := instant("known")
			facts = append(facts, drawFact(rt, fmt.Sprintf("r%d", round), n, known))
			if rapid.IntRange(0, 3).Draw(rt, "rejected too") == 0 {
				rejected = append(rejected, churn.Rejected{RejectedAt: known, KnownAt: known, Source: "deals", Rejection: churn.Rejection{Code: churn.CodeBadMoney},
					Position: churn.Position{Topic: "deals.closed", Offset: int64(n), Time: known}})
			}
		}
		f.store(facts...)
		if err := w.StoreRejected(t.Context(), "", rejected); err != nil {
			rt.Fatal(err)
		}
		if err := w.StoreRates(t.Context(), []churn.Rate{{Currency: "EUR", Rate: decimal.MustParse("1.1"), ValidFrom: instant("rate")}}); err != nil {
			rt.Fatal(err)
		}
		if err := w.StoreOwners(t.Context(), []churn.Owner{{AccountID: fmt.Sprintf("r%d-a0", round), KnownAt: instant("owner"),
			Owners: churn.Owners{AccountManager: "Ada", Team: "North"}}}); err != nil {
			rt.Fatal(err)
		}
		f.update()
		queries := []string{}
		for i, text := range pastQueries {
			if rapid.Bool().Draw(rt, fmt.Sprintf("query %d", i)) {
				queries = append(queries, text)
			}
		}
		past, err := w.OpenPast()
		if err != nil {
			rt.Fatal(err)
		}
		defer past.Close()
		rows := 0
		var instants []time.Time
		for range rapid.IntRange(1, 5).Draw(rt, "instants") {
			instants = append(instants, instant("at").AddDate(0, rapid.IntRange(0, 6).Draw(rt, "months later"), 0))
		}
		told := 0
		expect := func() { // as a backtest does, or less than it
			if told < len(instants) && len(queries) > 0 {
				past.Prefetch(t.Context(), instants[told], rapid.SliceOfN(rapid.SampledFrom(queries), 0, 2*len(queries)).Draw(rt, "expected"))
			}
			told++
		}
		expect()
		expect()
		for _, at := range instants {
			expect()
			for _, text := range rapid.Permutation(queries).Draw(rt, "order") {
				want, err := w.Rows(t.Context(), text, at)
				if err != nil {
					rt.Fatal(err)
				}
				got, err := past.Rows(t.Context(), text, at)
				if err != nil {
					rt.Fatal(err)
				}
				if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b decimal.Decimal) bool { return a == b }), cmpopts.EquateNaNs()); diff != "" {
					rt.Fatalf("at %s (-views +snapshots): %s\n%s", at, text, diff)
				}
				rows += len(want)
			}
		}
		t.Logf("%d records, %d queries, %d rows", len(facts), len(queries), rows)
	})
}

// A query that names a mistake is told so by either, and the next one is answered.
func TestPastGoesOnAfterAMistake(t *testing.T) {
	w := open(t)
	good := pastQueries[0]
	past, err := w.OpenPast()
	if err != nil {
		t.Fatal(err)
	}
	defer past.Close()
	const nonsense = "SELECT nonsense FROM contract_signals(at = {at:DateTime64(3, 'UTC')})"
	past.Prefetch(t.Context(), now(), []string{good, nonsense, good})
	for range 2 {
		if _, err := past.Rows(t.Context(), nonsense, now()); err == nil || !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("nonsense is answered, or it is not said what is wrong: %v", err)
		}
		if _, err := past.Rows(t.Context(), good, now()); err != nil {
			t.Error(err)
		}
	}
	for i := range 4 { // every session is used again, and the one that failed does not fail for ever
		at := now().AddDate(0, 0, i)
		past.Prefetch(t.Context(), at, []string{good, good})
		if _, err := past.Rows(t.Context(), good, at); err != nil {
			t.Error(err)
		}
		if s := past.instants()[2]; len(s.kept()) != 1 {
			t.Errorf("after a mistake nothing is kept of the instant %s", at)
		}
	}
}

// What several queries read of a view is worked out once, of the columns that they read and no others; what one query reads is
// written into it; a scalar subquery, which no plan shows, is answered too.
func TestWhatIsKeptOfThePast(t *testing.T) {
	w := open(t)
	past, err := w.OpenPast()
	if err != nil {
		t.Fatal(err)
	}
	defer past.Close()
	const of = "(at = {at:DateTime64(3, 'UTC')})"
	for _, c := range []struct {
		why     string
		queries []string
		kept    string
	}{
		{"one reader keeps nothing", []string{"SELECT account_id FROM contract_signals" + of}, ""},
		{"two readers", []string{"SELECT account_id FROM contract_signals" + of, "SELECT max(hardness) AS h FROM contract_signals" + of + " WHERE in_force"},
			"contract_signals: `account_id`, `in_force`, `hardness`"},
		{"one that reads it twice", []string{"SELECT a.account_id AS x FROM links_at" + of + " AS a JOIN links_at" + of + " AS b ON a.contract_id = b.contract_id"}, "links_at: `account_id`, `contract_id`"},
		{"a view reads another", []string{"SELECT owner FROM contract_signals" + of, "SELECT account_id, hardness_max FROM account_risk" + of},
			"contract_signals: `account_id`, `in_force`, `owner`, `hardness`"},
		{"no plan shows a scalar subquery", []string{"SELECT band FROM contract_signals" + of, "WITH (SELECT max(segment) FROM contract_signals" + of + ") AS s SELECT s"}, "contract_signals: *"},
	} {
		past.Prefetch(t.Context(), now(), c.queries)
		for _, q := range c.queries {
			if _, err := past.Rows(t.Context(), q, now()); err != nil {
				t.Errorf("%s: %v", c.why, err)
			}
		}
		var kept []string
		for _, v := range past.plans[strings.Join(c.queries, "\x00")].kept {
			kept = append(kept, v.Name+": "+v.columns)
		}
		if got := strings.Join(kept, "; "); got != c.kept {
			t.Errorf("%s: kept is %q, want %q", c.why, got, c.kept)
		}
	}
}
