package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/govalues/decimal"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/rules/engine"
	"github.com/aftershock/aftershock/warehouse"
)

// extremes draws records in which every field has an extreme value, an everyday one or none.
type extremes struct{ *rand.Rand }

var (
	extremeInstants = []string{"1970-01-01T00:00:00Z", "1970-03-01T00:00:00.001Z", "2026-11-20T10:00:00Z", "2026-11-28T10:00:00Z", "2199-06-30T00:00:00Z", "2200-12-31T23:59:59.999Z"}
	extremeAmounts  = []string{"0", "0.0001", "1", "1200.5", "99999999999999", "99999999999999.9999"}
	extremeCounts   = []int64{0, 1, 7, math.MaxInt32}
	extremeTexts    = []string{"x", "a\x00b", "\u202e\U0001F680", `"'\{{.x}} {at:DateTime64(3)}` + "\t\n", strings.Repeat("long ", 400)}
)

func one[V any](x extremes, of ...V) V { return of[x.IntN(len(of))] }

// given are fields of an object, of which some are left out.
func (x extremes) given(always map[string]any, sometimes map[string]any) map[string]any {
	for name, value := range sometimes {
		if x.IntN(3) > 0 {
			always[name] = value
		}
	}
	return always
}

func (x extremes) messages() (all []any) {
	for range x.IntN(4) {
		all = append(all, x.given(map[string]any{"text": one(x, "Please cut the price by 20%, or we cancel.", one(x, extremeTexts...))},
			map[string]any{"at": one(x, extremeInstants...), "from": one(x, "client", "vendor")}))
	}
	return all
}

func (x extremes) concessions() (all []any) {
	for range x.IntN(4) {
		all = append(all, x.given(map[string]any{"term": one(x, "payment terms", one(x, extremeTexts...))}, map[string]any{"value": one(x, extremeAmounts...)}))
	}
	return all
}

func (x extremes) deal(n int) map[string]any {
	id := strconv.Itoa(n)
	return x.given(map[string]any{
		"event_id": "e" + id, "deal_id": "d" + id, "account_id": "a" + strconv.Itoa(n%12), "closed_at": one(x, extremeInstants...),
		"currency": one(x, "USD", "EUR", "JPY", "KWD"), "signed_price": one(x, extremeAmounts...), "outcome": one(x, "won", "won", "lost"),
	}, map[string]any{
		"revision": one(x, math.MinInt64, -1, 0, math.MaxInt64), "occurred_at": one(x, extremeInstants...), "account_name": one(x, extremeTexts...),
		"segment": one(x, extremeTexts...), "contract_id": "c" + strconv.Itoa(n%30), "renewal_of": "c" + strconv.Itoa(n%7),
		"deal_type": one(x, "new", "renewal", "expansion", "downgrade"), "list_price": one(x, extremeAmounts...), "anticipated_price": one(x, extremeAmounts...),
		"annual_value": one(x, extremeAmounts...), "term_months": one(x, 1, 12, 1200), "ends_at": one(x, extremeInstants...),
		"owners": x.given(map[string]any{}, map[string]any{"account_executive": one(x, extremeTexts...), "account_manager": "m", "team": one(x, extremeTexts...)}),
		"negotiation": x.given(map[string]any{}, map[string]any{
			"opened_at": one(x, extremeInstants...), "rounds": one(x, extremeCounts...), "ultimatums": one(x, extremeCounts...), "escalations": one(x, extremeCounts...),
			"client_concessions": x.concessions(), "vendor_concessions": x.concessions(), "deadline_pressure": one(x, true, false),
			"tone": one(x, -1, 0, 5e-324, 1), "unresolved_requests": []string{one(x, extremeTexts...)}, "common_ground": []string{one(x, extremeTexts...)},
			"messages": x.messages(),
		}),
		"source": map[string]any{"system": one(x, extremeTexts...), "url": one(x, extremeTexts...)},
	})
}

func (x extremes) ticket(n int) map[string]any {
	id := strconv.Itoa(n)
	return x.given(map[string]any{
		"event_id": "t" + id, "ticket_id": "T" + id, "account_id": "a" + strconv.Itoa(n%12), "opened_at": one(x, extremeInstants...),
		"body": one(x, "We were charged twice and want a refund. The price is too high, please lower it.", one(x, extremeTexts...)),
	}, map[string]any{
		"revision": one(x, math.MinInt64, -1, 0, math.MaxInt64), "occurred_at": one(x, extremeInstants...), "contract_id": "c" + strconv.Itoa(n%30),
		"status": one(x, extremeTexts...), "priority": one(x, extremeTexts...), "channel": one(x, extremeTexts...), "subject": one(x, extremeTexts...),
		"comments": x.messages(), "tags": []string{one(x, extremeTexts...), "discount"}, "category": one(x, "renegotiation", one(x, extremeTexts...)),
		"satisfaction": one(x, -math.MaxFloat64, 5e-324, math.MaxFloat64), "outage_related": true, "vendor_error": one(x, true, false),
		"assignee": one(x, extremeTexts...), "source": map[string]any{"system": one(x, extremeTexts...), "url": one(x, extremeTexts...)},
	})
}

func (x extremes) events(t *testing.T, deals, tickets int) (all []rules.TestEvent) {
	add := func(kind string, record map[string]any) {
		value, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		// What is known when is extreme too; what the decoder refuses (an end before the close) is no fact.
		at, err := time.Parse(time.RFC3339, one(x, extremeInstants[:4]...))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rules.TestEvent{Kind: kind, Value: value, KnownAt: at, Raw: true})
	}
	for n := range deals {
		add("deal", x.deal(n))
	}
	for n := range tickets {
		add("ticket", x.ticket(n))
	}
	return all
}

// No value that is accepted makes a view or a rule fail, now or as of any instant, alone or summed up with others.
func TestNoAcceptedValueMakesAnythingFail(t *testing.T) {
	t.Parallel()
	scratch := openScratch(t)
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			x := extremes{rand.New(rand.NewPCG(seed, 1))}
			if err := scratch.Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
			importExtremes(t, scratch, x)
			if err := scratch.Store(t.Context(), x.events(t, 150, 150)); err != nil {
				t.Fatal(err)
			}
			nothingFails(t, scratch)
		})
	}
}

// A yearly value may have more digits than the price that it comes from. The views show it; an alert holds what it can and says the rest.
func TestALargePriceShowsItsTrueYearlyValue(t *testing.T) {
	t.Parallel()
	scratch := openScratch(t)
	at := time.Date(2026, 11, 29, 6, 0, 0, 0, time.UTC)
	var events []rules.TestEvent
	for id, facts := range map[string]string{
		"year":   `"signed_price":"99999999999999","term_months":12`,
		"month":  `"signed_price":"99999999999999.9999","term_months":1`,
		"annual": `"signed_price":"1","annual_value":"99999999999999.9999","term_months":1`,
		"decade": `"signed_price":"0.0001","term_months":120`,
	} {
		value := fmt.Sprintf(`{"event_id":"e","deal_id":%q,"account_id":"A","currency":"USD","closed_at":"2026-11-20T10:00:00Z",%s}`, id, facts)
		events = append(events, rules.TestEvent{Kind: "deal", Value: []byte(value), KnownAt: at.AddDate(0, 0, -1)})
	}
	if err := scratch.Store(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	rows, err := scratch.Rows(t.Context(), `
		SELECT d.deal_id AS deal, toString(d.arr) AS arr, toString(s.arr_at_risk) AS at_risk
		FROM deals_at(at = {at:DateTime64(3, 'UTC')}) AS d
		JOIN contract_signals(at = {at:DateTime64(3, 'UTC')}) AS s ON s.account_id = d.account_id AND s.contract_id = d.contract_id ORDER BY deal`, at)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows {
		got = append(got, fmt.Sprint(r["deal"], " ", r["arr"], " ", r["at_risk"]))
	}
	want := []string{
		"annual 99999999999999.9999 99999999999999.9999", "decade 0 0", "month 1199999999999999.9988 1199999999999999.9988", "year 99999999999999 99999999999999",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func openScratch(t *testing.T) *pipeline.Scratch {
	t.Helper()
	needEngine(t)
	scratch, err := pipeline.OpenScratch(t.Context(), pipeline.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(scratch.Close)
	return scratch
}

func importExtremes(t *testing.T, scratch *pipeline.Scratch, x extremes) {
	t.Helper()
	var rates []churn.Rate
	for _, currency := range []string{"EUR", "JPY", "KWD"} {
		rate := decimal.MustParse(one(x, "0.00000001", "1.08", "9999999999.99999999"))
		rates = append(rates, churn.Rate{Currency: currency, Rate: rate, ValidFrom: time.Unix(0, 0).UTC()})
	}
	if err := scratch.StoreRates(t.Context(), rates); err != nil {
		t.Fatal(err)
	}
}

func nothingFails(t *testing.T, scratch *pipeline.Scratch) {
	t.Helper()
	views, err := warehouse.Views()
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.LoadOrBuiltin(nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Time{}
	e := &engine.Engine{Set: set, Warehouse: scratch, Log: &engine.MemoryLog{}, Writer: "test", Clock: func() time.Time { return now }, From: time.Unix(0, 0)}
	var ledgers []*engine.Ledger
	for _, g := range set.Groups {
		l, err := e.Open(t.Context(), g, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		ledgers = append(ledgers, l)
	}
	rows, alerts := 0, 0
	for _, at := range []string{"1970-01-01T00:00:01Z", "1999-01-01T00:00:00Z", "2026-11-29T06:00:00Z", "2249-12-31T00:00:00Z"} {
		at, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range views {
			from := v.Name
			if strings.Contains(v.Example, v.Name+"(at = ") {
				from += "(at = {at:DateTime64(3, 'UTC')})"
			}
			found, err := scratch.Rows(t.Context(), "SELECT * FROM "+from, at)
			if err != nil {
				t.Errorf("view %s as of %s: %v", v.Name, at.Format(time.DateOnly), err)
			}
			rows += len(found)
		}
		for _, l := range ledgers {
			now = at.Add(l.Group.EvalDelay)
			for entry, err := range e.Evaluate(t.Context(), l, engine.Tick{At: now, Status: alert.TickRun}) {
				if err == nil {
					err = e.Append(t.Context(), l, entry)
				}
				if err != nil {
					t.Errorf("group %s as of %s: %v", l.Group.Name, at.Format(time.DateOnly), err)
				}
				for _, run := range entry.Runs {
					if run.Status == alert.RunError {
						t.Errorf("rule %s as of %s: %s", run.Rule, at.Format(time.DateOnly), run.Error)
					}
				}
				alerts += len(entry.Transitions)
			}
		}
	}
	if rows < 500 || alerts < 20 {
		t.Errorf("only %d rows of views and %d alerts: the facts hardly reach them", rows, alerts)
	}
	t.Logf("%d rows of views, %d alerts", rows, alerts)
}
