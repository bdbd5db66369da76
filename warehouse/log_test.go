package warehouse

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

func entry(group string, n int64, writer string, transitions ...alert.Transition) alert.Entry {
	tick := now().Add(time.Duration(n) * time.Minute)
	return alert.Entry{
		Group: group, N: n, Writer: writer, Tick: tick, At: tick.Add(-2 * time.Minute), Status: alert.TickRun,
		Runs: []alert.Run{{Rule: "R", Started: now(), Finished: now().Add(time.Second), Rows: len(transitions), Status: "ok"}}, Transitions: transitions,
	}
}

func firing(fingerprint string, episode, sequence int, state alert.State) alert.Transition {
	return alert.Transition{
		ID: alert.TransitionID(fingerprint, episode, sequence), Fingerprint: fingerprint, Episode: episode, Sequence: sequence,
		Rule: "R", RuleVersion: "v", State: state, Reason: "condition_met", Severity: "warning", Arm: alert.Treatment, StartsAt: now(),
		Identity: map[string]string{"account_id": "a"}, AccountID: "a", Labels: map[string]string{"owner": "x"},
		Annotations: map[string]string{"summary": "it's \"quoted\""}, ValueAtRisk: churn.MustMoney("1234.5"), Currency: "USD",
		Topic: "churn.alerts", Key: fingerprint, Headers: []alert.Header{{Key: "ce_id", Value: "1"}}, Value: []byte(`{"x":"\u0000 bytes"}`),
	}
}

// The first insert of an entry wins; all others are told that they lost.
func TestOneOfManyWritersWins(t *testing.T) {
	w := open(t)
	for round := int64(1); round <= 10; round++ {
		var wg sync.WaitGroup
		won := make([]bool, 8)
		for i := range won {
			wg.Go(func() {
				var err error
				if won[i], err = w.Append(t.Context(), entry("g", round, fmt.Sprint("writer ", i), firing("f", int(round), 1, alert.Firing))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		winners := 0
		for _, x := range won {
			if x {
				winners++
			}
		}
		if winners != 1 {
			t.Fatalf("entry %d had %d winners", round, winners)
		}
	}
	if got := lines(t, w, "SELECT format('{} {}', toString(countIf(i = 0)), toString(countIf(i > 0))) FROM alert_log", now()); got != "10 10\n" {
		t.Errorf("the log holds %q markers and transitions", got)
	}
}

func TestAppendRefusesGapsAndThePast(t *testing.T) {
	w := open(t)
	for _, c := range []struct {
		n    int64
		want bool
	}{{2, false}, {1, true}, {1, false}, {3, false}, {2, true}} {
		if won, err := w.Append(t.Context(), entry("g", c.n, "me")); err != nil || won != c.want {
			t.Errorf("entry %d: won %v, %v; want %v", c.n, won, err, c.want)
		}
	}
}

func TestLogReturnsWhatItWasTold(t *testing.T) {
	w := open(t)
	first, second := firing("f", 1, 1, alert.Firing), firing("f", 1, 2, alert.Resolved)
	second.ResolvedAt = now().Add(time.Hour)
	quiet := firing("q", 1, 1, alert.Pending)
	quiet.Topic, quiet.Value, quiet.Headers, quiet.Key = "", nil, nil, ""
	for n, transitions := range [][]alert.Transition{{first, quiet}, {}, {second}} {
		if won, err := w.Append(t.Context(), entry("g", int64(n+1), "me", transitions...)); err != nil || !won {
			t.Fatal(won, err)
		}
	}
	last, standing, err := w.State(t.Context(), "g")
	if err != nil || last.N != 3 || len(standing) != 2 {
		t.Fatalf("%+v, %d standing, %v", last, len(standing), err)
	}
	second.At = last.At
	if diff := cmp.Diff(second, standing[0]); diff != "" {
		t.Errorf("the latest transition (-appended +read):\n%s", diff)
	}
	entries, err := w.Published(t.Context(), map[string]int64{}, 10)
	if err != nil || len(entries) != 2 || entries[0].N != 1 || len(entries[0].Transitions) != 1 || entries[1].N != 3 {
		t.Fatalf("published: %+v, %v", entries, err)
	}
	if entries, err = w.Published(t.Context(), map[string]int64{"g": 1}, 10); err != nil || len(entries) != 1 || entries[0].N != 3 {
		t.Errorf("published after 1: %+v, %v", entries, err)
	}
	if err := w.Delivered(t.Context(), "kafka", now(), accepted(first, first)); err != nil {
		t.Error(err)
	}
	if got := lines(t, w, "SELECT toString(count()) FROM alert_deliveries FINAL", now()); got != "1\n" {
		t.Errorf("%s deliveries", got)
	}
	if got := lines(t, w, "SELECT format('{} {} {}', rule, toString(rows), status) FROM rule_runs ORDER BY n", now()); got != "R 2 ok\nR 0 ok\nR 1 ok\n" {
		t.Errorf("rule_runs: %s", got)
	}
}

// distinct is an entry no two values of which are alike. Texts are the names of their columns.
func distinct() alert.Entry {
	day := func(n int) time.Time { return now().AddDate(0, 0, n) }
	return alert.Entry{
		Group: "group_name", N: 1, Writer: "writer", Tick: day(1), At: day(2), Status: "tick_status", Reason: "tick_reason",
		Runs:     []alert.Run{{Rule: "run_rules", Started: day(3), Finished: day(4), Rows: 1, Status: "run_status", Error: "run_errors"}},
		Feedback: []churn.FeedbackOutcome{{EventID: "feedback_ids", Outcome: "feedback_outcomes"}},
		Transitions: []alert.Transition{{
			ID: "transition_id", Fingerprint: "fingerprint", Episode: 2, Sequence: 3, Rule: "rule", RuleVersion: "rule_version", State: "state", Reason: "reason",
			Severity: "severity", Kind: "kind", Arm: "arm", At: day(2), StartsAt: day(5), ResolvedAt: day(6), HappenedAt: day(7), HeldSince: day(8), SnoozedUntil: day(9),
			Identity: map[string]string{"identity": "1", "b": "2"}, Labels: map[string]string{"labels": "3"}, Annotations: map[string]string{"annotations": "4"},
			AccountID: "account_id", ContractID: "contract_id", ValueAtRisk: churn.MustMoney("-12.5"), Currency: "currency", Topic: "topic", Key: "key",
			Headers: []alert.Header{{Key: "header_keys", Value: "header_values"}}, Value: []byte("value"), Closed: true, FeedbackID: "feedback_id",
			By: "feedback_by", Why: "feedback_reason", Disposition: "disposition", Suppressed: "untold",
			Notified: alert.Notified{Episode: 4, State: "told_state", First: day(10), Last: day(11), ThisWeek: 5},
		}},
	}
}

// Every value is in the column that its name says, whatever the order of the table's columns, and comes back from any order of a query's.
func TestTheOrderOfColumnsDoesNotMatter(t *testing.T) {
	w := open(t)
	for _, c := range []string{"account_id String AFTER contract_id", "fingerprint String FIRST", "tick DateTime64(3, 'UTC') AFTER at", "escalated Bool AFTER late", "run_status Array(String) FIRST"} {
		if err := w.conn.Exec(t.Context(), "ALTER TABLE alert_log MODIFY COLUMN "+c); err != nil {
			t.Fatal(err)
		}
	}
	want := distinct()
	if won, err := w.Append(t.Context(), want); err != nil || !won {
		t.Fatal(won, err)
	}
	values := map[string]string{
		"n": "1", "i": "1", "appended_at": "2026-01-01 00:00:00.000", "tick": "2026-01-02 00:00:00.000", "at": "2026-01-03 00:00:00.000",
		"run_started": "['2026-01-04 00:00:00.000']", "run_finished": "['2026-01-05 00:00:00.000']", "run_rows": "[1]", "episode": "2", "sequence": "3",
		"starts_at": "2026-01-06 00:00:00.000", "resolved_at": "2026-01-07 00:00:00.000", "late": "false", "identity": "{'b':'2','identity':'1'}", "labels": "{'labels':'3'}",
		"annotations": "{'annotations':'4'}", "value_at_risk": "-12.5", "happened_at": "2026-01-08 00:00:00.000", "held_since": "2026-01-09 00:00:00.000",
		"snoozed_until": "2026-01-10 00:00:00.000", "closed": "true", "escalated": "false", "told_episode": "4", "told_first": "2026-01-11 00:00:00.000",
		"told_last": "2026-01-12 00:00:00.000", "told_this_week": "5",
	}
	for _, c := range alertLog.columns {
		want, row := values[c.name], "i = 1"
		switch _, data := c.name, alertLog.batch().column(c.name).Type(); {
		case data == "Array(String)" && strings.HasPrefix(c.name, "header"):
			want = "['" + c.name + "']"
		case data == "Array(String)":
			want, row = "['"+c.name+"']", "i = 0"
		case data.Base() == "Array":
			row = "i = 0"
		case want == "":
			want = c.name
		}
		if got := lines(t, w, "SELECT toString("+c.name+") FROM alert_log WHERE "+row, now()); got != want+"\n" {
			t.Errorf("column %s holds %q, want %q", c.name, got, want)
		}
	}
	var names []string
	for _, c := range slices.Backward(alertLog.columns) {
		names = append(names, c.name)
	}
	for _, selected := range []string{alertLog.names(), strings.Join(names, ", ")} {
		var got alert.Entry
		rows, err := w.conn.Query(t.Context(), "SELECT "+selected+" FROM alert_log ORDER BY i")
		if err != nil {
			t.Fatal(err)
		}
		cells, take, err := byName(alertLog.columns, rows.Columns())
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var r logRow
			if err := errors.Join(rows.Scan(cells...), take(&r)); err != nil {
				t.Fatal(err)
			}
			if r.i == 0 {
				got = r.entry
				continue
			}
			r.t.At = r.entry.At
			got.Transitions = append(got.Transitions, r.t)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("SELECT %s (-appended +read):\n%s", selected, diff)
		}
	}
}

func TestColumnsThatDoNotMatchAreNamed(t *testing.T) {
	columns := []column[logRow]{alertLog.columns[0], alertLog.columns[1]}
	for _, c := range []struct{ answered, want string }{
		{"n, group_name", ""},
		{"n", "missing: column group_name"},
		{"n, group_name, m", "column m is read by nobody here"},
		{"n, n, group_name", "column n is there twice"},
	} {
		_, _, err := byName(columns, strings.Split(c.answered, ", "))
		if got := fmt.Sprint(err); got != c.want && (err != nil || c.want != "") {
			t.Errorf("%s: %v, want %q", c.answered, err, c.want)
		}
	}
}

// A list that is shorter than the one beside it is not taken for a part of it.
func TestListsOfUnequalLengthsAreRefused(t *testing.T) {
	cells, take, err := byName([]column[logRow]{bothEach("a", texts, headers, func(h *alert.Header) *string { return &h.Key }), bothEach("b", texts, headers, func(h *alert.Header) *string { return &h.Value })}, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	*cells[0].(*[]string), *cells[1].(*[]string) = []string{"x", "y"}, []string{"z"}
	if err := take(&logRow{}); err == nil || err.Error() != "column b: it has 1 values where other columns have 2" {
		t.Error(err)
	}
}
