package warehouse

import (
	"fmt"
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
