package rules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/aftershock/aftershock/testservers/clocks"
)

// Odd changes of the past: a day that was left out, half hours, a day that was left out the other way round, quarters.
var oddities = []struct{ zone, day string }{
	{"Pacific/Apia", "2011-12-30"}, {"Pacific/Fakaofo", "2011-12-30"}, {"Pacific/Kwajalein", "1993-08-21"}, {"Pacific/Kiritimati", "1994-12-31"},
	{"Asia/Kathmandu", "1985-12-31"}, {"Asia/Pyongyang", "2015-08-14"}, {"Asia/Pyongyang", "2018-05-04"}, {"America/Caracas", "2007-12-09"},
	{"America/Caracas", "2016-05-01"}, {"Australia/Lord_Howe", "2019-04-06"}, {"Antarctica/Troll", "2016-03-27"}, {"Antarctica/Troll", "2016-10-30"},
	{"Africa/Casablanca", "2019-05-05"}, {"Africa/El_Aaiun", "2019-06-09"}, {"Europe/Dublin", "2018-10-28"}, {"Pacific/Chatham", "2019-04-06"},
	{"America/Sao_Paulo", "2018-11-04"}, {"America/Sao_Paulo", "2019-02-16"}, {"Europe/Volgograd", "2018-10-28"},
	{"America/Godthab", "2023-03-25"}, {"Asia/Tehran", "2022-09-21"}, {"Asia/Gaza", "2016-10-28"},
}

// remembered is what the cron library says of local readings, asked once for each: the zones ask for the same ones again and again.
type remembered struct {
	cron.Schedule
	next map[int64]time.Time
}

func (r remembered) Next(t time.Time) time.Time {
	key := t.UnixNano()
	next, known := r.next[key]
	if !known {
		next = r.Schedule.Next(t)
		r.next[key] = next
	}
	return next
}

// schedules parses each schedule for each zone, with one memory of the library's answers for a schedule.
type schedules map[string]remembered

func (all schedules) parse(t *testing.T, spec string, zone *time.Location) Schedule {
	t.Helper()
	s, err := ParseSchedule(spec, zone)
	if err != nil {
		t.Fatal(err)
	}
	if _, known := all[spec]; !known {
		all[spec] = remembered{s.walls, map[int64]time.Time{}}
	}
	s.walls = all[spec]
	return s
}

// Around every change of the clocks, each schedule is due exactly when a walk through the minutes says so: wherever one starts
// to ask, and however the time is cut in two.
func TestTicksOverEveryChangeOfTheClocks(t *testing.T) {
	zones, found := clocks.Changing(t)
	all := clocks.Schedules()
	type window struct {
		zone string
		clocks.Change
	}
	// Zones that are links of one another show the same: each (instant, offsets) is walked once with the zone's own data.
	var windows []window
	seen := map[string]bool{}
	changes := 0
	for _, name := range sortedKeys(found) {
		for i, c := range found[name] {
			changes++
			if key := fmt.Sprint(c, i > 0 && c.At.Sub(found[name][i-1].At) < 100*time.Hour); !seen[key] {
				seen[key] = true
				windows = append(windows, window{name, c})
			}
		}
	}
	for _, odd := range oddities {
		day, _ := time.Parse(time.DateOnly, odd.day)
		past := clocks.ChangesOf(zones[odd.zone], day.Add(-36*time.Hour), day.Add(60*time.Hour))
		if len(past) == 0 {
			t.Errorf("%s has no change about %s", odd.zone, odd.day)
		}
		for _, c := range past {
			windows = append(windows, window{odd.zone, c})
		}
	}
	parsed, ticks, cuts := schedules{}, 0, 0
	for _, w := range windows {
		z := zones[w.zone]
		walked := clocks.Walk(z, w.At.Add(-52*time.Hour), w.At.Add(52*time.Hour))
		from, until := w.At.Add(-26*time.Hour), w.At.Add(26*time.Hour)
		random := rand.New(rand.NewPCG(uint64(w.At.Unix()), 1))
		for _, s := range all {
			schedule := parsed.parse(t, s.Spec, z)
			if schedule.elapsed != s.Elapsed {
				t.Fatalf("%s: follows elapsed time: %v", s.Spec, schedule.elapsed)
			}
			want := walked.Due(s, from, until)
			got := slices.Collect(schedule.Ticks(from, until))
			if !slices.EqualFunc(got, want, time.Time.Equal) {
				t.Fatalf("%s in %s about %s\n%s", s.Spec, w.zone, w.At, clocks.FirstDifference(got, want, z))
			}
			ticks += len(got)
			// A process that starts at any moment finds the same ticks, also at, just before and just after each.
			starts := []time.Time{w.At, w.At.Add(-time.Nanosecond), w.At.Add(time.Nanosecond), w.At.Add(-time.Second)}
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
					t.Fatalf("%s in %s: after %s comes %s", s.Spec, w.zone, start.In(z), next.In(z))
				}
				if len(want) > 110 { // asking for all of them again from so many instants would only take long
					continue
				}
				both := append(slices.Collect(schedule.Ticks(from, start)), slices.Collect(schedule.Ticks(start, until))...)
				if !slices.EqualFunc(both, want, time.Time.Equal) {
					t.Fatalf("%s in %s, cut at %s\n%s", s.Spec, w.zone, start.In(z), clocks.FirstDifference(both, want, z))
				}
			}
		}
	}
	t.Logf("%d of %d zones change their clocks between %s and %s, %d times; %d different changes and past oddities, %d schedules, %d ticks, asked from %d instants",
		len(found), len(zones), clocks.WalkFrom.Format(time.DateOnly), clocks.WalkUntil.Format(time.DateOnly), changes, len(windows), len(all), ticks, cuts)
}

// On the last day of a leap year Go says of most zones that the span of their offset has ended.
func TestTicksOnTheLastDayOfALeapYear(t *testing.T) {
	zones, found := clocks.Changing(t)
	all := []clocks.Walked{
		{Spec: "* * * * *", Match: func(time.Time) bool { return true }, Seconds: clocks.Whole, Elapsed: true},
		{Spec: "0 * * * 1", Match: func(w time.Time) bool { return w.Minute() == 0 && w.Weekday() == time.Monday }, Seconds: clocks.Whole, Elapsed: true},
		{Spec: "30 2 * * *", Match: clocks.At(2, 30), Seconds: clocks.Whole, Elapsed: false},
		{Spec: "45 23 * * *", Match: clocks.At(23, 45), Seconds: clocks.Whole, Elapsed: false},
	}
	parsed := schedules{}
	for _, name := range sortedKeys(found) {
		walked := clocks.Walk(zones[name], time.Date(2028, 12, 29, 0, 0, 0, 0, time.UTC), time.Date(2029, 1, 3, 0, 0, 0, 0, time.UTC))
		from, until := time.Date(2028, 12, 30, 0, 0, 0, 0, time.UTC), time.Date(2029, 1, 2, 0, 0, 0, 0, time.UTC)
		for _, s := range all {
			schedule := parsed.parse(t, s.Spec, zones[name])
			want := walked.Due(s, from, until)
			got := slices.Collect(schedule.Ticks(from, until))
			if !slices.EqualFunc(got, want, time.Time.Equal) {
				t.Fatalf("%s in %s\n%s", s.Spec, name, clocks.FirstDifference(got, want, zones[name]))
			}
		}
	}
}

// A fixed local time is due once for each day of the two years, on that day; a time that does not exist at the end of its gap.
// A schedule of every n minutes is due every n minutes where the clocks change by a multiple of that.
func TestEveryDayOnceAndElapsedTimeEvenly(t *testing.T) {
	zones, found := clocks.Changing(t)
	parsed, moved := schedules{}, 0
	for _, name := range sortedKeys(found) {
		z := zones[name]
		for _, clock := range [][2]int{{0, 0}, {0, 30}, {1, 30}, {2, 0}, {2, 30}, {12, 0}, {23, 30}, {23, 59}} {
			s := parsed.parse(t, fmt.Sprintf("%d %d * * *", clock[1], clock[0]), z)
			last := time.Date(2025, 10, 31, 12, 0, 0, 0, z)
			if clock[0] >= 12 {
				last = time.Date(2025, 10, 31, 23, 59, 30, 0, z)
			}
			for day := time.Date(2025, 11, 1, clock[0], clock[1], 0, 0, time.UTC); day.Before(clocks.WalkUntil); day = day.AddDate(0, 0, 1) {
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
				even = even && (c.After-c.Before)%(60*minutes) == 0
			}
			if !even { // half an hour of summer time: an hourly tick cannot both be even and at the full hour
				continue
			}
			spec := fmt.Sprintf("*/%d * * * *", minutes)
			if minutes == 60 {
				spec = "0 * * * *"
			}
			s := parsed.parse(t, spec, z)
			for _, c := range found[name] {
				last := s.Next(c.At.Add(-4 * time.Hour))
				for tick := range s.Ticks(last, c.At.Add(4*time.Hour)) {
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
