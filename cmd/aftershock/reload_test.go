package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/dial"
	"github.com/aftershock/aftershock/pipeline"
)

// ruleFile writes one group that looks every second, by lines of `name | key: value; key: value | query`.
func ruleFile(group string, lines ...string) string {
	text := "groups:\n  - name: " + group + "\n    schedule: \"* * * * * *\"\n    rules:\n"
	for _, line := range lines {
		parts := strings.Split(line, "|")
		text += fmt.Sprintf("      - alert: %s\n        query: %s\n        identity: [account_id]\n        annotations: {summary: x}\n", strings.TrimSpace(parts[0]), strings.TrimSpace(parts[2]))
		for key := range strings.SplitSeq(parts[1], ";") {
			if key = strings.TrimSpace(key); key != "" {
				text += "        " + key + "\n"
			}
		}
	}
	return text
}

// TestRulesAreReloaded: a pipeline runs while its rule files change, first as Kubernetes changes a mounted ConfigMap, then as an
// editor does. Nothing starts anew that went on, and what is broken changes nothing.
func TestRulesAreReloaded(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	folder := t.TempDir()
	mount := func(version, text string) { // ..data is a link to the version; the file is a link through it
		if err := os.Mkdir(filepath.Join(folder, version), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, version, "rules.yaml"), text)
		for link, to := range map[string]string{"..next": version, "rules.yaml": "..data/rules.yaml"} {
			if err := os.Symlink(to, filepath.Join(folder, link)); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
		}
		if err := os.Rename(filepath.Join(folder, "..next"), filepath.Join(folder, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	const row = "SELECT 'A-1' AS account_id, 5 AS n"
	kept, pending := "Kept | severity: warning | "+row, "Pending | severity: info; for: 1h | "+row
	mount("..v1", ruleFile("g", kept, pending, "Threshold | severity: warning | "+row+" WHERE n > 3", "Removed | severity: info | "+row))
	config := s.config
	config.Evaluate.Rules, config.Evaluate.ReloadEvery, config.Evaluate.UpkeepEvery = []string{folder}, 50*time.Millisecond, 200*time.Millisecond
	p := running(t, config)
	said := func() string {
		return strings.ReplaceAll(s.sql(t, `SELECT rule, arrayStringConcat(groupArray(concat(toString(episode), ':', state, '/', reason)), ' ')
			FROM (SELECT * FROM alert_log WHERE i > 0 ORDER BY n, i) GROUP BY rule ORDER BY rule`), "\t", " ")
	}
	comes := func(want string) {
		t.Helper()
		want = strings.TrimSpace(strings.ReplaceAll(want, "\t", ""))
		deadline := time.Now().Add(time.Minute)
		for said() != want {
			if time.Now().After(deadline) {
				t.Fatalf("it says\n%s\nand not\n%s", said(), want)
			}
			if err := dial.Sleep(t.Context(), 50*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	}
	comes(`Kept 1:firing/condition_met
		Pending 1:pending/waiting_for
		Removed 1:firing/condition_met
		Threshold 1:firing/condition_met`)

	mount("..v2", ruleFile("g", kept, pending, "Threshold | severity: warning | "+row+" WHERE n > 7")+strings.TrimPrefix(ruleFile("h", "New | severity: info | "+row), "groups:\n"))
	comes(`Kept 1:firing/condition_met
		New 1:firing/condition_met
		Pending 1:pending/waiting_for
		Removed 1:firing/condition_met 1:resolved/rule_removed
		Threshold 1:firing/condition_met 1:resolved/condition_cleared`)
	before := said()

	path := filepath.Join(folder, "..v2", "rules.yaml")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, broken := range map[string]string{
		"YAML":                     strings.Replace(string(good), "groups:", "groups: [", 1),
		"a key that no rule has":   strings.Replace(string(good), "severity: warning", "severity: warning\n        colour: red", 1),
		"a column that is nowhere": strings.Replace(string(good), "5 AS n", "colour AS n", 1),
	} {
		write(t, path, broken)
		eventually(t, func() bool { return refused(t, p) == 1 })
		ticks := s.sql(t, "SELECT max(n) FROM alert_log WHERE group_name = 'g'")
		eventually(t, func() bool {
			return s.sql(t, "SELECT max(n) > "+ticks+" + 1 FROM alert_log WHERE group_name = 'g'") == "1"
		})
		if got := said(); got != before {
			t.Errorf("%s is broken, and the old rules do not go on:\n%s", what, got)
		}
		write(t, path, string(good))
		eventually(t, func() bool { return refused(t, p) == 0 })
	}

	write(t, path, ruleFile("g", kept, pending, "Threshold | severity: critical | "+row+" WHERE n > 4")) // the group h is gone
	comes(`Kept 1:firing/condition_met
		New 1:firing/condition_met 1:resolved/rule_removed
		Pending 1:pending/waiting_for
		Removed 1:firing/condition_met 1:resolved/rule_removed
		Threshold 1:firing/condition_met 1:resolved/condition_cleared 2:firing/condition_met`)
	s.is(t, "SELECT count() FROM alert_log WHERE tick_reason LIKE '%nobody%'", "0")

	// A topic that nobody made is named; the rules come into force, for what they have to tell waits for it in the log.
	write(t, path, ruleFile("g", kept, pending, "Mistyped | severity: info; topic: churn.alrets.nobody | "+row))
	if err := s.refused(t, "rules", "check", path); err == nil || !strings.Contains(err.Error(), "churn.alrets.nobody") {
		t.Errorf("rules check says %v", err)
	}
	comes(`Kept 1:firing/condition_met
		Mistyped 1:firing/condition_met
		New 1:firing/condition_met 1:resolved/rule_removed
		Pending 1:pending/waiting_for
		Removed 1:firing/condition_met 1:resolved/rule_removed
		Threshold 1:firing/condition_met 1:resolved/condition_cleared 2:firing/condition_met 2:resolved/rule_removed`)
	if refused(t, p) != 0 {
		t.Error("the rules are refused")
	}
}

// refused is the gauge of refused rules.
func refused(t *testing.T, p *pipeline.Pipeline) float64 {
	t.Helper()
	families, err := p.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "aftershock_rules_refused" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("there is no gauge of refused rules")
	return 0
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
