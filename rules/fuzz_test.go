package rules

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/testservers/clocks"
)

// seeds adds every file that matches to the corpus.
func seeds(f *testing.F, patterns ...string) {
	f.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
}

// placed holds an error against what people need to mend a file: every mistake has a message and a place in that file.
func placed(t *testing.T, err error, text []byte) {
	t.Helper()
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("%T is no list of mistakes: %v", err, err)
	}
	for _, p := range problems {
		if p.File != "fuzzed.yaml" && p.File != "fuzzed.test.yaml" || p.Message == "" {
			t.Fatalf("%+v", p)
		}
		if p.Line < 1 || p.Column < 1 || p.Line > strings.Count(string(text), "\n")+strings.Count(string(text), "\r")+1 {
			t.Fatalf("the mistake is at line %d, column %d of %d lines: %s", p.Line, p.Column, strings.Count(string(text), "\n")+1, p)
		}
	}
}

// FuzzLoad: any bytes are rules or mistakes with a place. What loads, loads the same again, whatever stands around it, and its
// texts can be tried on a row.
func FuzzLoad(f *testing.F) {
	seeds(f, "testdata/*.yaml", "builtin/*.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := Load(Document{"fuzzed.yaml", text})
		if err != nil {
			placed(t, err, text)
			return
		}
		again, err := Load(Document{"fuzzed.yaml", text})
		if err != nil || !reflect.DeepEqual(summed(set), summed(again)) {
			t.Fatalf("the second time: %v, %v; %v", summed(set), summed(again), err)
		}
		if _, err := Load(Document{"fuzzed.yaml", text}, Document{"copy.yaml", text}); err == nil {
			t.Fatal("the same names in two files are read")
		}
		for _, g := range set.Groups {
			if g.Name == "" || len(g.Rules) == 0 || g.Schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() || g.EvalDelay < 0 {
				t.Fatalf("group %+v", g)
			}
			for _, r := range g.Rules {
				row := alert.Row{}
				for column := range r.columns {
					row[column] = "1"
				}
				for _, text := range r.texts {
					for _, column := range text.fields {
						row[column] = "1"
					}
				}
				if alerts, bad := r.Read([]alert.Row{row}); len(alerts)+len(bad) != 1 {
					t.Fatalf("%d alerts of one row", len(alerts))
				}
			}
		}
	})
}

func summed(s *Set) (all []string) {
	for _, g := range s.Groups {
		all = append(all, g.Name, g.Schedule.Spec, g.Schedule.Zone.String(), g.EvalDelay.String(), string(g.CatchUp))
		for _, r := range g.Rules {
			all = append(all, r.Name, r.Version, r.Query)
		}
	}
	return all
}

// FuzzLoadTests: the same of a test file, with rules and events beside it.
func FuzzLoadTests(f *testing.F) {
	seeds(f, "testdata/*.test.yaml", "builtin/*.test.yaml")
	beside := fstest.MapFS{}
	entries, err := fs.ReadDir(os.DirFS("builtin"), ".")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		if text, err := os.ReadFile(filepath.Join("builtin", e.Name())); err == nil {
			beside[e.Name()] = &fstest.MapFile{Data: text}
		}
	}
	rules, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		f.Fatal(err)
	}
	beside["fuzzed.yaml"] = &fstest.MapFile{Data: rules}
	beside["events.jsonl"] = &fstest.MapFile{Data: []byte(`{"deal": {"deal_id": "d", "closed_at": "2026-01-01T00:00:00Z"}}` + "\n")}
	f.Add([]byte("tests: [{name: x, events: [{file: events.jsonl}], instants: [{at: 2026-01-01, alerts: []}]}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		files := fstest.MapFS{"fuzzed.test.yaml": &fstest.MapFile{Data: text}}
		for name, file := range beside {
			files[name] = file
		}
		tests, err := LoadTests(files, "fuzzed.test.yaml")
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("%T is no list of mistakes: %v", err, err)
			}
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 || p.Message == "" || p.File == "" {
					t.Fatalf("%+v", p)
				}
			}
			return
		}
		again, err := LoadTests(files, "fuzzed.test.yaml")
		if err != nil || len(tests) != 1 || !reflect.DeepEqual(tests[0].Cases, again[0].Cases) {
			t.Fatalf("the second time: %v", err)
		}
		for _, c := range tests[0].Cases {
			if len(c.Instants) == 0 || !slices.IsSortedFunc(c.Instants, func(a, b TestInstant) int { return a.At.Compare(b.At) }) {
				t.Fatalf("%+v", c)
			}
		}
	})
}

// counted counts how often the cron library is asked.
type counted struct {
	cron.Schedule
	asked *int
}

func (c counted) Next(t time.Time) time.Time {
	*c.asked++
	return c.Schedule.Next(t)
}

// FuzzParseSchedule: any text is a schedule or a mistake. The ticks of a schedule are found in a bounded number of steps, go
// forward, show a matching reading or are the end of a gap, and are the same from wherever one asks.
func FuzzParseSchedule(f *testing.F) {
	for _, spec := range []string{"*/5 * * * *", "0 6 * * 1-5", "30 2 25-31 3,10 sun", "0 30 2 * * *", "*/7 */3 1-5/2 * jan-mar ?", "0 0 29 2 *",
		"TZ=UTC 0 6 * * *", "@daily", "* * * * * *", "59 59 23 31 12 *", "0 0 31 2 *", "0-4294967295 * * * *", "1/9223372036854775807 * * * *"} {
		f.Add(spec, uint16(0), int64(1774738800))
		f.Add(spec, uint16(417), int64(1792890000))
	}
	zones, err := clocks.Database()
	if err != nil {
		f.Fatal(err)
	}
	names := sortedKeys(zones)
	f.Fuzz(func(t *testing.T, spec string, zone uint16, unix int64) {
		z := zones[names[int(zone)%len(names)]]
		s, err := ParseSchedule(spec, z)
		if err != nil {
			return
		}
		asked := 0
		s.walls = counted{s.walls, &asked}
		at := time.Unix(946684800+(unix&(1<<40-1))%(100*365*24*3600), 0) // a hundred years from 2000 on
		for range 5 {
			next := s.Next(at)
			if asked > 200_000 { // a repeated day of a schedule of every second, and then some
				t.Fatalf("%q in %s after %s: the library was asked %d times", spec, z, at, asked)
			}
			if next.IsZero() {
				return
			}
			if !next.After(at) || next.Sub(at) > 9*366*24*time.Hour || next.Nanosecond() != 0 {
				t.Fatalf("%q in %s: %s follows %s", spec, z, next, at)
			}
			wall := reading(next.In(z))
			matches := s.walls.Next(wall.Add(-time.Nanosecond)).Equal(wall)
			if before := reading(next.Add(-time.Second).In(z)); !matches && (s.elapsed || wall.Sub(before) == time.Second) {
				t.Fatalf("%q in %s is due at %s", spec, z, next.In(z))
			}
			between := at.Add(next.Sub(at) / 3)
			if from := s.Next(between); !from.Equal(next) {
				t.Fatalf("%q in %s: after %s comes %s, after %s comes %s", spec, z, at, next, between, from)
			}
			at = next
		}
	})
}

// FuzzParseDuration: any text is a duration that is not negative, or a mistake.
func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"90s", "1d12h", "2w", "0", "1.5h", "-1s", "999999999999w", "1e9s", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDuration(s); d < 0 || err != nil && d != 0 {
			t.Fatalf("%q is %s, %v", s, d, err)
		}
	})
}
