package clocks

import (
	"archive/zip"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The two years whose changes of the clocks are walked through, in every zone that has one.
var (
	WalkFrom  = time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC)
	WalkUntil = time.Date(2027, 11, 1, 0, 0, 0, 0, time.UTC)
)

// Change is one transition of a zone.
type Change struct {
	At            time.Time
	Before, After int // seconds east of UTC
}

// Database is every zone of the tz database that comes with Go.
var Database = sync.OnceValues(func() (zones map[string]*time.Location, err error) {
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

// ChangesOf finds the transitions of a zone by asking for its offset hour by hour, then minute by minute.
func ChangesOf(z *time.Location, from, until time.Time) (all []Change) {
	offset := func(t time.Time) int { _, o := t.In(z).Zone(); return o }
	was := offset(from)
	for t := from; t.Before(until); t = t.Add(time.Hour) {
		is := offset(t.Add(time.Hour))
		if is == was {
			continue
		}
		was = is
		for m := t; m.Before(t.Add(time.Hour)); m = m.Add(time.Minute) {
			if b, a := offset(m), offset(m.Add(time.Minute)); b != a {
				all = append(all, Change{m.Add(time.Minute), b, a})
			}
		}
	}
	return all
}

// zonesThatChange is every zone that has a change of its clocks within the two years, with them.
var zonesThatChange = sync.OnceValues(func() (map[string][]Change, error) {
	zones, err := Database()
	found := map[string][]Change{}
	for name, z := range zones {
		if changes := ChangesOf(z, WalkFrom, WalkUntil); len(changes) > 0 {
			found[name] = changes
		}
	}
	return found, err
})

func Changing(t *testing.T) (map[string]*time.Location, map[string][]Change) {
	t.Helper()
	zones, err := Database()
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

// Walked is a schedule as the test understands it: which local readings match, at which seconds of a matching minute.
type Walked struct {
	Spec    string
	Match   func(wall time.Time) bool
	Seconds []int
	Elapsed bool // the hour is a wildcard
}

func At(hour, minute int) func(time.Time) bool {
	return func(w time.Time) bool { return w.Hour() == hour && w.Minute() == minute }
}

var Whole = []int{0}

// Schedules are fixed times on both sides of and within what any zone leaves out or repeats, and what else a cron line can say.
func Schedules() []Walked {
	all := []Walked{
		{"* * * * *", func(time.Time) bool { return true }, Whole, true},
		{"*/10 * * * *", func(w time.Time) bool { return w.Minute()%10 == 0 }, Whole, true},
		{"0 * * * *", func(w time.Time) bool { return w.Minute() == 0 }, Whole, true},
		{"7,52 0-23 * * *", func(w time.Time) bool { return w.Minute() == 7 || w.Minute() == 52 }, Whole, true},
		{"*/20 */30 * * * *", func(w time.Time) bool { return w.Minute()%30 == 0 }, []int{0, 20, 40}, true},
		{"30 * * * sun", func(w time.Time) bool { return w.Minute() == 30 && w.Weekday() == time.Sunday }, Whole, true},
		{"0 */2 * * *", func(w time.Time) bool { return w.Minute() == 0 && w.Hour()%2 == 0 }, Whole, false},
		{"*/15 1-3 * * *", func(w time.Time) bool { return w.Minute()%15 == 0 && w.Hour() >= 1 && w.Hour() <= 3 }, Whole, false},
		{"0 0-22 * * *", func(w time.Time) bool { return w.Minute() == 0 && w.Hour() <= 22 }, Whole, false},
		{"5,35 30 2 * * *", At(2, 30), []int{5, 35}, false},
		{"*/15 59 23 * * *", At(23, 59), []int{0, 15, 30, 45}, false},
		{"30 2 * * 0", func(w time.Time) bool { return At(2, 30)(w) && w.Weekday() == time.Sunday }, Whole, false},
		{"30 23 * * sat", func(w time.Time) bool { return At(23, 30)(w) && w.Weekday() == time.Saturday }, Whole, false},
		{"0 0 1 * *", func(w time.Time) bool { return At(0, 0)(w) && w.Day() == 1 }, Whole, false},
		{"30 2 25-31 * *", func(w time.Time) bool { return At(2, 30)(w) && w.Day() >= 25 }, Whole, false},
		{"0 3 29 3 *", func(w time.Time) bool { return At(3, 0)(w) && w.Day() == 29 && w.Month() == time.March }, Whole, false},
	}
	for hour := range 24 {
		for _, minute := range []int{0, 15, 30, 45} {
			all = append(all, Walked{fmt.Sprintf("%d %d * * *", minute, hour), At(hour, minute), Whole, false})
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

func Walk(z *time.Location, start, end time.Time) around {
	w := around{start: start, first: map[int64]int{}}
	for t := start; t.Before(end); t = t.Add(time.Minute) {
		l := t.In(z)
		year, month, day := l.Date()
		hour, minute, second := l.Clock()
		wall := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
		if _, seen := w.first[wall.Unix()]; !seen {
			w.first[wall.Unix()] = len(w.readings)
		}
		w.readings = append(w.readings, wall)
	}
	return w
}

func (w around) minute(i int) time.Time { return w.start.Add(time.Duration(i) * time.Minute) }

// Due is the slow truth: when a schedule is due between from and until, which lie well inside of what was walked. It knows
// nothing of offsets: a wildcard hour is due whenever the clocks show it; each fixed time is looked up where the clocks show
// it first, or else where they jump over it.
func (w around) Due(s Walked, from, until time.Time) (ticks []time.Time) {
	put := func(t time.Time) {
		if t.After(from) && !t.After(until) {
			ticks = append(ticks, t)
		}
	}
	if s.Elapsed {
		for i, wall := range w.readings {
			if s.Match(wall) {
				for _, second := range s.Seconds {
					put(w.minute(i).Add(time.Duration(second) * time.Second))
				}
			}
		}
		return ticks
	}
	for wall := w.readings[0]; !wall.After(w.readings[len(w.readings)-1]); wall = wall.Add(time.Minute) {
		if !s.Match(wall) {
			continue
		}
		if i, shown := w.first[wall.Unix()]; shown {
			for _, second := range s.Seconds {
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

func FirstDifference(got, want []time.Time, z *time.Location) string {
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
