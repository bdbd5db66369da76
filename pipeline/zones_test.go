package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/rules/engine"
	"github.com/aftershock/aftershock/testservers/clocks"
)

const overTheChange = `groups:
  - {name: fixed, schedule: "30 2 * * *", rules: [{alert: A, query: q, identity: [account_id]}]}
  - {name: midnight, schedule: "0 0,23 * * *", rules: [{alert: B, query: q, identity: [account_id]}]}
  - {name: elapsed, schedule: "*/30 * * * *", eval_delay: 2m, rules: [{alert: C, query: q, identity: [account_id]}]}
  - {name: seconds, schedule: "10,40 15 * * * *", rules: [{alert: D, query: q, identity: [account_id]}]}
`

// The engine evaluates, is down while the clocks change, and comes back: under every policy each tick is in the ledger once, in
// order, and says how it was accounted for; the dumb walk through the minutes says which ticks there are.
func TestEveryTickIsAccountedForOverEveryChange(t *testing.T) {
	zones, found := clocks.Changing(t)
	as := map[string]clocks.Walked{
		"fixed":    {Match: clocks.At(2, 30), Seconds: clocks.Whole},
		"midnight": {Match: func(w time.Time) bool { return clocks.At(0, 0)(w) || clocks.At(23, 0)(w) }, Seconds: clocks.Whole},
		"elapsed":  {Match: func(w time.Time) bool { return w.Minute()%30 == 0 }, Seconds: clocks.Whole, Elapsed: true},
		"seconds":  {Match: func(w time.Time) bool { return w.Minute() == 15 }, Seconds: []int{10, 40}, Elapsed: true},
	}
	seen := map[string]bool{}
	accounted := map[alert.TickStatus]int{}
	outages := 0
	for _, name := range slices.Sorted(maps.Keys(found)) {
		z := zones[name]
		for _, c := range found[name] {
			if seen[fmt.Sprint(c)] {
				continue // another name of the same clocks
			}
			seen[fmt.Sprint(c)] = true
			minutes := clocks.Walk(z, c.At.Add(-60*time.Hour), c.At.Add(60*time.Hour))
			for i, policy := range []rules.CatchUp{rules.CatchUpAll, rules.CatchUpLatest, rules.CatchUpNone} {
				outages++
				set := load(t, overTheChange)
				for _, g := range set.Groups {
					g.CatchUp, g.Schedule.Zone = policy, z
				}
				began, down := c.At.Add(-7*time.Hour+7*time.Minute), c.At.Add(-time.Duration(i)*40*time.Minute-3*time.Second)
				back, ended := c.At.Add(3*time.Hour+17*time.Second), c.At.Add(9*time.Hour+time.Minute)
				log := lived(t, set, began, down, back, ended)
				for _, g := range set.Groups {
					want := minutes.Due(as[g.Name], began, ended)
					var got []time.Time
					for n, entry := range log.Entries(g.Name)[1:] {
						got = append(got, entry.Tick)
						accounted[entry.Status]++
						unattended := entry.Tick.After(down) && entry.Tick.Before(back)
						latest := n+1 >= len(want) || !want[n+1].Before(back)
						should := alert.TickRun
						switch {
						case unattended && (policy == rules.CatchUpAll || policy == rules.CatchUpLatest && latest):
							should = alert.TickCaughtUp
						case unattended:
							should = alert.TickMissed
						}
						if entry.Status != should || entry.Status == alert.TickMissed && entry.Reason == "" {
							t.Fatalf("%s, catch_up %s, group %s: tick %s is %s (%s), not %s", name, policy, g.Name, entry.Tick.In(z), entry.Status, entry.Reason, should)
						}
					}
					if !slices.EqualFunc(got, want, time.Time.Equal) {
						t.Fatalf("%s, catch_up %s, group %s: %s", name, policy, g.Name, clocks.FirstDifference(got, want, z))
					}
				}
			}
		}
	}
	if accounted[alert.TickMissed] == 0 || accounted[alert.TickCaughtUp] == 0 || accounted[alert.TickRun] == 0 {
		t.Error("not every way of accounting was tried")
	}
	t.Logf("%d zones, %d outages over a change of the clocks: %d ticks run, %d caught up, %d missed with the reason", len(found), outages,
		accounted[alert.TickRun], accounted[alert.TickCaughtUp], accounted[alert.TickMissed])
}

// lived is the ledger of an engine that lived from began until down and again from back until ended, by a controlled clock.
func lived(t *testing.T, set *rules.Set, began, down, back, ended time.Time) *engine.MemoryLog {
	log := &engine.MemoryLog{}
	synctest.Test(t, func(t *testing.T) {
		bubble := time.Now()
		for _, life := range [][2]time.Time{{began, down}, {back, ended}} {
			time.Sleep(time.Until(bubble.Add(life[0].Sub(began))))
			e := evaluating(set, &fake{}, log)
			e.engine.From, e.clock = time.Time{}, func() time.Time { return began.Add(time.Since(bubble)) }
			e.engine.Clock = e.clock
			e.listenEvery = longestNap // nobody answers, and 360 times half a day is long to listen to nobody
			runFor(t, e, life[1].Sub(life[0]))
		}
	})
	return log
}
