package engine

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func seenAlert(r *rules.Rule, account string) rules.Match {
	id := map[string]string{"account_id": account}
	return rules.Match{Fingerprint: alert.Fingerprint(r.Name, id), Identity: id, AccountID: account}
}

// story plays instants an hour apart: "x" the row is there, "." it is not, "e" the query failed, "n" no data and no row,
// "N" no data but the row is there, "-" the rule is gone, "i" its identity changed. Between two instants people act: "A" they
// acknowledge, "Z" they snooze for two hours, "C" they close, "J" they judge. After "u" the instant is unattended, after "a" it
// is attended again. It returns what was emitted about the alert.
func story(r rules.Rule, l lifecycle, script string) ([]string, []alert.Transition) {
	r.Name, r.Identity = "R", []string{"account_id"}
	before := prior{}
	var said []string
	var all []alert.Transition
	i := -1
	note := func(t alert.Transition) {
		before[t.Fingerprint] = t
		if OfRule(t) {
			return
		}
		told := "stored"
		if published(t) {
			told = "told"
		}
		said = append(said, fmt.Sprintf("%d:%s/%s/%d.%d/%s", i, t.State, t.Reason, t.Episode, t.Sequence, told))
		all = append(all, t)
	}
	for _, c := range script {
		if action := map[rune]churn.Action{'A': churn.Acknowledge, 'Z': churn.Snooze, 'C': churn.Close, 'J': churn.Judge}[c]; action != "" {
			l.at = start.Add(time.Duration(i)*time.Hour + 30*time.Minute)
			was := before[seenAlert(&r, "A").Fingerprint]
			f := churn.FeedbackEvent{Feedback: churn.Feedback{EventID: "f", Episode: was.Episode, Action: action, By: "kim", Until: l.at.Add(2 * time.Hour), OccurredAt: l.at}}
			f.KnownAt = l.at
			if t, outcome := l.apply(was, f); outcome == churn.FeedbackApplied {
				note(t)
			}
			continue
		}
		if c == 'u' || c == 'a' {
			l.unattended = c == 'u'
			continue
		}
		i++
		l.at = start.Add(time.Duration(i) * time.Hour)
		now := r
		group := []*rules.Rule{&now}
		o := observation{rule: &now}
		switch c {
		case 'x', 'N':
			o.alerts = []rules.Match{seenAlert(&now, "A")}
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
		for _, t := range stepped(l, before, group, seen) {
			note(t)
		}
	}
	return said, all
}

func TestLifecycle(t *testing.T) {
	for _, c := range []struct {
		why    string
		rule   rules.Rule
		script string
		want   string
	}{
		{"an alert fires when its row comes and is not told again while it stays", rules.Rule{}, "xxx", "0:firing/condition_met/1.1/told"},
		{"it resolves when the row goes, and coming back is a new episode", rules.Rule{}, "x.x",
			"0:firing/condition_met/1.1/told 1:resolved/condition_cleared/1.2/told 2:firing/condition_met/2.1/told"},
		{"a failed query says nothing: the alert holds and nothing else is open", rules.Rule{}, "xeex.", "0:firing/condition_met/1.1/told 4:resolved/condition_cleared/1.2/told"},
		{"no data is never no risk: what is not seen holds", rules.Rule{}, "xnn.", "0:firing/condition_met/1.1/told 3:resolved/condition_cleared/1.2/told"},
		{"what is seen without full data is true", rules.Rule{}, "N", "0:firing/condition_met/1.1/told"},
		{"for: the row must stay", rules.Rule{For: 2 * time.Hour}, "xxx", "0:pending/waiting_for/1.1/stored 2:firing/condition_met/1.2/told"},
		{"for: a row that goes early is not told, and the episode was none", rules.Rule{For: 2 * time.Hour}, "x.xxx",
			"0:pending/waiting_for/1.1/stored 1:resolved/condition_not_held/1.2/stored 2:pending/waiting_for/1.3/stored 4:firing/condition_met/1.4/told"},
		{"for: a failed query neither ends the wait nor fires", rules.Rule{For: 2 * time.Hour}, "xeex", "0:pending/waiting_for/1.1/stored 3:firing/condition_met/1.2/told"},
		{"keep_firing_for: a gap shorter than it is not told", rules.Rule{KeepFiringFor: 2 * time.Hour}, "x.x",
			"0:firing/condition_met/1.1/told 1:firing/holding/1.2/stored 2:firing/condition_returned/1.3/stored"},
		{"keep_firing_for: the end is told when it has passed", rules.Rule{KeepFiringFor: 2 * time.Hour}, "x...",
			"0:firing/condition_met/1.1/told 1:firing/holding/1.2/stored 3:resolved/condition_cleared/1.3/told"},
		{"repeat_every: reminders while it stays", rules.Rule{RepeatEvery: 2 * time.Hour}, "xxxxx",
			"0:firing/condition_met/1.1/told 2:reminder/repeat_every_passed/1.2/told 4:reminder/repeat_every_passed/1.3/told"},
		{"a rule that is gone resolves its alerts", rules.Rule{}, "x-", "0:firing/condition_met/1.1/told 1:resolved/rule_removed/1.2/told"},
		{"a rule whose identity changed resolves what the old one raised", rules.Rule{}, "xi", "0:firing/condition_met/1.1/told 1:resolved/rule_removed/1.2/told"},
		{"a pending alert of a rule that is gone ends silently", rules.Rule{For: 2 * time.Hour}, "x-", "0:pending/waiting_for/1.1/stored 1:resolved/rule_removed/1.2/stored"},
		{"a rule that comes back begins a new episode", rules.Rule{}, "x-x", "0:firing/condition_met/1.1/told 1:resolved/rule_removed/1.2/told 2:firing/condition_met/2.1/told"},
		{"nothing there, nothing said", rules.Rule{}, "..en.", ""},

		{"an acknowledged alert is not repeated, and resolves", rules.Rule{RepeatEvery: time.Hour}, "xAxxx.",
			"0:firing/condition_met/1.1/told 0:acknowledged/acknowledged/1.2/told 4:resolved/condition_cleared/1.3/told"},
		{"a second acknowledgement changes nothing", rules.Rule{}, "xAA", "0:firing/condition_met/1.1/told 0:acknowledged/acknowledged/1.2/told"},
		{"a new episode is not hidden by the acknowledgement of the one before", rules.Rule{}, "xA.x",
			"0:firing/condition_met/1.1/told 0:acknowledged/acknowledged/1.2/told 1:resolved/condition_cleared/1.3/told 2:firing/condition_met/2.1/told"},
		{"a snoozed alert is told again when the time is over", rules.Rule{RepeatEvery: time.Hour}, "xZxxxx.",
			"0:firing/condition_met/1.1/told 0:snoozed/snoozed/1.2/told 3:firing/snooze_ended/1.3/told 4:reminder/repeat_every_passed/1.4/told 5:resolved/condition_cleared/1.5/told"},
		{"a snoozed alert resolves in between", rules.Rule{}, "xZ.x",
			"0:firing/condition_met/1.1/told 0:snoozed/snoozed/1.2/told 1:resolved/condition_cleared/1.3/told 2:firing/condition_met/2.1/told"},
		{"a closed alert does not come back while its row stays", rules.Rule{}, "xCxxx.x",
			"0:firing/condition_met/1.1/told 0:resolved/closed/1.2/told 4:resolved/left_after_close/1.3/stored 5:firing/condition_met/2.1/told"},
		{"a closed alert of a rule that is gone is not ended twice", rules.Rule{}, "xC-", "0:firing/condition_met/1.1/told 0:resolved/closed/1.2/told 1:resolved/left_after_close/1.3/stored"},
		{"a judgement is stored and changes no state, also while holding", rules.Rule{KeepFiringFor: 2 * time.Hour}, "x.J..",
			"0:firing/condition_met/1.1/told 1:firing/holding/1.2/stored 1:firing/judged/1.3/stored 3:resolved/condition_cleared/1.4/told"},
		{"a judgement after the end is kept", rules.Rule{}, "x.J.", "0:firing/condition_met/1.1/told 1:resolved/condition_cleared/1.2/told 1:resolved/judged/1.3/stored"},
		{"what is pending cannot be acknowledged", rules.Rule{For: 2 * time.Hour}, "xA", "0:pending/waiting_for/1.1/stored"},
		{"an alert that nobody takes up escalates, once", rules.Rule{EscalateAfter: 2 * time.Hour, EscalateSeverity: "critical"}, "xxxxx",
			"0:firing/condition_met/1.1/told 2:reminder/escalated/1.2/told"},
		{"an acknowledged alert does not escalate", rules.Rule{EscalateAfter: 2 * time.Hour, EscalateSeverity: "critical"}, "xxAxxxx",
			"0:firing/condition_met/1.1/told 1:acknowledged/acknowledged/1.2/told"},
		{"after a catch-up people are told what stands", rules.Rule{}, "ux.xxaxx",
			"0:firing/condition_met/1.1/stored 1:resolved/condition_cleared/1.2/stored 2:firing/condition_met/2.1/stored 4:firing/told_later/2.2/told"},
		{"what began and ended in a catch-up is told as ended, once", rules.Rule{}, "ux.a..",
			"0:firing/condition_met/1.1/stored 1:resolved/condition_cleared/1.2/stored 2:resolved/told_later/1.3/told"},
		{"an alert that was told and ended in a catch-up is told as ended", rules.Rule{}, "xu.a.",
			"0:firing/condition_met/1.1/told 1:resolved/condition_cleared/1.2/stored 2:resolved/told_later/1.3/told"},
		{"an alert that was told and stays through a catch-up is not told again", rules.Rule{RepeatEvery: 10 * time.Hour}, "xuxxaxx", "0:firing/condition_met/1.1/told"},
		{"what happened at the last tick of a catch-up is told there", rules.Rule{}, "u..ax", "2:firing/condition_met/1.1/told"},
	} {
		t.Run(c.why, func(t *testing.T) {
			said, all := story(c.rule, lifecycle{}, c.script)
			if got := strings.Join(said, " "); got != c.want {
				t.Errorf("%s\ngot  %s\nwant %s", c.script, got, c.want)
			}
			for _, x := range all {
				if x.State == alert.Resolved == x.ResolvedAt.IsZero() {
					t.Errorf("%s with resolved_at %v", x.State, x.ResolvedAt)
				}
				if x.ID != alert.TransitionID(x.Fingerprint, x.Episode, x.Sequence) {
					t.Error("the id is not of fingerprint, episode and sequence")
				}
			}
		})
	}
}

func TestEpisodesSpentElsewhereAreNotUsedAgain(t *testing.T) {
	r := rules.Rule{Name: "R"}
	l := lifecycle{retired: map[string]int{seenAlert(&r, "A").Fingerprint: 3}}
	said, _ := story(rules.Rule{}, l, "x.x")
	if got, want := strings.Join(said, " "), "0:firing/condition_met/4.1/told 1:resolved/condition_cleared/4.2/told 2:firing/condition_met/5.1/told"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestTheHoldoutIsStoredAndDrawnByAccount(t *testing.T) {
	_, all := story(rules.Rule{}, lifecycle{holdoutShare: 1}, "x.x")
	for _, x := range all {
		if x.Arm != alert.Holdout || published(x) {
			t.Errorf("%s is %s, published %v", x.State, x.Arm, published(x))
		}
	}
	half, held := lifecycle{holdoutShare: 0.25}, 0
	for i := range 10000 {
		if half.arm(fmt.Sprint("account-", i)) == alert.Holdout {
			held++
		}
	}
	if held < 2300 || held > 2700 {
		t.Errorf("%d of 10000 accounts held out at a share of 0.25", held)
	}
	if half.arm("") != alert.Treatment {
		t.Error("an alert without an account is held out")
	}
}

// The reference model keeps whole histories and asks simple questions of them; the lifecycle keeps one transition.
func TestLifecycleAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := rules.Rule{
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
	set, err := rules.Load(rules.Document{Name: "r.yaml", Data: []byte(`groups:
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
	row := func(n int64) alert.Row {
		return alert.Row{"account_id": "A", "n": n, "arr": churn.MustMoney("1234567.5000"), "owner": "Max", "name": "Acme",
			"reporting_currency": "EUR", "premium": 0.083, "age": 1.9, "closed": start, "classes": []any{"price_reduction", "downgrade"}, "gone": nil}
	}
	alerts, bad := r.Read([]alert.Row{row(1), row(2)})
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	a := alerts[0]
	labels, notes, err := r.Render(a.Row)
	if err != nil {
		t.Fatal(err)
	}
	if want := "Acme 1,234,568 EUR 8.3% 1 day 2026-01-01 price reduction, downgrade unknown"; notes["summary"] != want {
		t.Errorf("got %q", notes["summary"])
	}
	if labels["owner"] != "Max" || a.Currency != "EUR" || rules.Plain(a.Value) != "1234567.5" || a.Identity["n"] != "1" {
		t.Errorf("got %+v", a)
	}
	if others, bad := r.Read([]alert.Row{row(1), row(2), row(1)}); !strings.Contains(bad.Error(), "two rows with one identity (account_id=A, n=1)") ||
		len(others) != 1 || others[0].Identity["n"] != "2" {
		t.Error(others, bad)
	}
	null := row(1)
	null["account_id"] = nil
	if others, bad := r.Read([]alert.Row{null, row(1)}); bad[""] == nil || !strings.Contains(bad.Error(), `identity column "account_id" is missing or NULL`) || len(others) != 1 {
		t.Error(others, bad)
	}
	short := row(1)
	delete(short, "premium")
	alerts, bad = r.Read([]alert.Row{short, row(2)})
	if len(bad) > 0 {
		t.Error(bad)
	}
	out, faults := lifecycle{at: start}.step(prior{}, []*rules.Rule{r}, []observation{{rule: r, alerts: alerts}})
	if err := faults["R"]; err == nil || !strings.Contains(err.Error(), "account_id=A, n=1: filling annotations.summary") || len(faults) != 1 {
		t.Error(faults)
	}
	if states := statesOf(out); states != " error; account_id=A, n=2 firing" {
		t.Errorf("the rule at fault: %s", states)
	}
}

// statesOf tells of each transition which alert it is of and where that stands.
func statesOf(all []alert.Transition) string {
	var said []string
	for _, t := range all {
		said = append(said, rules.Describe(t.Identity)+" "+string(t.State))
	}
	slices.Sort(said)
	return strings.Join(said, "; ")
}

// One bad row of a rule holds its own alert: open ones of others go on, begin and end. A row without an identity may be any of those
// that are not seen, so they hold.
func TestABadRowHoldsItsOwnAlert(t *testing.T) {
	set, err := rules.Load(rules.Document{Name: "t.yaml", Data: []byte(`
groups:
  - name: g
    schedule: "0 6 * * *"
    rules:
      - {alert: R, query: SELECT 1, identity: [account_id], value_at_risk: money, annotations: {summary: "{{.note.x}}{{.account_id}}"}}
`)})
	if err != nil {
		t.Fatal(err)
	}
	r := set.Rule("R")
	row := func(account string, money any) alert.Row {
		return alert.Row{"account_id": account, "money": money, "note": map[string]any{"x": "about "}}
	}
	unfilled := alert.Row{"account_id": "unfilled", "money": 1.0}
	before := prior{}
	var log []string
	for day, rows := range [][]alert.Row{
		{row("a", 1.0), row("b", 2.0), row("gone", 3.0)},
		{row("a", math.NaN()), row("b", 2.0), row("new", 1e300), unfilled},
		{row("a", math.NaN()), row("a", 1.0), row("b", math.Inf(-1)), row("new", 5.0), row("more", "12.5")},
		{{"account_id": nil}, row("new", 5.0)},
		{row("new", 5.0)},
	} {
		alerts, bad := r.Read(rows)
		out, faults := lifecycle{at: start.AddDate(0, 0, day)}.step(before, []*rules.Rule{r}, []observation{{rule: r, alerts: alerts, bad: bad}})
		for _, t := range out {
			before[t.Fingerprint] = t
			if t.Annotations[valueUnknown] != "" && t.ValueAtRisk.Known {
				log = append(log, "a value that is not known is")
			}
		}
		line := fmt.Sprintf("%d: %s", day, statesOf(out))
		if err := faults["R"]; err != nil {
			line += " | " + err.Error()
		}
		log = append(log, line)
	}
	want := []string{
		"0: account_id=a firing; account_id=b firing; account_id=gone firing",
		"1:  error; account_id=gone resolved; account_id=new firing | 2 rows make no alert, the others do: " +
			`account_id=unfilled: filling annotations.summary: annotations.summary:1:7: executing "annotations.summary" at <.note.x>: map has no entry for key "note"; ` +
			`value_at_risk of account_id=a: "NaN" is not an amount of at most 18 digits with 4 decimals`,
		"2: account_id=more firing | 2 rows make no alert, the others do: " +
			"two rows with one identity (account_id=a): make the query return one row for each, or add a column to identity; " +
			`value_at_risk of account_id=b: "-Inf" is not an amount of at most 18 digits with 4 decimals`,
		`3:  | a row makes no alert, the others do: identity column "account_id" is missing or NULL in a row`,
		"4:  resolved; account_id=a resolved; account_id=b resolved; account_id=more resolved",
	}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
}

// Of an account that is set aside nothing begins, ends or is told again; the others go on, and it does when it is linked again.
func TestAlertsOfAnAccountThatIsSetAsideHold(t *testing.T) {
	set := load(t, `groups: [{name: g, schedule: "0 6 * * *", rules: [{alert: R, query: SELECT 1, identity: [account_id, contract_id], repeat_every: 2d}]}]`)
	r := set.Rule("R")
	before := prior{}
	var log []string
	for day, tick := range []struct {
		rows  string // account/contract
		aside map[string]bool
	}{
		{"large/1 small/1", nil},
		{"large/2 small/1", map[string]bool{"large": true}},
		{"", map[string]bool{"large": true}},
		{"large/1 small/1", map[string]bool{"large": true, "other": true}},
		{"large/2", nil},
	} {
		var rows []alert.Row
		for row := range strings.FieldsSeq(tick.rows) {
			account, contract, _ := strings.Cut(row, "/")
			rows = append(rows, alert.Row{"account_id": account, "contract_id": contract})
		}
		alerts, bad := r.Read(rows)
		out := stepped(lifecycle{at: start.AddDate(0, 0, day), aside: tick.aside}, before, []*rules.Rule{r}, []observation{{rule: r, alerts: alerts, bad: bad}})
		for _, t := range out {
			before[t.Fingerprint] = t
		}
		log = append(log, fmt.Sprintf("%d: %s", day, statesOf(out)))
	}
	want := []string{
		"0: account_id=large, contract_id=1 firing; account_id=small, contract_id=1 firing",
		"1: ",
		"2: account_id=small, contract_id=1 resolved",
		"3: account_id=small, contract_id=1 firing",
		"4: account_id=large, contract_id=1 resolved; account_id=large, contract_id=2 firing; account_id=small, contract_id=1 resolved",
	}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
}

// stepped is step where no text can fail.
func stepped(l lifecycle, before prior, group []*rules.Rule, seen []observation) []alert.Transition {
	out, faults := l.step(before, group, seen)
	if len(faults) > 0 {
		panic(fmt.Sprint(faults))
	}
	return out
}

func TestTheRuleItselfHasStates(t *testing.T) {
	r := rules.Rule{Name: "R", Identity: []string{"account_id"}}
	before := prior{}
	var said []string
	for i, o := range []observation{{}, {failed: true, why: "no table"}, {failed: true, why: "another reason"}, {partial: true, why: "deals are silent"}, {}, {}, {failed: true}} {
		o.rule = &r
		for _, x := range stepped(lifecycle{at: start.Add(time.Duration(i) * time.Hour)}, before, []*rules.Rule{&r}, []observation{o}) {
			before[x.Fingerprint] = x
			said = append(said, fmt.Sprintf("%d:%s/%s/%d.%d %s", i, x.State, x.Reason, x.Episode, x.Sequence, x.Annotations["description"]))
			if published(x) {
				t.Errorf("%s is told to people", x.State)
			}
		}
	}
	want := []string{"1:error/query_failed/1.1 no table", "3:no_data/no_data/1.2 deals are silent", "4:resolved/data_returned/1.3 deals are silent", "6:error/query_failed/2.1 "}
	if !slices.Equal(said, want) {
		t.Errorf("got %q", said)
	}
	gone := stepped(lifecycle{at: start.Add(7 * time.Hour)}, before, nil, nil)
	if len(gone) != 1 || gone[0].State != alert.Resolved || gone[0].Reason != alert.ReasonRemoved {
		t.Errorf("the rule is gone: %+v", gone)
	}
}

// valued is an alert of an owner with so much at stake.
func valued(r *rules.Rule, account, owner, amount string) rules.Match {
	a := seenAlert(r, account)
	a.Row = alert.Row{"owner": owner}
	if amount != "" {
		a.Value = churn.MustMoney(amount)
	}
	return a
}

func TestAnOwnerIsToldOfTheLargestFirst(t *testing.T) {
	r := *load(t, `groups: [{name: g, schedule: "0 6 * * *", rules: [{alert: R, query: q, identity: [account_id], labels: {owner: "{{ .owner }}"}}]}]`).Groups[0].Rules[0]
	before := prior{}
	monday := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	tick := func(at time.Time, alerts ...rules.Match) string {
		var said []string
		l := lifecycle{at: at, maximum: 2, zone: time.UTC}
		for _, x := range stepped(l, before, []*rules.Rule{&r}, []observation{{rule: &r, alerts: alerts}}) {
			before[x.Fingerprint] = x
			how := "told"
			if !published(x) {
				how = string(x.Suppressed)
			}
			said = append(said, fmt.Sprintf("%s %s %s", x.AccountID, x.Reason, how))
		}
		slices.Sort(said)
		return strings.Join(said, ", ")
	}
	small, large, unknown, middle := valued(&r, "small", "kim", "10"), valued(&r, "large", "kim", "1000"), valued(&r, "unknown", "kim", ""), valued(&r, "middle", "kim", "500")
	other := valued(&r, "other", "lee", "1")
	for _, c := range []struct {
		why    string
		at     time.Time
		alerts []rules.Match
		want   string
	}{
		{"two a week, by value; another owner has two of their own", monday, []rules.Match{small, large, unknown, middle, other},
			"large condition_met told, middle condition_met told, other condition_met told, small condition_met owner_maximum, unknown condition_met owner_maximum"},
		{"nothing more in this week", monday.AddDate(0, 0, 6), []rules.Match{small, large, unknown, middle, other}, ""},
		{"next week, what still fires", monday.AddDate(0, 0, 7), []rules.Match{small, large, unknown, middle, other}, "small told_later told, unknown told_later told"},
		{"who was told of the beginning is told of the end", monday.AddDate(0, 0, 8), []rules.Match{large, middle, other}, "small condition_cleared told, unknown condition_cleared told"},
		{"an episode more counts", monday.AddDate(0, 0, 9), []rules.Match{small, large, middle, other}, "small condition_met owner_maximum"},
		{"who was not told of the beginning is not told of the end", monday.AddDate(0, 0, 10), []rules.Match{large, middle, other}, "small condition_cleared owner_maximum"},
	} {
		if got := tick(c.at, c.alerts...); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.why, got, c.want)
		}
	}
}

func TestFactsThatArriveLateFireLate(t *testing.T) {
	r := rules.Rule{Name: "R", Identity: []string{"account_id"}, HappenedAt: "at", LateAfter: 24 * time.Hour}
	for _, c := range []struct {
		why   string
		ago   time.Duration
		since time.Duration
		late  bool
	}{
		{"known on the same day", 20 * time.Hour, time.Hour, false},
		{"known two days after", 48 * time.Hour, time.Hour, true},
		{"known in time, but nobody looked for three days", 48 * time.Hour, 72 * time.Hour, false},
		{"the first tick ever looks at history", 240 * time.Hour, 0, true},
	} {
		a := seenAlert(&r, "A")
		a.HappenedAt = start.Add(-c.ago)
		out := stepped(lifecycle{at: start, since: c.since}, prior{}, []*rules.Rule{&r}, []observation{{rule: &r, alerts: []rules.Match{a}}})
		if len(out) != 1 || out[0].Late != c.late || !out[0].HappenedAt.Equal(a.HappenedAt) {
			t.Errorf("%s: late %v, want %v", c.why, out[0].Late, c.late)
		}
	}
}

func TestFeedbackThatChangesNothingSaysWhy(t *testing.T) {
	_, all := story(rules.Rule{}, lifecycle{}, "x.x")
	was := all[len(all)-1] // episode 2, since hour 2
	at := start.Add(3 * time.Hour)
	feedback := func(episode int, action churn.Action, occurred time.Time) churn.FeedbackEvent {
		f := churn.FeedbackEvent{Feedback: churn.Feedback{EventID: "f", Episode: episode, Action: action, By: "kim", OccurredAt: occurred, Until: at.Add(-time.Minute)}}
		f.KnownAt = at
		return f
	}
	for _, c := range []struct {
		f    churn.FeedbackEvent
		want string
	}{
		{feedback(1, churn.Acknowledge, at), "episode 1 is over; it has fired anew since"},
		{feedback(3, churn.Acknowledge, at), "there is no episode 3 yet: the last one is 2"},
		{feedback(0, churn.Acknowledge, start), "it is older than episode 2"},
		{feedback(2, churn.Snooze, at), "the snooze had ended when it arrived"},
		{feedback(0, churn.Acknowledge, at), churn.FeedbackApplied},
	} {
		if _, got := (lifecycle{at: at}).apply(was, c.f); got != c.want {
			t.Errorf("%s of episode %d: %q, want %q", c.f.Action, c.f.Episode, got, c.want)
		}
	}
	resolved := lifecycle{at: at}.ended(was, alert.ReasonCleared)
	if _, got := (lifecycle{at: at}).apply(resolved, feedback(2, churn.Close, at)); got != "the alert is resolved" {
		t.Error(got)
	}
}

// An end that a catch-up kept back is told, though somebody judges the alert before that; and who was not told of a beginning, for the
// week was full, is not told of the end alone, though the row comes and goes in between.
func TestWhatIsStillToBeToldOutlastsWhatIsNot(t *testing.T) {
	said, all := story(rules.Rule{}, lifecycle{}, "xu.Ja.")
	if last := all[len(all)-1]; last.State != alert.Resolved || last.Reason != alert.ReasonNotifiedLater || !published(last) {
		t.Errorf("the end is not told: %s", said)
	}
	said, all = story(rules.Rule{KeepFiringFor: 2 * time.Hour}, lifecycle{maximum: 1, zone: time.UTC}, "x...x...x..x....")
	told := map[int][]string{}
	for _, x := range all {
		if published(x) {
			told[x.Episode] = append(told[x.Episode], string(x.State))
		}
	}
	if len(told) != 1 || !slices.Equal(told[1], []string{"firing", "resolved"}) {
		t.Errorf("told %v of %s", told, said)
	}
}

// Whatever happens in whatever order: no two transitions share an id, an episode that was told of has an end that is told of or
// stands, no two episodes are open at once, and a transition is one message at most.
func TestLifecycleOverRandomHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hours := func(name string) time.Duration { return time.Duration(rapid.IntRange(0, 3).Draw(t, name)) * time.Hour }
		rule := rules.Rule{For: hours("for"), KeepFiringFor: hours("keep"), RepeatEvery: hours("repeat"), EscalateAfter: hours("escalate"), EscalateSeverity: "critical"}
		script := rapid.StringOfN(rapid.RuneFrom([]rune("xxxx...enAZCJua-")), 1, 60, -1).Draw(t, "script") + "a.....-"
		said, all := story(rule, lifecycle{}, script)
		ids := map[string]bool{}
		var last alert.Transition
		ended := map[int]bool{} // episodes, told as ended
		told := map[int]bool{}
		for _, x := range all {
			if ids[x.ID] {
				t.Fatalf("%s: two transitions with one id: %s", script, said)
			}
			ids[x.ID] = true
			if x.Episode < last.Episode || x.Episode == last.Episode && x.Sequence != last.Sequence+1 || x.Episode > last.Episode && last.State.Open() {
				t.Fatalf("%s: %d.%d %s after %d.%d %s: %s", script, x.Episode, x.Sequence, x.State, last.Episode, last.Sequence, last.State, said)
			}
			last = x
			if published(x) {
				if ended[x.Episode] {
					t.Fatalf("%s: told of episode %d after its end: %s", script, x.Episode, said)
				}
				told[x.Episode] = true
				ended[x.Episode] = x.State == alert.Resolved
			}
			if x.State == alert.Acknowledged && x.Reason == alert.ReasonRepeated {
				t.Fatalf("%s: a reminder of what is acknowledged: %s", script, said)
			}
		}
		if last.State.Open() || last.State == alert.Pending {
			t.Fatalf("%s: the rule is gone and the alert stands: %s", script, said)
		}
		if told[last.Episode] && !ended[last.Episode] {
			t.Fatalf("%s: the end of episode %d was not told: %s", script, last.Episode, said)
		}
	})
}

func load(t *testing.T, text string) *rules.Set {
	t.Helper()
	set, err := rules.Load(rules.Document{Name: "test.yaml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return set
}
