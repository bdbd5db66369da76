package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/rules/engine"
)

// fake answers a query by a function of the instant.
type fake struct {
	mu       sync.Mutex
	rows     map[string]func(at time.Time) ([]alert.Row, error)
	ages     map[string]float64 // minutes
	subjects map[churn.ContractKey]alert.Subject
}

func (f *fake) Rows(_ context.Context, query string, at time.Time) ([]alert.Row, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.Contains(query, "age_minutes") {
		var rows []alert.Row
		for source, age := range f.ages {
			rows = append(rows, alert.Row{"source": source, "age_minutes": age})
		}
		return rows, nil
	}
	if rows := f.rows[query]; rows != nil {
		return rows(at)
	}
	return nil, nil
}

func (f *fake) Subjects(context.Context, time.Time, []churn.ContractKey) (map[churn.ContractKey]alert.Subject, error) {
	return f.subjects, nil
}

func always(rows ...alert.Row) func(time.Time) ([]alert.Row, error) {
	return func(time.Time) ([]alert.Row, error) { return rows, nil }
}

func load(t *testing.T, text string) *rules.Set {
	t.Helper()
	set, err := rules.Load(rules.Document{Name: "test.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

const twoGroups = `groups:
  - name: hourly
    schedule: "0 * * * *"
    eval_delay: 5m
    rules:
      - {alert: A, query: qa, identity: [account_id], topic: churn.handoffs, annotations: {summary: "{{ .account_id }} <b>"}}
      - {alert: B, query: qb, identity: [account_id]}
  - name: daily
    schedule: "0 6 * * *"
    rules:
      - {alert: C, query: qc, identity: [account_id]}
`

// evaluating is an evaluation over a fake warehouse and a log, where everything that was known is there.
func evaluating(set *rules.Set, w engine.Warehouse, log engine.Log) *evaluation {
	return &evaluation{
		engine: &engine.Engine{Set: set, Warehouse: w, Log: log, Writer: "me", From: start}, known: waits(func(time.Time) (string, error) { return "", nil }),
		feedback: nothing{}, listenEvery: listenEvery, publish: func() {}, notifyAll: true, since: time.Now(), clock: time.Now, metrics: newMetrics(prometheus.NewRegistry()),
	}
}

// waits is what a tick waits for, where links follow at once.
type waits func(by time.Time) (lacking string, err error)

func (w waits) wait(_ context.Context, by time.Time) (string, error) { return w(by) }
func (w waits) link(context.Context) (string, error)                 { return "", nil }

// nothing is feedback that nobody gave.
type nothing struct{}

func (nothing) Unapplied(context.Context) ([]churn.FeedbackEvent, error) { return nil, nil }

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func statuses(entries []alert.Entry) string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Tick.UTC().Format("15:04")+" "+string(e.Status))
	}
	return strings.Join(out, ", ")
}

func TestCatchingUpTakesTicksInTheOrderOfTime(t *testing.T) {
	var asked []string
	tell := func(name string) func(at time.Time) ([]alert.Row, error) {
		return func(at time.Time) ([]alert.Row, error) {
			asked = append(asked, name+at.Format("15:04"))
			return nil, nil
		}
	}
	w := &fake{rows: map[string]func(time.Time) ([]alert.Row, error){"qa": tell("A"), "qc": tell("C")}}
	log := &engine.MemoryLog{}
	e := evaluating(load(t, twoGroups), w, log)
	var settled []string
	e.known = waits(func(by time.Time) (string, error) {
		settled = append(settled, by.Format("15:04"))
		return "", nil
	})
	var last [2]int
	if err := e.catchUp(t.Context(), start.Add(7*time.Hour), func(done, total int) { last = [2]int{done, total} }); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(asked, " "); got != "A00:55 A01:55 A02:55 A03:55 A04:55 A05:55 C06:00 A06:55" {
		t.Error(got)
	}
	if len(settled) != 8 || last != [2]int{8, 8} {
		t.Error(settled, last)
	}
	if err := e.catchUp(t.Context(), start.Add(7*time.Hour), nil); err != nil || len(asked) != 8 {
		t.Error("a second run repeats ticks", err, asked)
	}
}

func TestScheduleOverride(t *testing.T) {
	log := &engine.MemoryLog{}
	e := evaluating(load(t, twoGroups), &fake{}, log)
	e.engine.Schedule = "0 0 * * *"
	if err := e.catchUp(t.Context(), start.AddDate(0, 0, 3), nil); err != nil {
		t.Fatal(err)
	}
	if h, d := len(log.Entries("hourly")), len(log.Entries("daily")); h != 3 || d != 3 {
		t.Error(h, d)
	}
}

func TestAlertIsBuiltOnceAndTheSame(t *testing.T) {
	arr := churn.MustMoney("1200.5000")
	set := load(t, strings.Replace(twoGroups, "topic: churn.handoffs,", "topic: churn.handoffs, value_at_risk: arr, currency: cur,", 1))
	w := &fake{
		rows: map[string]func(time.Time) ([]alert.Row, error){"qa": always(alert.Row{"account_id": "A1", "contract_id": "K", "arr": arr, "cur": "EUR"})},
		subjects: map[churn.ContractKey]alert.Subject{{AccountID: "A1", ContractID: "K"}: {
			Account: alert.AccountBrief{AccountID: "A1", AccountName: "Acme"}, Contract: &alert.ContractBrief{ContractID: "K", Band: churn.BandHard},
		}},
	}
	var first alert.Transition
	for i := range 2 {
		log := &engine.MemoryLog{}
		e := evaluating(set, w, log)
		e.engine.Topics = map[string]string{"churn.handoffs": "acme.handoffs"}
		if err := e.catchUp(t.Context(), start.Add(2*time.Hour), nil); err != nil {
			t.Fatal(err)
		}
		entries := log.Entries("hourly")
		if len(entries) != 2 || len(entries[0].Transitions) != 1 || len(entries[1].Transitions) != 0 {
			t.Fatalf("%+v", entries)
		}
		got := entries[0].Transitions[0]
		if i == 0 {
			first = got
		} else if string(got.Value) != string(first.Value) || !slices.Equal(got.Headers, first.Headers) {
			t.Error("two evaluations give different bytes")
		}
	}
	if first.Topic != "acme.handoffs" || first.Key != first.Fingerprint {
		t.Error(first.Topic, first.Key)
	}
	want := []alert.Header{{Key: "ce_specversion", Value: "1.0"}, {Key: "ce_id", Value: first.ID}, {Key: "ce_source", Value: "aftershock"},
		{Key: "ce_type", Value: alert.Type}, {Key: "ce_time", Value: "2026-01-01T00:55:00Z"}, {Key: "content-type", Value: "application/json"}}
	if !slices.Equal(first.Headers, want) {
		t.Error(first.Headers)
	}
	var a alert.Alert
	if err := json.Unmarshal(first.Value, &a); err != nil {
		t.Fatal(err)
	}
	if a.Status != alert.Firing || a.Account.AccountName != "Acme" || a.Contract.Band != churn.BandHard || *a.ValueAtRisk != (alert.Value{Amount: "1200.5", Currency: "EUR"}) ||
		a.ResolvedAt != nil || a.Annotations["summary"] != "A1 <b>" {
		t.Errorf("%s", first.Value)
	}
	if !strings.HasPrefix(string(first.Value), `{"schema_version":1,"transition_id":"`) || !strings.Contains(string(first.Value), `A1 <b>`) {
		t.Errorf("%s", first.Value)
	}
}

func TestOneRuleHarmsNoOther(t *testing.T) {
	for why, bad := range map[string]func(time.Time) ([]alert.Row, error){
		"panic: boom":            func(time.Time) ([]alert.Row, error) { panic("boom") },
		"no such column":         func(time.Time) ([]alert.Row, error) { return nil, errors.New("no such column") },
		"two rows with one":      always(alert.Row{"account_id": "X"}, alert.Row{"account_id": "X"}),
		"deadline":               func(time.Time) ([]alert.Row, error) { return nil, context.DeadlineExceeded },
		"missing or NULL in a r": always(alert.Row{"account_id": nil}),
	} {
		t.Run(why, func(t *testing.T) {
			w := &fake{rows: map[string]func(time.Time) ([]alert.Row, error){"qa": bad, "qb": always(alert.Row{"account_id": "Y"})}}
			log := &engine.MemoryLog{}
			if err := evaluating(load(t, twoGroups), w, log).catchUp(t.Context(), start.Add(time.Hour), nil); err != nil {
				t.Fatal(err)
			}
			e := log.Entries("hourly")[0]
			if e.Runs[0].Status != "error" || !strings.Contains(e.Runs[0].Error, why) || e.Runs[1].Status != "ok" {
				t.Errorf("%+v", e.Runs)
			}
			// In the order of rules: A's failure is a state of its own, which nobody is told of.
			if len(e.Transitions) != 2 || e.Transitions[0].State != alert.QueryError || e.Transitions[0].Topic != "" || e.Transitions[1].Rule != "B" {
				t.Errorf("%d transitions", len(e.Transitions))
			}
		})
	}
}

func TestSilentSourceHoldsAndIsNoData(t *testing.T) {
	set := load(t, `groups: [{name: g, schedule: "0 * * * *", rules: [{alert: A, query: qa, sources: [deals, tickets], stale_after: 1d, identity: [account_id]}]}]`)
	w := &fake{ages: map[string]float64{"deals": 1, "tickets": 10}, rows: map[string]func(time.Time) ([]alert.Row, error){"qa": func(at time.Time) ([]alert.Row, error) {
		if at.Hour() == 1 {
			return []alert.Row{{"account_id": "X"}}, nil
		}
		return nil, nil
	}}}
	log := &engine.MemoryLog{}
	e := evaluating(set, w, log)
	for hour, ages := range []map[string]float64{{"deals": 1, "tickets": 10}, {"deals": 1, "tickets": 3000}, {"deals": 1}, {"deals": 1, "tickets": 1}} {
		w.ages = ages
		if err := e.catchUp(t.Context(), start.Add(time.Duration(hour+1)*time.Hour), nil); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, entry := range log.Entries("g") {
		got = append(got, entry.Runs[0].Status+" "+entry.Runs[0].Error)
		for _, x := range entry.Transitions {
			got = append(got, string(x.State))
		}
	}
	want := "ok |firing|no_data tickets have been silent for 2 days|no_data|no_data tickets have never arrived|ok |resolved|resolved"
	if strings.Join(got, "|") != want {
		t.Errorf("%q", got)
	}
}

func TestCatchUp(t *testing.T) {
	for policy, want := range map[string]string{
		"all":    "01:00 caught_up, 02:00 caught_up, 03:00 caught_up, 04:00 run",
		"latest": "01:00 missed, 02:00 missed, 03:00 caught_up, 04:00 run",
		"none":   "01:00 missed, 02:00 missed, 03:00 missed, 04:00 run",
	} {
		t.Run(policy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set := load(t, `groups: [{name: g, schedule: "0 * * * *", catch_up: `+policy+`, rules: [{alert: A, query: qa, identity: [account_id]}]}]`)
				log := &engine.MemoryLog{}
				e := evaluating(set, &fake{}, log)
				e.engine.From = time.Now() // the bubble begins at midnight
				time.Sleep(3*time.Hour + 30*time.Minute)
				e.since = time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := e.run(ctx); err != nil {
					t.Fatal(err)
				}
				if got := statuses(log.Entries("g")); got != want {
					t.Error(got)
				}
				for _, entry := range log.Entries("g") {
					if (entry.Status == alert.TickMissed) != strings.Contains(entry.Reason, "catch_up") {
						t.Error(entry.Status, entry.Reason)
					}
				}
			})
		})
	}
}

// Ticks that were stored by a clock that was a year ahead, and a clock that is set back, silence no group until then.
func TestALedgerAheadOfTheClockGoesOnFromNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := load(t, `groups: [{name: g, schedule: "0 * * * *", rules: [{alert: A, query: qa, identity: [account_id]}]}]`)
		log := &engine.MemoryLog{}
		begun := time.Now() // the bubble begins at midnight
		if _, err := log.Append(t.Context(), alert.Entry{Group: "g", N: 1, Writer: "before", Tick: begun.AddDate(1, 0, 0), Status: alert.TickRun}); err != nil {
			t.Fatal(err)
		}
		registry := prometheus.NewRegistry()
		e := evaluating(set, &fake{}, log)
		e.since, e.metrics = begun, newMetrics(registry)
		e.clock = func() time.Time {
			if now := time.Now(); now.Before(begun.Add(150 * time.Minute)) {
				return now
			}
			return time.Now().AddDate(0, 0, -2)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Hour)
		defer cancel()
		if err := e.run(ctx); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, entry := range log.Entries("g")[1:] {
			got = append(got, fmt.Sprintf("%+.0fh %s", entry.Tick.Sub(begun).Hours(), entry.Status))
		}
		if want := "+1h run, +2h run, -45h run, -44h run, -43h run"; strings.Join(got, ", ") != want {
			t.Errorf("%s, want %s", strings.Join(got, ", "), want)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "aftershock_tick_ledger_ahead_total" && family.GetMetric()[0].GetCounter().GetValue() != 2 {
				t.Errorf("it was told %v times", family.GetMetric())
			}
		}
	})
}

func TestAnOutageIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		w := &fake{rows: map[string]func(time.Time) ([]alert.Row, error){"qc": func(time.Time) ([]alert.Row, error) {
			if down {
				return nil, io.ErrUnexpectedEOF
			}
			return []alert.Row{{"account_id": "A"}}, nil
		}}}
		log := &engine.MemoryLog{}
		e := evaluating(load(t, twoGroups), w, log)
		e.engine.From = time.Now()
		registry := prometheus.NewRegistry()
		e.metrics = newMetrics(registry)
		retries := func() (n float64) {
			families, err := registry.Gather()
			for _, f := range families {
				if f.GetName() == "aftershock_tick_retries_total" {
					n = f.GetMetric()[0].GetCounter().GetValue()
				}
			}
			if err != nil {
				t.Error(err)
			}
			return n
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.run(ctx) }()
		time.Sleep(7*time.Hour + time.Minute)
		if n := len(log.Entries("daily")); n != 0 || retries() < 100 || len(log.Entries("hourly")) != 7 {
			t.Error(n, retries(), len(log.Entries("hourly")), "an outage of one group's query stops nobody else")
		}
		w.mu.Lock()
		down = false
		w.mu.Unlock()
		time.Sleep(longestRetry)
		synctest.Wait()
		if entries := log.Entries("daily"); len(entries) != 1 || len(entries[0].Transitions) != 1 {
			t.Errorf("%+v", entries)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAnotherLeaderMakesUsStepDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &engine.MemoryLog{}
		set := load(t, twoGroups)
		mine := evaluating(set, &fake{}, log)
		mine.engine.From = time.Now()
		done := make(chan error)
		go func() { done <- mine.run(t.Context()) }()
		time.Sleep(90 * time.Minute)
		if won, _ := log.Append(t.Context(), alert.Entry{Group: "hourly", N: 2, Writer: "other", Tick: time.Now()}); !won {
			t.Fatal("the other lost")
		}
		if err := <-done; !errors.Is(err, engine.ErrTaken) || !strings.Contains(err.Error(), `"other"`) {
			t.Error(err)
		}
		if entries := log.Entries("hourly"); len(entries) != 2 {
			t.Error("a leader that lost wrote", statuses(entries))
		}
	})
}

// lossy stores an entry and loses the answer, or loses the entry, in turn.
type lossy struct {
	engine.MemoryLog
	n int
}

func (l *lossy) Append(ctx context.Context, e alert.Entry) (bool, error) {
	l.n++
	switch l.n % 3 {
	case 0:
		return l.MemoryLog.Append(ctx, e)
	case 1:
		return false, io.EOF
	}
	_, _ = l.MemoryLog.Append(ctx, e)
	return false, io.EOF
}

func TestAnAppendWithoutAnAnswerIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lossy{}
		w := &fake{rows: map[string]func(time.Time) ([]alert.Row, error){"qa": func(at time.Time) ([]alert.Row, error) {
			if at.Hour()%2 == 0 {
				return []alert.Row{{"account_id": "A"}}, nil
			}
			return nil, nil
		}}}
		e := evaluating(load(t, twoGroups), w, log)
		if err := e.catchUp(t.Context(), start.Add(12*time.Hour), nil); err != nil {
			t.Fatal(err)
		}
		entries := log.Entries("hourly")
		ids, tick := map[string]bool{}, start
		for i, entry := range entries {
			if entry.N != int64(i+1) || !entry.Tick.Equal(tick.Add(time.Hour)) {
				t.Fatalf("entry %d is tick %v", entry.N, entry.Tick)
			}
			tick = entry.Tick
			for _, x := range entry.Transitions {
				if ids[x.ID] {
					t.Errorf("transition %s twice", x.ID)
				}
				ids[x.ID] = true
			}
		}
		if len(entries) != 12 || len(ids) != 12 {
			t.Error(len(entries), len(ids))
		}
	})
}

func TestRuleThatMovesOrGoes(t *testing.T) {
	group := func(name, rule string) string {
		return `{name: ` + name + `, schedule: "0 * * * *", rules: [{alert: ` + rule + `, query: qa, identity: [account_id], topic: t.` + rule + `}]}`
	}
	w := &fake{rows: map[string]func(time.Time) ([]alert.Row, error){"qa": always(alert.Row{"account_id": "A"})}}
	log := &engine.MemoryLog{}
	clock := start
	run := func(groups ...string) {
		t.Helper()
		clock = clock.Add(time.Hour)
		e := evaluating(load(t, "groups: ["+strings.Join(groups, ", ")+"]"), w, log)
		e.clock, e.since = func() time.Time { return clock }, clock
		e.engine.Clock = e.clock
		if err := e.catchUp(t.Context(), clock, nil); err != nil {
			t.Fatal(err)
		}
	}
	run(group("one", "A"), group("two", "B"))
	run(group("two", "A"))
	old, now := log.Entries("one"), log.Entries("two")
	if end := old[len(old)-1]; len(end.Transitions) != 1 || end.Transitions[0].Reason != alert.ReasonRemoved || end.Transitions[0].Topic != "t.A" {
		t.Errorf("%+v", end)
	}
	var got []string
	for _, x := range now[len(now)-1].Transitions {
		got = append(got, x.Rule, string(x.State), string(rune('0'+x.Episode)), x.Topic)
	}
	if strings.Join(got, " ") != "A firing 2 t.A B resolved 1 t.B" {
		t.Error(got)
	}
	run(group("two", "A"))
	if len(log.Entries("one")) != len(old) {
		t.Error("a group that is gone gets an entry at every start")
	}
	run(group("one", "A"), group("two", "B"))
	var back []alert.Transition
	for _, entry := range log.Entries("one")[len(old):] {
		back = append(back, entry.Transitions...)
	}
	if len(back) != 1 || back[0].Episode != 3 || back[0].Sequence != 1 {
		t.Errorf("a rule that moved back: %+v", back)
	}
}
