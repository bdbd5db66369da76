package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func seenAlert(r *Rule, account string) alert {
	id := map[string]string{"account_id": account}
	return alert{fingerprint: churn.Fingerprint(r.Name, id), identity: id, accountID: account}
}

// story plays instants an hour apart: "x" the row is there, "." it is not, "e" the query failed, "n" no data and no row,
// "N" no data but the row is there, "-" the rule is gone, "i" its identity changed. It returns what was emitted.
func story(r Rule, l lifecycle, script string) ([]string, []churn.Transition) {
	r.Name, r.Identity = "R", []string{"account_id"}
	before := prior{}
	var said []string
	var all []churn.Transition
	for i, c := range script {
		l.at = start.Add(time.Duration(i) * time.Hour)
		now := r
		group := []*Rule{&now}
		o := observation{rule: &now}
		switch c {
		case 'x', 'N':
			o.alerts = []alert{seenAlert(&now, "A")}
			o.partial = c == 'N'
		case 'n':
			o.partial = true
		case 'e':
			o.failed = true
		case '-':
			group = nil
		case 'i':
			now.Identity = []string{"account_id", "contract_id"}
		}
		var seen []observation
		if group != nil {
			seen = []observation{o}
		}
		for _, t := range l.step(before, group, seen) {
			told := "stored"
			if published(t) {
				told = "told"
			}
			said = append(said, fmt.Sprintf("%d:%s/%s/%d.%d/%s", i, t.State, t.Reason, t.Episode, t.Sequence, told))
			before[t.Fingerprint] = t
			all = append(all, t)
		}
	}
	return said, all
}

func TestLifecycle(t *testing.T) {
	for _, c := range []struct {
		why    string
		rule   Rule
		script string
		want   string
	}{
		{"an alert fires when its row comes and is not told again while it stays", Rule{}, "xxx", "0:firing/condition_met/1.1/told"},
		{"it resolves when the row goes, and coming back is a new episode", Rule{}, "x.x",
			"0:firing/condition_met/1.1/told 1:resolved/condition_cleared/1.2/told 2:firing/condition_met/2.1/told"},
		{"a failed query says nothing: the alert holds and nothing else is open", Rule{}, "xeex.", "0:firing/condition_met/1.1/told 4:resolved/condition_cleared/1.2/told"},
		{"no data is never no risk: what is not seen holds", Rule{}, "xnn.", "0:firing/condition_met/1.1/told 3:resolved/condition_cleared/1.2/told"},
		{"what is seen without full data is true", Rule{}, "N", "0:firing/condition_met/1.1/told"},
		{"for: the row must stay", Rule{For: 2 * time.Hour}, "xxx", "0:pending/waiting_for/1.1/stored 2:firing/condition_met/1.2/told"},
		{"for: a row that goes early is not told, and the episode was none", Rule{For: 2 * time.Hour}, "x.xxx",
			"0:pending/waiting_for/1.1/stored 1:resolved/condition_not_held/1.2/stored 2:pending/waiting_for/1.3/stored 4:firing/condition_met/1.4/told"},
		{"for: a failed query neither ends the wait nor fires", Rule{For: 2 * time.Hour}, "xeex", "0:pending/waiting_for/1.1/stored 3:firing/condition_met/1.2/told"},
		{"keep_firing_for: a gap shorter than it is not told", Rule{KeepFiringFor: 2 * time.Hour}, "x.x",
			"0:firing/condition_met/1.1/told 1:firing/holding/1.2/stored 2:firing/condition_returned/1.3/stored"},
		{"keep_firing_for: the end is told when it has passed", Rule{KeepFiringFor: 2 * time.Hour}, "x...",
			"0:firing/condition_met/1.1/told 1:firing/holding/1.2/stored 3:resolved/condition_cleared/1.3/told"},
		{"repeat_every: reminders while it stays", Rule{RepeatEvery: 2 * time.Hour}, "xxxxx",
			"0:firing/condition_met/1.1/told 2:reminder/repeat_every_passed/1.2/told 4:reminder/repeat_every_passed/1.3/told"},
		{"a rule that is gone resolves its alerts", Rule{}, "x-", "0:firing/condition_met/1.1/told 1:resolved/rule_removed/1.2/told"},
		{"a rule whose identity changed resolves what the old one raised", Rule{}, "xi", "0:firing/condition_met/1.1/told 1:resolved/rule_removed/1.2/told"},
		{"a pending alert of a rule that is gone ends silently", Rule{For: 2 * time.Hour}, "x-", "0:pending/waiting_for/1.1/stored 1:resolved/rule_removed/1.2/stored"},
		{"a rule that comes back begins a new episode", Rule{}, "x-x", "0:firing/condition_met/1.1/told 1:resolved/rule_removed/1.2/told 2:firing/condition_met/2.1/told"},
		{"nothing there, nothing said", Rule{}, "..en.", ""},
	} {
		t.Run(c.why, func(t *testing.T) {
			said, all := story(c.rule, lifecycle{}, c.script)
			if got := strings.Join(said, " "); got != c.want {
				t.Errorf("%s\ngot  %s\nwant %s", c.script, got, c.want)
			}
			for _, x := range all {
				if x.State == churn.Resolved == x.ResolvedAt.IsZero() {
					t.Errorf("%s with resolved_at %v", x.State, x.ResolvedAt)
				}
				if x.ID != churn.TransitionID(x.Fingerprint, x.Episode, x.Sequence) {
					t.Error("the id is not of fingerprint, episode and sequence")
				}
			}
		})
	}
}

func TestEpisodesSpentElsewhereAreNotUsedAgain(t *testing.T) {
	r := Rule{Name: "R"}
	l := lifecycle{retired: map[string]int{seenAlert(&r, "A").fingerprint: 3}}
	said, _ := story(Rule{}, l, "x.x")
	if got, want := strings.Join(said, " "), "0:firing/condition_met/4.1/told 1:resolved/condition_cleared/4.2/told 2:firing/condition_met/5.1/told"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestTheHoldoutIsStoredAndDrawnByAccount(t *testing.T) {
	_, all := story(Rule{}, lifecycle{holdoutShare: 1}, "x.x")
	for _, x := range all {
		if x.Arm != churn.Holdout || published(x) {
			t.Errorf("%s is %s, published %v", x.State, x.Arm, published(x))
		}
	}
	half, held := lifecycle{holdoutShare: 0.25}, 0
	for i := range 10000 {
		if half.arm(fmt.Sprint("account-", i)) == churn.Holdout {
			held++
		}
	}
	if held < 2300 || held > 2700 {
		t.Errorf("%d of 10000 accounts held out at a share of 0.25", held)
	}
	if half.arm("") != churn.Treatment {
		t.Error("an alert without an account is held out")
	}
}

// The reference model keeps whole histories and asks simple questions of them; the lifecycle keeps one transition.
func TestLifecycleAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{
			For:           time.Duration(rapid.IntRange(0, 3).Draw(t, "for")) * time.Hour,
			KeepFiringFor: time.Duration(rapid.IntRange(0, 3).Draw(t, "keep")) * time.Hour,
		}
		script := rapid.StringOfN(rapid.RuneFrom([]rune("xx..en")), 1, 40, -1).Draw(t, "script")
		said, all := story(rule, lifecycle{}, script)
		var want []string
		firing, episode := false, 0
		seenSince, goneSince := -1, -1 // hour at which the present run of rows, of absences, began; unknown hours are skipped
		for i, c := range script {
			switch c {
			case 'x':
				goneSince = -1
				if seenSince < 0 {
					seenSince = i
				}
				if !firing && time.Duration(i-seenSince)*time.Hour >= rule.For {
					firing = true
					episode++
					want = append(want, fmt.Sprintf("%d:firing %d", i, episode))
				}
			case '.':
				seenSince = -1
				if goneSince < 0 {
					goneSince = i
				}
				if firing && time.Duration(i-goneSince)*time.Hour >= rule.KeepFiringFor {
					firing = false
					want = append(want, fmt.Sprintf("%d:resolved %d", i, episode))
				}
			}
		}
		var got []string
		ids := map[string]bool{}
		for i, x := range all {
			if ids[x.ID] {
				t.Fatalf("%s: two transitions with one id: %s", script, said)
			}
			ids[x.ID] = true
			if published(x) {
				at, _, _ := strings.Cut(said[i], ":")
				got = append(got, fmt.Sprintf("%s:%s %d", at, x.State, x.Episode))
			}
		}
		if strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Fatalf("%s\ngot  %v\nwant %v", script, got, want)
		}
	})
}

func TestReadRows(t *testing.T) {
	set, err := Load(Document{"r.yaml", []byte(`groups:
  - name: g
    schedule: "0 6 * * *"
    rules:
      - alert: R
        query: SELECT 1
        identity: [account_id, n]
        value_at_risk: arr
        labels: {owner: "{{ .owner }}"}
        annotations:
          summary: "{{ .name }} {{ money .arr .reporting_currency }} {{ pct .premium }} {{ days .age }} {{ date .closed }} {{ list .classes }} {{ .gone }}{{ if .gone }}!{{ end }}"
`)})
	if err != nil {
		t.Fatal(err)
	}
	r := set.Rule("R")
	row := func(n int64) churn.Row {
		return churn.Row{"account_id": "A", "n": n, "arr": churn.MustMoney("1234567.5000"), "owner": "Max", "name": "Acme",
			"reporting_currency": "EUR", "premium": 0.083, "age": 1.9, "closed": start, "classes": []any{"price_reduction", "downgrade"}, "gone": nil}
	}
	alerts, err := r.read([]churn.Row{row(1), row(2)})
	if err != nil {
		t.Fatal(err)
	}
	a := alerts[0]
	if want := "Acme 1,234,568 EUR 8.3% 1 day 2026-01-01 price reduction, downgrade unknown"; a.notes["summary"] != want {
		t.Errorf("got %q", a.notes["summary"])
	}
	if a.labels["owner"] != "Max" || a.currency != "EUR" || plain(a.value) != "1234567.5" || a.identity["n"] != "1" {
		t.Errorf("got %+v", a)
	}
	if _, err = r.read([]churn.Row{row(1), row(2), row(1)}); err == nil || !strings.Contains(err.Error(), "two rows with one identity (account_id=A, n=1)") {
		t.Error(err)
	}
	null := row(1)
	null["account_id"] = nil
	if _, err = r.read([]churn.Row{null}); err == nil || !strings.Contains(err.Error(), `identity column "account_id" is missing or NULL`) {
		t.Error(err)
	}
	short := row(1)
	delete(short, "premium")
	if _, err = r.read([]churn.Row{short}); err == nil || !strings.Contains(err.Error(), "account_id=A, n=1: filling annotations.summary") {
		t.Error(err)
	}
}
