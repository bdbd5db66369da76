package pipeline

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/rules/engine"
)

// choking is a fake whose subjects of one account make the engine panic or fail, long after the rules were evaluated.
type choking struct {
	fake
	on    string
	choke func() error
}

func (c *choking) Subjects(ctx context.Context, at time.Time, keys []churn.ContractKey) (map[churn.ContractKey]alert.Subject, error) {
	for _, k := range keys {
		if k.AccountID == c.on {
			return nil, c.choke()
		}
	}
	return c.fake.Subjects(ctx, at, keys)
}

// Whatever goes wrong with one rule, at whatever step of a tick: the other rules, the other groups and the ticks after it go
// on, and rule_runs says what it was.
func TestAPanicHarmsNoOther(t *testing.T) {
	boom := func(time.Time) ([]alert.Row, error) { panic("boom") }
	for name, c := range map[string]struct {
		rowsOfA func(time.Time) ([]alert.Row, error)
		choke   func() error
		want    string
	}{
		"a query that panics":           {boom, nil, "panic: boom"},
		"alerts that panic":             {always(alert.Row{"account_id": "bad"}), func() error { panic("boom") }, "panic: boom"},
		"alerts that cannot be written": {always(alert.Row{"account_id": "bad"}), func() error { return errors.New("no such column") }, "no such column"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &choking{on: "bad", choke: c.choke}
				w.rows = map[string]func(time.Time) ([]alert.Row, error){
					"qa": c.rowsOfA, "qb": always(alert.Row{"account_id": "Y"}), "qc": always(alert.Row{"account_id": "Z"}),
				}
				log := &engine.MemoryLog{}
				e := evaluating(load(t, twoGroups), w, log)
				e.engine.From = time.Now()
				runFor(t, e, 6*time.Hour+time.Minute)
				entries := log.Entries("hourly")
				if got, want := statuses(entries), "01:00 run, 02:00 run, 03:00 run, 04:00 run, 05:00 run, 06:00 run"; got != want {
					t.Errorf("ticks %s, want %s", got, want)
				}
				for _, entry := range entries {
					if a, b := entry.Runs[0], entry.Runs[1]; a.Status != alert.RunError || !strings.Contains(a.Error, c.want) || b.Status != alert.RunOK {
						t.Errorf("%s: %+v", entry.Tick, entry.Runs)
					}
				}
				if len(entries) == 0 || len(entries[0].Transitions) != 2 || entries[0].Transitions[1].Rule != "B" {
					t.Errorf("the other rule of the group: %d entries", len(entries))
				}
				if other := log.Entries("daily"); len(other) != 1 || len(other[0].Transitions) != 1 {
					t.Errorf("the other group: %+v", other)
				}
			})
		})
	}
}

// runFor evaluates for a while of the bubble's time.
func runFor(t *testing.T, e *evaluation, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	e.since = e.clock()
	if err := e.run(ctx); err != nil {
		t.Fatal(err)
	}
}

var errOverloaded = errors.New("too much memory")

// A server that says "not now" is waited for, but a rule that it always says so to must not stop its group.
func TestARuleThatOverloadsTheServerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		w := &fake{rows: map[string]func(time.Time) ([]alert.Row, error){
			"qa": func(at time.Time) ([]alert.Row, error) {
				if asked++; at.Hour() > 0 || asked <= 3 { // it passes once, and then no more
					return nil, errOverloaded
				}
				return nil, nil
			},
			"qb": always(alert.Row{"account_id": "Y"}),
		}}
		log := &engine.MemoryLog{}
		e := evaluating(load(t, twoGroups), w, log)
		e.engine.From, e.engine.Overloaded = time.Now(), func(err error) bool { return errors.Is(err, errOverloaded) }
		runFor(t, e, 3*time.Hour+30*time.Minute)
		entries := log.Entries("hourly")
		if got := statuses(entries); got != "01:00 run, 02:00 run, 03:00 run" {
			t.Fatal(got)
		}
		if first, second := entries[0].Runs[0], entries[1].Runs[0]; first.Status != alert.RunOK || second.Status != alert.RunError || second.Error != errOverloaded.Error() {
			t.Errorf("%+v, %+v", first, second)
		}
		if len(entries[0].Transitions) != 1 {
			t.Errorf("the other rule: %+v", entries[0].Transitions)
		}
	})
}

// tardy gives an append up, stores it all the same once the next one of its number is under way, and tells that one that it
// lost: what an insert does that was on its way when its connection broke.
type tardy struct {
	engine.MemoryLog
	onItsWay *alert.Entry
}

func (l *tardy) Append(ctx context.Context, e alert.Entry) (bool, error) {
	if l.onItsWay == nil {
		l.onItsWay = &e
		return false, io.ErrUnexpectedEOF
	}
	if l.onItsWay.N == e.N {
		if _, err := l.MemoryLog.Append(ctx, *l.onItsWay); err != nil {
			return false, err
		}
		// As the warehouse does: who won is who stands there.
		stored := l.Entries(e.Group)
		return stored[len(stored)-1].Writer == e.Writer, nil
	}
	return l.MemoryLog.Append(ctx, e)
}

// What an attempt decided that was overtaken by an earlier one of ours is not in the log, and must not be taken as told.
func TestAnAppendThatTakesEffectLateLosesNoAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		w := &fake{rows: map[string]func(time.Time) ([]alert.Row, error){"qc": func(time.Time) ([]alert.Row, error) {
			if asked++; asked == 1 {
				return nil, nil // the first attempt did not see all
			}
			return []alert.Row{{"account_id": "A"}}, nil
		}}}
		log := &tardy{}
		set := load(t, twoGroups)
		set.Groups = set.Groups[1:]
		e := evaluating(set, w, log)
		e.engine.From = time.Now()
		runFor(t, e, 31*time.Hour)
		var told []string
		for _, entry := range log.Entries("daily") {
			for _, x := range entry.Transitions {
				told = append(told, entry.Tick.Format("02 ")+string(x.State))
			}
		}
		if !slices.Equal(told, []string{"02 firing"}) {
			t.Errorf("%v: the alert of the second attempt is lost", told)
		}
	})
}

// A group whose first process ends before its first tick: that tick came due all the same.
func TestTheFirstTickIsAccountedForThoughNobodyLivedToSeeIt(t *testing.T) {
	for policy, want := range map[rules.CatchUp]string{
		rules.CatchUpAll: "00:00 begun, 06:00 caught_up", rules.CatchUpLatest: "00:00 begun, 06:00 caught_up", rules.CatchUpNone: "00:00 begun, 06:00 missed",
	} {
		synctest.Test(t, func(t *testing.T) {
			log := &engine.MemoryLog{}
			set := load(t, twoGroups)
			set.Groups = set.Groups[1:]
			set.Groups[0].CatchUp = policy
			for range 2 {
				e := evaluating(set, &fake{}, log)
				e.engine.From = time.Time{}
				runFor(t, e, time.Hour)
				time.Sleep(7 * time.Hour)
			}
			if got := statuses(log.Entries("daily")); got != want {
				t.Errorf("%s: %s", policy, got)
			}
		})
	}
}

// late is what a tick waits for, where links do not follow in time.
type late struct{ waits }

func (late) link(context.Context) (string, error) { return "links are late", nil }

func TestACaughtUpTickCanBeIncompleteToo(t *testing.T) {
	log := &engine.MemoryLog{}
	set := load(t, twoGroups)
	set.Groups = set.Groups[1:]
	e := evaluating(set, &fake{}, log)
	e.known = late{func(time.Time) (string, error) { return "consumers are behind", nil }}
	if err := e.catchUp(t.Context(), start.Add(7*time.Hour), nil); err != nil {
		t.Fatal(err)
	}
	entry := log.Entries("daily")[0]
	if entry.Status != alert.TickIncomplete || entry.Reason != "nobody evaluated; consumers are behind; links are late" {
		t.Errorf("%s %q", entry.Status, entry.Reason)
	}
}
