package rules

import (
	"archive/zip"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aftershock/aftershock/churn/alert"
)

// The two years whose changes of the clocks are walked through, in every zone that has one.
var (
	walkFrom  = time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC)
	walkUntil = time.Date(2027, 11, 1, 0, 0, 0, 0, time.UTC)
)

// change is one transition of a zone.
type change struct {
	at            time.Time
	before, after int // seconds east of UTC
}

// tzDatabase is every zone of the tz database that comes with Go.
var tzDatabase = sync.OnceValues(func() (zones map[string]*time.Location, err error) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	archive, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(goroot)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	zones = map[string]*time.Location{}
	for _, f := range archive.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		if zones[f.Name], err = time.LoadLocationFromTZData(f.Name, data); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return zones, nil
})

// changesOf finds the transitions of a zone by asking for its offset hour by hour, then minute by minute.
func changesOf(z *time.Location, from, until time.Time) (all []change) {
	offset := func(t time.Time) int { _, o := t.In(z).Zone(); return o }
	for t := from; t.Before(until); t = t.Add(time.Hour) {
		if offset(t) == offset(t.Add(time.Hour)) {
			continue
		}
		for m := t; m.Before(t.Add(time.Hour)); m = m.Add(time.Minute) {
			if b, a := offset(m), offset(m.Add(time.Minute)); b != a {
				all = append(all, change{m.Add(time.Minute), b, a})
			}
		}
	}
	return all
}

// zonesThatChange is every zone that has a change of its clocks within the two years, with them.
var zonesThatChange = sync.OnceValues(func() (map[string][]change, error) {
	zones, err := tzDatabase()
	found := map[string][]change{}
	for name, z := range zones {
		if changes := changesOf(z, walkFrom, walkUntil); len(changes) > 0 {
			found[name] = changes
		}
	}
	return found, err
})

func changing(t *testing.T) (map[string]*time.Location, map[string][]change) {
	t.Helper()
	zones, err := tzDatabase()
	if err != nil {
		t.Fatal(err)
	}
	found, err := zonesThatChange()
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 100 || len(found) >= len(zones) {
		t.Fatalf("%d of %d zones change their clocks within the two years: this test would say nothing", len(found), len(zones))
	}
	return zones, found
}

// walked is a schedule as the test understands it: which local readings match, at which seconds of a matching minute.
type walked struct {
	spec    string
	match   func(wall time.Time) bool
	seconds []int
	elapsed bool // the hour is a wildcard
}

func at(hour, minute int) func(time.Time) bool {
	return func(w time.Time) bool { return w.Hour() == hour && w.Minute() == minute }
}

var whole = []int{0}

// schedules are fixed times on both sides of and within what any zone leaves out or repeats, and what else a cron line can say.
func schedules() []walked {
	all := []walked{
		{"* * * * *", func(time.Time) bool { return true }, whole, true},
		{"*/10 * * * *", func(w time.Time) bool { return w.Minute()%10 == 0 }, whole, true},
		{"0 * * * *", func(w time.Time) bool { return w.Minute() == 0 }, whole, true},
		{"7,52 0-23 * * *", func(w time.Time) bool { return w.Minute() == 7 || w.Minute() == 52 }, whole, true},
		{"*/20 */30 * * * *", func(w time.Time) bool { return w.Minute()%30 == 0 }, []int{0, 20, 40}, true},
		{"30 * * * sun", func(w time.Time) bool { return w.Minute() == 30 && w.Weekday() == time.Sunday }, whole, true},
		{"0 */2 * * *", func(w time.Time) bool { return w.Minute() == 0 && w.Hour()%2 == 0 }, whole, false},
		{"*/15 1-3 * * *", func(w time.Time) bool { return w.Minute()%15 == 0 && w.Hour() >= 1 && w.Hour() <= 3 }, whole, false},
		{"0 0-22 * * *", func(w time.Time) bool { return w.Minute() == 0 && w.Hour() <= 22 }, whole, false},
		{"5,35 30 2 * * *", at(2, 30), []int{5, 35}, false},
		{"*/15 59 23 * * *", at(23, 59), []int{0, 15, 30, 45}, false},
		{"30 2 * * 0", func(w time.Time) bool { return at(2, 30)(w) && w.Weekday() == time.Sunday }, whole, false},
		{"30 23 * * sat", func(w time.Time) bool { return at(23, 30)(w) && w.Weekday() == time.Saturday }, whole, false},
		{"0 0 1 * *", func(w time.Time) bool { return at(0, 0)(w) && w.Day() == 1 }, whole, false},
		{"30 2 25-31 * *", func(w time.Time) bool { return at(2, 30)(w) && w.Day() >= 25 }, whole, false},
		{"0 3 29 3 *", func(w time.Time) bool { return at(3, 0)(w) && w.Day() == 29 && w.Month() == time.March }, whole, false},
	}
	for hour := range 24 {
		for _, minute := range []int{0, 15, 30, 45} {
			all = append(all, walked{fmt.Sprintf("%d %d * * *", minute, hour), at(hour, minute), whole, false})
		}
	}
	return all
}

// around is what the clocks of a zone show, minute by minute.
type around struct {
	start    time.Time
	readings []time.Time   // as if they were UTC
	first    map[int64]int // a reading -> the first minute that shows it
}

func walk(z *time.Location, start, end time.Time) around {
	w := around{start: start, first: map[int64]int{}}
	for t := start; t.Before(end); t = t.Add(time.Minute) {
		l := t.In(z)
		wall := time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), 0, time.UTC)
		if _, seen := w.first[wall.Unix()]; !seen {
			w.first[wall.Unix()] = len(w.readings)
		}
		w.readings = append(w.readings, wall)
	}
	return w
}

func (w around) minute(i int) time.Time { return w.start.Add(time.Duration(i) * time.Minute) }

// due is the slow truth: when a schedule is due between from and until, which lie well inside of what was walked. It knows
// nothing of offsets: a wildcard hour is due whenever the clocks show it; each fixed time is looked up where the clocks show
// it first, or else where they jump over it.
func (w around) due(s walked, from, until time.Time) (ticks []time.Time) {
	put := func(t time.Time) {
		if t.After(from) && !t.After(until) {
			ticks = append(ticks, t)
		}
	}
	if s.elapsed {
		for i, wall := range w.readings {
			if s.match(wall) {
				for _, second := range s.seconds {
					put(w.minute(i).Add(time.Duration(second) * time.Second))
				}
			}
		}
		return ticks
	}
	for wall := w.readings[0]; !wall.After(w.readings[len(w.readings)-1]); wall = wall.Add(time.Minute) {
		if !s.match(wall) {
			continue
		}
		if i, shown := w.first[wall.Unix()]; shown {
			for _, second := range s.seconds {
				put(w.minute(i).Add(time.Duration(second) * time.Second))
			}
			continue
		}
		for i := 1; i < len(w.readings); i++ {
			if w.readings[i-1].Before(wall) && w.readings[i].After(wall) {
				put(w.minute(i)) // several times in one gap are one tick
				break
			}
		}
	}
	slices.SortFunc(ticks, time.Time.Compare)
	return slices.CompactFunc(ticks, time.Time.Equal)
}

// Odd changes of the past: a day that was left out, half hours, a day that was left out the other way round, quarters.
var oddities = []struct{ zone, day string }{
	{"Pacific/Apia", "2011-12-30"}, {"Pacific/Fakaofo", "2011-12-30"}, {"Pacific/Kwajalein", "1993-08-21"}, {"Pacific/Kiritimati", "1994-12-31"},
	{"Asia/Kathmandu", "1985-12-31"}, {"Asia/Pyongyang", "2015-08-14"}, {"Asia/Pyongyang", "2018-05-04"}, {"America/Caracas", "2007-12-09"},
	{"America/Caracas", "2016-05-01"}, {"Australia/Lord_Howe", "2019-04-06"}, {"Antarctica/Troll", "2016-03-27"}, {"Antarctica/Troll", "2016-10-30"},
	{"Africa/Casablanca", "2019-05-05"}, {"Africa/El_Aaiun", "2019-06-09"}, {"Europe/Dublin", "2018-10-28"}, {"Pacific/Chatham", "2019-04-06"},
	{"America/Sao_Paulo", "2018-11-04"}, {"America/Sao_Paulo", "2019-02-16"}, {"Europe/Volgograd", "2018-10-28"},
	{"America/Godthab", "2023-03-25"}, {"Asia/Tehran", "2022-09-21"}, {"Asia/Gaza", "2016-10-28"},
}

// Around every change of the clocks, each schedule is due exactly when a walk through the minutes says so: wherever one starts
// to ask, and however the time is cut in two.
func TestTicksOverEveryChangeOfTheClocks(t *testing.T) {
	zones, found := changing(t)
	all := schedules()
	type window struct {
		zone string
		change
	}
	// Zones that are links of one another show the same: each (instant, offsets) is walked once with the zone's own data.
	var windows []window
	seen := map[string]bool{}
	changes := 0
	for _, name := range sortedKeys(found) {
		for i, c := range found[name] {
			changes++
			if key := fmt.Sprint(c, i > 0 && c.at.Sub(found[name][i-1].at) < 100*time.Hour); !seen[key] {
				seen[key] = true
				windows = append(windows, window{name, c})
			}
		}
	}
	for _, odd := range oddities {
		day, _ := time.Parse(time.DateOnly, odd.day)
		past := changesOf(zones[odd.zone], day.Add(-36*time.Hour), day.Add(60*time.Hour))
		if len(past) == 0 {
			t.Errorf("%s has no change about %s", odd.zone, odd.day)
		}
		for _, c := range past {
			windows = append(windows, window{odd.zone, c})
		}
	}
	ticks, cuts := 0, 0
	for _, w := range windows {
		z := zones[w.zone]
		walked := walk(z, w.at.Add(-52*time.Hour), w.at.Add(52*time.Hour))
		from, until := w.at.Add(-26*time.Hour), w.at.Add(26*time.Hour)
		random := rand.New(rand.NewPCG(uint64(w.at.Unix()), 1))
		for _, s := range all {
			schedule, err := ParseSchedule(s.spec, z)
			if err != nil {
				t.Fatal(err)
			}
			if schedule.elapsed != s.elapsed {
				t.Fatalf("%s: follows elapsed time: %v", s.spec, schedule.elapsed)
			}
			want := walked.due(s, from, until)
			got := slices.Collect(schedule.Ticks(from, until))
			if !slices.EqualFunc(got, want, time.Time.Equal) {
				t.Fatalf("%s in %s about %s\n%s", s.spec, w.zone, w.at, firstDifference(got, want, z))
			}
			ticks += len(got)
			// A process that starts at any moment finds the same ticks, also at, just before and just after each.
			starts := []time.Time{w.at, w.at.Add(-time.Nanosecond), w.at.Add(time.Nanosecond), w.at.Add(-time.Second)}
			for range 6 {
				starts = append(starts, from.Add(time.Duration(random.Int64N(int64(until.Sub(from))))))
			}
			for range min(3, len(want)) {
				tick := want[random.IntN(len(want))]
				starts = append(starts, tick, tick.Add(-time.Nanosecond), tick.Add(time.Second))
			}
			for _, start := range starts {
				cuts++
				after, _ := slices.BinarySearchFunc(want, start.Add(time.Nanosecond), time.Time.Compare)
				if next := schedule.Next(start); after < len(want) && !next.Equal(want[after]) || after == len(want) && !next.After(until) {
					t.Fatalf("%s in %s: after %s comes %s", s.spec, w.zone, start.In(z), next.In(z))
				}
				if len(want) > 110 { // asking for all of them again from so many instants would only take long
					continue
				}
				both := append(slices.Collect(schedule.Ticks(from, start)), slices.Collect(schedule.Ticks(start, until))...)
				if !slices.EqualFunc(both, want, time.Time.Equal) {
					t.Fatalf("%s in %s, cut at %s\n%s", s.spec, w.zone, start.In(z), firstDifference(both, want, z))
				}
			}
		}
	}
	t.Logf("%d of %d zones change their clocks between %s and %s, %d times; %d different changes and past oddities, %d schedules, %d ticks, asked from %d instants",
		len(found), len(zones), walkFrom.Format(time.DateOnly), walkUntil.Format(time.DateOnly), changes, len(windows), len(all), ticks, cuts)
}

func firstDifference(got, want []time.Time, z *time.Location) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			return fmt.Sprintf("too many: %s", got[i].In(z))
		case i >= len(got):
			return fmt.Sprintf("missing: %s", want[i].In(z))
		case !got[i].Equal(want[i]):
			return fmt.Sprintf("got %s, want %s", got[i].In(z), want[i].In(z))
		}
	}
	return ""
}

// On the last day of a leap year Go says of most zones that the span of their offset has ended.
func TestTicksOnTheLastDayOfALeapYear(t *testing.T) {
	zones, found := changing(t)
	all := []walked{
		{"* * * * *", func(time.Time) bool { return true }, whole, true},
		{"0 * * * 1", func(w time.Time) bool { return w.Minute() == 0 && w.Weekday() == time.Monday }, whole, true},
		{"30 2 * * *", at(2, 30), whole, false},
		{"45 23 * * *", at(23, 45), whole, false},
	}
	for _, name := range sortedKeys(found) {
		walked := walk(zones[name], time.Date(2028, 12, 29, 0, 0, 0, 0, time.UTC), time.Date(2029, 1, 3, 0, 0, 0, 0, time.UTC))
		from, until := time.Date(2028, 12, 30, 0, 0, 0, 0, time.UTC), time.Date(2029, 1, 2, 0, 0, 0, 0, time.UTC)
		for _, s := range all {
			schedule, err := ParseSchedule(s.spec, zones[name])
			if err != nil {
				t.Fatal(err)
			}
			want := walked.due(s, from, until)
			got := slices.Collect(schedule.Ticks(from, until))
			if !slices.EqualFunc(got, want, time.Time.Equal) {
				t.Fatalf("%s in %s\n%s", s.spec, name, firstDifference(got, want, zones[name]))
			}
		}
	}
}

// A fixed local time is due once for each day of the two years, on that day; a time that does not exist at the end of its gap.
// A schedule of every n minutes is due every n minutes where the clocks change by a multiple of that.
func TestEveryDayOnceAndElapsedTimeEvenly(t *testing.T) {
	zones, found := changing(t)
	moved := 0
	for _, name := range sortedKeys(found) {
		z := zones[name]
		for _, clock := range [][2]int{{0, 0}, {0, 30}, {1, 30}, {2, 0}, {2, 30}, {12, 0}, {23, 30}, {23, 59}} {
			s, err := ParseSchedule(fmt.Sprintf("%d %d * * *", clock[1], clock[0]), z)
			if err != nil {
				t.Fatal(err)
			}
			last := time.Date(2025, 10, 31, 12, 0, 0, 0, z)
			if clock[0] >= 12 {
				last = time.Date(2025, 10, 31, 23, 59, 30, 0, z)
			}
			for day := time.Date(2025, 11, 1, clock[0], clock[1], 0, 0, time.UTC); day.Before(walkUntil); day = day.AddDate(0, 0, 1) {
				tick := s.Next(last)
				if !tick.After(last) {
					t.Fatalf("%s: %s follows %s", name, tick, last)
				}
				if shown := reading(tick.In(z)); !shown.Equal(day) {
					edge, before := reading(tick.In(z)), reading(tick.Add(-time.Second).In(z))
					if !before.Before(day) || !edge.After(day) {
						t.Fatalf("%s: the tick of %s is %s", name, day.Format(time.DateTime), tick.In(z))
					}
					moved++
				}
				last = tick
			}
		}
		for _, minutes := range []int{1, 5, 10, 15, 30, 60} {
			even := true
			for _, c := range found[name] {
				even = even && (c.after-c.before)%(60*minutes) == 0
			}
			if !even { // half an hour of summer time: an hourly tick cannot both be even and at the full hour
				continue
			}
			spec := fmt.Sprintf("*/%d * * * *", minutes)
			if minutes == 60 {
				spec = "0 * * * *"
			}
			s, err := ParseSchedule(spec, z)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range found[name] {
				last := s.Next(c.at.Add(-4 * time.Hour))
				for tick := range s.Ticks(last, c.at.Add(4*time.Hour)) {
					if tick.Sub(last) != time.Duration(minutes)*time.Minute {
						t.Fatalf("%s in %s: %s follows %s", spec, name, tick.In(z), last.In(z))
					}
					last = tick
				}
			}
		}
	}
	if moved == 0 {
		t.Error("no tick was ever moved to the end of a gap")
	}
	t.Logf("%d zones; %d ticks moved to the end of a gap", len(found), moved)
}

const overTheChange = `groups:
  - {name: fixed, schedule: "30 2 * * *", rules: [{alert: A, query: q, identity: [account_id]}]}
  - {name: midnight, schedule: "0 0,23 * * *", rules: [{alert: B, query: q, identity: [account_id]}]}
  - {name: elapsed, schedule: "*/30 * * * *", eval_delay: 2m, rules: [{alert: C, query: q, identity: [account_id]}]}
  - {name: seconds, schedule: "10,40 15 * * * *", rules: [{alert: D, query: q, identity: [account_id]}]}
`

// The engine evaluates, is down while the clocks change, and comes back: under every policy each tick is in the ledger once, in
// order, and says how it was accounted for; the dumb walk through the minutes says which ticks there are.
func TestEveryTickIsAccountedForOverEveryChange(t *testing.T) {
	zones, found := changing(t)
	as := map[string]walked{
		"fixed":    {match: at(2, 30), seconds: whole},
		"midnight": {match: func(w time.Time) bool { return at(0, 0)(w) || at(23, 0)(w) }, seconds: whole},
		"elapsed":  {match: func(w time.Time) bool { return w.Minute()%30 == 0 }, seconds: whole, elapsed: true},
		"seconds":  {match: func(w time.Time) bool { return w.Minute() == 15 }, seconds: []int{10, 40}, elapsed: true},
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
			for i, policy := range []CatchUp{CatchUpAll, CatchUpLatest, CatchUpNone} {
				outages++
				set := load(t, overTheChange)
				for _, g := range set.Groups {
					g.CatchUp, g.Schedule.Zone = policy, z
				}
				began, down := c.at.Add(-7*time.Hour+7*time.Minute), c.at.Add(-time.Duration(i)*40*time.Minute-3*time.Second)
				back, ended := c.at.Add(3*time.Hour+17*time.Second), c.at.Add(9*time.Hour+time.Minute)
				log := lived(t, set, began, down, back, ended)
				minutes := walk(z, c.at.Add(-60*time.Hour), c.at.Add(60*time.Hour))
				for _, g := range set.Groups {
					want := minutes.due(as[g.Name], began, ended)
					var got []time.Time
					for n, entry := range log.Entries(g.Name)[1:] {
						got = append(got, entry.Tick)
						accounted[entry.Status]++
						unattended := entry.Tick.After(down) && entry.Tick.Before(back)
						latest := n+1 >= len(want) || !want[n+1].Before(back)
						should := alert.TickRun
						switch {
						case unattended && (policy == CatchUpAll || policy == CatchUpLatest && latest):
							should = alert.TickCaughtUp
						case unattended:
							should = alert.TickMissed
						}
						if entry.Status != should || entry.Status == alert.TickMissed && entry.Reason == "" {
							t.Fatalf("%s, catch_up %s, group %s: tick %s is %s (%s), not %s", name, policy, g.Name, entry.Tick.In(z), entry.Status, entry.Reason, should)
						}
					}
					if !slices.EqualFunc(got, want, time.Time.Equal) {
						t.Fatalf("%s, catch_up %s, group %s: %s", name, policy, g.Name, firstDifference(got, want, z))
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
func lived(t *testing.T, set *Set, began, down, back, ended time.Time) *MemoryLog {
	log := &MemoryLog{}
	synctest.Test(t, func(t *testing.T) {
		bubble := time.Now()
		for _, life := range [][2]time.Time{{began, down}, {back, ended}} {
			time.Sleep(time.Until(bubble.Add(life[0].Sub(began))))
			e := engine(set, &fake{}, log)
			e.From, e.Clock = time.Time{}, func() time.Time { return began.Add(time.Since(bubble)) }
			runFor(t, e, life[1].Sub(life[0]))
		}
	})
	return log
}
