package rules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Each testdata/*.bad.yaml begins with comments "# want: TEXT": each must be in what loading it says, and nothing more is said.
func TestLoadBadFiles(t *testing.T) {
	names, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal("no bad files", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var wants []string
			for l := range strings.Lines(string(data)) {
				if want, ok := strings.CutPrefix(strings.TrimSpace(l), "# want: "); ok {
					wants = append(wants, want)
				}
			}
			_, err = Load(Document{filepath.Base(name), data})
			problems, ok := err.(Problems)
			if !ok {
				t.Fatalf("no problems: %v", err)
			}
			for _, want := range wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("not said: %s", want)
				}
			}
			if len(problems) != len(wants) || t.Failed() {
				t.Errorf("said:\n%v", err)
			}
		})
	}
}

func TestBuiltinLoads(t *testing.T) {
	set, err := LoadFiles(Builtin())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"HardDealHandoff", "PriceAboveAnticipated", "EarlyRenegotiation", "RepeatedRenegotiation",
		"RenewalAtRisk", "ReferenceAtRisk", "ExpansionAtRisk", "HardnessDrift", "SourceStale", "DeadLettersRising"} {
		r := set.Rule(name)
		if r == nil {
			t.Errorf("no rule %s", name)
			continue
		}
		if r.Severity == "critical" {
			t.Errorf("%s is critical: nothing is, until the user's own data says so", name)
		}
		playbook := r.Annotations["playbook"]
		if _, err := os.Stat(filepath.Join("..", playbook)); err != nil || playbook == "" {
			t.Errorf("%s: playbook %q: %v", name, playbook, err)
		}
	}
	files, err := LoadTests(Builtin())
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for _, f := range files {
		for _, g := range f.Set.Groups {
			for _, r := range g.Rules {
				tested[r.Name] = true
			}
		}
	}
	for _, g := range set.Groups {
		for _, r := range g.Rules {
			if !tested[r.Name] {
				t.Errorf("%s has no test file", r.Name)
			}
		}
	}
}

func TestNamesDifferAcrossFiles(t *testing.T) {
	file := "groups: [{name: a, schedule: '0 6 * * *', rules: [{alert: A, query: SELECT 1 AS x, identity: [x]}]}]"
	_, err := Load(Document{"one.yaml", []byte(file)}, Document{"two.yaml", []byte(file)})
	if err == nil || !strings.Contains(err.Error(), `two.yaml:1:17: group "a" is already at one.yaml:1`) ||
		!strings.Contains(err.Error(), `alert "A" is already at one.yaml:1`) {
		t.Fatal(err)
	}
}

func TestVersionFollowsWhatTheRuleSays(t *testing.T) {
	load := func(rule string) string {
		t.Helper()
		set, err := Load(Document{"r.yaml", []byte("groups:\n  - name: g\n    schedule: \"0 6 * * *\"\n    rules:\n      - " + rule)})
		if err != nil {
			t.Fatal(err)
		}
		return set.Groups[0].Rules[0].Version
	}
	base := load("{alert: A, query: 'SELECT 1 AS x', identity: [x], annotations: {summary: a}}")
	if same := load("{alert: A, severity: warning, query: 'SELECT  1\tAS x', identity: [x], annotations: {summary: a}}"); same != base {
		t.Error("layout and written defaults change the version")
	}
	for _, other := range []string{
		"{alert: A, query: 'SELECT 2 AS x', identity: [x], annotations: {summary: a}}",
		"{alert: A, query: 'SELECT 1 AS x', identity: [x], annotations: {summary: b}}",
		"{alert: A, for: 1h, query: 'SELECT 1 AS x', identity: [x], annotations: {summary: a}}",
		"{alert: A, query: 'SELECT 1 AS x', identity: [x], labels: {summary: a}}",
	} {
		if load(other) == base {
			t.Errorf("the version does not change with %s", other)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "1d12h": 36 * time.Hour, "2w": 336 * time.Hour, "1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1", "-1h", "1y", "1 h", "h", "9999999w", "1h-"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
