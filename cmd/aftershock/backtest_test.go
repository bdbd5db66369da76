package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/rules/past"
	"github.com/aftershock/aftershock/simulate"
	"github.com/aftershock/aftershock/warehouse"
)

// A backtest asks whether its warehouse can prefetch: one that cannot any more would only be slow.
var _ past.Prefetcher = (*warehouse.Past)(nil)

// TestThePastIsWhatItWas: a pipeline goes through a year month by month, and knows nothing of the months to come; people act in the
// middle of it. Afterwards, with late facts and corrections of all months there, a backtest of the year says the same, tick for
// tick and transition for transition.
func TestThePastIsWhatItWas(t *testing.T) {
	t.Parallel()
	needEngine(t)
	s := newServer(t)
	s.config.Evaluate.HoldoutShare = 0.2
	world := simulate.DefaultConfig()
	world.Accounts, world.From, world.To = 120, time.Date(2024, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC)
	world.LateShare, world.CorrectedShare, world.AttemptRate, world.HardShare = 0.2, 0.1, 3, 0.4
	simulation, err := simulate.New(world)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Collect(simulation.Records())
	const schedule = "0 6 * * 1"
	for month := world.From; month.Before(world.To); month = month.AddDate(0, 1, 0) {
		next := month.AddDate(0, 1, 0)
		s.produce(t, slices.DeleteFunc(slices.Clone(all), func(r simulate.Record) bool { return r.KnownAt.Before(month) || !r.KnownAt.Before(next) }))
		s.asOf(t, schedule, world.From, next)
		if next.Month() == time.January || next.Month() == time.April {
			s.act(t, next.Add(time.Hour))
		}
	}

	// The rules about our own operation are evaluated for the present alone (catch_up: latest), so most of their ticks were missed.
	live := strings.Split(strings.TrimSpace(s.sql(t, `SELECT group_name, tick, at, transition_id, state, reason, late, untold, told_episode, told_this_week, severity,
		feedback_by, toString(resolved_at) FROM alert_log WHERE i > 0 AND group_name != 'operations' ORDER BY group_name, n, i`)), "\n")
	s.is(t, "SELECT count() = (SELECT uniqExact(event_id) FROM feedback), countIf(o = 'applied') > 5 FROM alert_log ARRAY JOIN feedback_outcomes AS o", "1\t1")

	w, err := warehouse.Open(s.config.ClickHouse, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	b := past.Backtest{From: world.From, To: world.To, Schedule: schedule, HoldoutShare: 0.2}
	if b.Set, err = rules.LoadOrBuiltin(nil); err != nil {
		t.Fatal(err)
	}
	b.Set.Groups = slices.DeleteFunc(b.Set.Groups, func(g *rules.Group) bool { return g.Name == "operations" })
	if b.Feedback, err = w.FeedbackKnown(t.Context(), b.From, b.To); err != nil {
		t.Fatal(err)
	}
	past, err := w.OpenPast()
	if err != nil {
		t.Fatal(err)
	}
	defer past.Close()
	b.Warehouse = past
	log, _, err := b.Run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var again []string
	groups := slices.SortedFunc(slices.Values(b.Set.Groups), func(a, b *rules.Group) int { return strings.Compare(a.Name, b.Name) })
	reasons := map[string]int{}
	for _, g := range groups {
		for _, e := range log.Entries(g.Name) {
			for _, x := range e.Transitions {
				reasons[x.Reason]++
				again = append(again, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%t\t%s\t%d\t%d\t%s\t%s\t%s", g.Name, stamp(e.Tick), stamp(e.At), x.ID, x.State, x.Reason, x.Late, x.Suppressed,
					x.Notified.Episode, x.Notified.ThisWeek, x.Severity, x.By, stamp(x.ResolvedAt)))
			}
		}
	}
	if !slices.Equal(live, again) {
		t.Errorf("%d transitions live, %d in the backtest: %s", len(live), len(again), firstDifference(strings.Join(live, "\n"), strings.Join(again, "\n")))
	}
	t.Logf("%d transitions: %v", len(live), reasons)
	for _, reason := range []string{alert.ReasonMet, alert.ReasonCleared, alert.ReasonHolding, alert.ReasonEscalated, alert.ReasonAcknowledged, alert.ReasonSnoozed, alert.ReasonClosed} {
		if reasons[reason] == 0 {
			t.Errorf("nothing was %s: the comparison says little", reason)
		}
	}
}

// act acknowledges, snoozes, closes and judges alerts that stand open, as known at an instant.
func (s *server) act(t *testing.T, known time.Time) {
	t.Helper()
	kafka, err := broker.Connect(s.config.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	p := broker.NewProducer(kafka)
	defer p.Close()
	open := strings.Split(strings.TrimSpace(s.sql(t, "SELECT fingerprint FROM alert_current WHERE state = 'firing' ORDER BY fingerprint LIMIT 10")), "\n")
	for i, fingerprint := range open {
		value := fmt.Sprintf(`{"who":"kim","what":%q}`, churn.Acknowledge)
		switch i % 4 {
		case 1:
			value = fmt.Sprintf(`{"who":"lee","what":"snooze","until":%q}`, known.AddDate(0, 0, 10).Format(time.RFC3339))
		case 2:
			value = `{"who":"max","what":"close","disposition":"false"}`
		case 3:
			value = `{"who":"kim","what":"judge","disposition":"true"}`
		}
		if err := p.Add(t.Context(), kafka.Topics().Feedback, fingerprint, []byte(value), known.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// stamp writes an instant as ClickHouse does.
func stamp(at time.Time) string {
	if at.IsZero() {
		return `\N`
	}
	return at.UTC().Format("2006-01-02 15:04:05.000")
}

// TestNoRuleSeesTheFuture: what every rule of the pack answers as of an instant is the same whether or not the warehouse holds what
// became known later: new facts, facts that happened before the instant and came late, and corrections of what was known.
func TestNoRuleSeesTheFuture(t *testing.T) {
	t.Parallel()
	needEngine(t)
	s := newServer(t)
	world := simulate.DefaultConfig()
	world.Accounts, world.From, world.To = 300, time.Date(2024, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC)
	world.LateShare, world.CorrectedShare, world.AttemptRate, world.HardShare, world.BrokenShare = 0.3, 0.3, 4, 0.4, 0.05
	simulation, err := simulate.New(world)
	if err != nil {
		t.Fatal(err)
	}
	instant := time.Date(2025, 2, 3, 6, 0, 0, 0, time.UTC)
	var known, future []simulate.Record
	for r := range simulation.Records() {
		if r.KnownAt.After(instant) {
			future = append(future, r)
		} else {
			known = append(known, r)
		}
	}
	set, err := rules.LoadOrBuiltin(nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := warehouse.Open(s.config.ClickHouse, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	said := func(at time.Time) map[string]string {
		all := map[string]string{}
		for _, g := range set.Groups {
			for _, r := range g.Rules {
				rows, err := w.Rows(t.Context(), r.Query, at)
				if err != nil {
					t.Fatal(err)
				}
				var lines []string
				for _, row := range rows {
					lines = append(lines, fmt.Sprint(row))
				}
				slices.Sort(lines)
				all[r.Name] = strings.Join(lines, "\n")
			}
		}
		return all
	}
	s.produce(t, known)
	s.asOf(t, "0 6 1 1 *", world.To, world.To.Add(time.Hour))
	before := said(instant)
	s.produce(t, future)
	s.asOf(t, "0 6 1 1 *", world.To, world.To.Add(time.Hour))
	changed := 0
	later := said(world.To)
	for rule, rows := range said(instant) {
		if rows != before[rule] {
			t.Errorf("%s sees the future: %s", rule, firstDifference(rows, before[rule]))
		}
		if later[rule] != rows {
			changed++
		}
		t.Logf("%s: %d characters of rows, and %d at the end", rule, len(rows), len(later[rule]))
	}
	if changed < 6 {
		t.Errorf("only %d rules say anything else at the end: the facts of the future change nothing anyway", changed)
	}
}
