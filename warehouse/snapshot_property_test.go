package warehouse

import (
	"flag"
	"fmt"
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

// What a snapshot answers is what the views answer, at any instant of a random history, in whichever order one asks, and
// whichever columns the queries name.
func TestSnapshotsAnswerAsTheViews(t *testing.T) {
	if err := flag.Set("rapid.checks", "12"); err != nil {
		t.Fatal(err)
	}
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := open(t)
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
		if err := w.StoreRates(t.Context(), []Rate{{Currency: "EUR", Rate: decimal.MustParse("1.1"), ValidFrom: instant("rate")}}); err != nil {
			rt.Fatal(err)
		}
		if err := w.StoreOwners(t.Context(), []Owner{{AccountID: fmt.Sprintf("r%d-a0", round), KnownAt: instant("owner"),
			Owners: churn.Owners{AccountManager: "Ada", Team: "North"}}}); err != nil {
			rt.Fatal(err)
		}
		f.upkeep()
		queries := []string{}
		for i, text := range pastQueries {
			if rapid.Bool().Draw(rt, fmt.Sprintf("query %d", i)) {
				queries = append(queries, text)
			}
		}
		past, err := w.OpenPast(t.Context(), queries)
		if err != nil {
			rt.Fatal(err)
		}
		defer past.Close()
		rows := 0
		for range rapid.IntRange(1, 4).Draw(rt, "instants") {
			at := instant("at").AddDate(0, rapid.IntRange(0, 6).Draw(rt, "months later"), 0)
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
	past, err := w.OpenPast(t.Context(), []string{good})
	if err != nil {
		t.Fatal(err)
	}
	defer past.Close()
	if _, err := past.Rows(t.Context(), "SELECT nonsense FROM contract_signals(at = {at:DateTime64(3, 'UTC')})", now()); err == nil {
		t.Error("nonsense is answered")
	}
	if _, err := past.Rows(t.Context(), good, now()); err != nil {
		t.Error(err)
	}
}
