package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules/engine"
)

// mortal is a log beside which the process dies: before an entry is stored, after it, or while a tick waits for what is known.
type mortal struct {
	engine.MemoryLog
	feedback []churn.FeedbackEvent
	deaths   []int // after how many more steps the process dies, one life after the other
	after    bool  // the step at which it dies still takes effect
}

var errDead = errors.New("the process died")

// dies counts a step, and reports whether it is the last one of this life.
func (m *mortal) dies() bool {
	if len(m.deaths) == 0 {
		return false
	}
	if m.deaths[0]--; m.deaths[0] >= 0 {
		return false
	}
	m.deaths = m.deaths[1:]
	return true
}

func (m *mortal) Append(ctx context.Context, e alert.Entry) (bool, error) {
	if !m.dies() {
		return m.MemoryLog.Append(ctx, e)
	}
	if m.after = !m.after; m.after {
		if _, err := m.MemoryLog.Append(ctx, e); err != nil {
			return false, err
		}
	}
	return false, errDead
}

func (m *mortal) wait(time.Time) (string, error) {
	if m.dies() {
		return "", errDead
	}
	return "", nil
}

// Unapplied is what no entry answers.
func (m *mortal) Unapplied(context.Context) ([]churn.FeedbackEvent, error) {
	var open []churn.FeedbackEvent
	groups, _ := m.Groups(context.Background())
	for _, f := range m.feedback {
		answered := false
		for _, g := range groups {
			answered = answered || slices.ContainsFunc(m.Entries(g), func(e alert.Entry) bool {
				return slices.ContainsFunc(e.Feedback, func(o churn.FeedbackOutcome) bool { return o.EventID == f.EventID })
			})
		}
		if !answered {
			open = append(open, f)
		}
	}
	return open, nil
}

const mortalRules = `groups:
  - name: g
    schedule: "0 * * * *"
    rules:
      - {alert: A, query: qa, identity: [account_id], for: %dh, keep_firing_for: %dh, labels: {owner: kim}, annotations: {summary: "{{ .account_id }} in {{ .hour }}"}}
      - {alert: B, query: qb, identity: [account_id], repeat_every: 3h, escalate_after: 2h, annotations: {summary: b}}
  - name: h
    schedule: "30 */2 * * *"
    owner_weekly_maximum: 1
    rules:
      - {alert: C, query: qc, identity: [account_id], labels: {owner: kim}, annotations: {summary: c}}
`

// TestRestartsChangeNothing: over random histories of rows, failures and feedback, processes that die at any step, one after the
// other, write the log that one process would have written: no entry more, none less, every byte the same. Nor does it matter how many
// changes an entry holds.
func TestRestartsChangeNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		set := load(t, fmt.Sprintf(mortalRules, rapid.IntRange(0, 2).Draw(rt, "for"), rapid.IntRange(0, 2).Draw(rt, "keep")))
		hours := rapid.IntRange(4, 24).Draw(rt, "hours")
		scripts := map[string][]string{} // of each query: of each account a letter an hour
		for _, q := range []string{"qa", "qb", "qc"} {
			for range 3 {
				scripts[q] = append(scripts[q], rapid.StringOfN(rapid.RuneFrom([]rune("xxx..e")), hours+1, hours+1, -1).Draw(rt, q))
			}
		}
		var feedback []churn.FeedbackEvent
		for i := range rapid.IntRange(0, 6).Draw(rt, "feedback") {
			rule := rapid.SampledFrom([]string{"A", "B", "C"}).Draw(rt, "rule")
			about := alert.Fingerprint(rule, map[string]string{"account_id": fmt.Sprint(rapid.IntRange(0, 2).Draw(rt, "account"))})
			f := churn.FeedbackEvent{Feedback: churn.Feedback{EventID: fmt.Sprint("f", i), Fingerprint: about, By: "kim",
				Action: rapid.SampledFrom([]churn.Action{churn.Acknowledge, churn.Snooze, churn.Close}).Draw(rt, "action")}}
			f.KnownAt = start.Add(time.Duration(rapid.IntRange(1, hours*60).Draw(rt, "minute")) * time.Minute)
			if f.Action == churn.Snooze {
				f.Until = f.KnownAt.Add(3 * time.Hour)
			}
			feedback = append(feedback, f)
		}
		slices.SortStableFunc(feedback, func(a, b churn.FeedbackEvent) int { return a.KnownAt.Compare(b.KnownAt) })
		rows := map[string]func(time.Time) ([]alert.Row, error){}
		for q, accounts := range scripts {
			rows[q] = func(at time.Time) (out []alert.Row, err error) {
				hour := int(at.Sub(start) / time.Hour)
				for i, script := range accounts {
					switch script[hour] {
					case 'x':
						out = append(out, alert.Row{"account_id": fmt.Sprint(i), "hour": int64(hour)})
					case 'e':
						err = errors.New("no such column")
					}
				}
				return out, err
			}
		}
		live := func(log *mortal, part int) string {
			lives := 0
			for {
				e := evaluating(set, &fake{rows: rows}, log)
				e.known, e.feedback, e.engine.Writer = waits(log.wait), log, fmt.Sprint("life ", lives)
				e.engine.Part = part
				err := e.catchUp(rt.Context(), start.Add(time.Duration(hours)*time.Hour), nil)
				if lives++; err == nil {
					break
				}
				if !errors.Is(err, errDead) {
					rt.Fatal(err)
				}
			}
			var b strings.Builder
			for _, g := range []string{"g", "h"} {
				parts := 0
				for _, e := range log.Entries(g) {
					if e.Status == alert.TickPart {
						parts++
					} else {
						fmt.Fprintf(&b, "%s %d %s %s %v", g, int(e.N)-parts, e.Tick.Format("02 15:04"), e.Status, e.Feedback)
						for _, run := range e.Runs {
							fmt.Fprintf(&b, " %s %s %q", run.Rule, run.Status, run.Error)
						}
						fmt.Fprintln(&b)
					}
					for _, x := range e.Transitions {
						fmt.Fprintf(&b, "  %s %s %d.%d %s %s %q told %+v untold %q %s\n", x.ID, x.Rule, x.Episode, x.Sequence, x.State, x.Reason, x.Annotations["summary"], x.Notified, x.Suppressed, x.Value)
					}
				}
			}
			return b.String()
		}
		want := live(&mortal{feedback: feedback}, 0)
		deaths := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 20).Draw(rt, "deaths")
		if got := live(&mortal{feedback: feedback, deaths: deaths}, 0); got != want {
			rt.Fatalf("with restarts\n%s\nwithout\n%s", got, want)
		}
		// Of a tick whose first part stands, people may speak before the rest follows: hence without them.
		part := rapid.IntRange(1, 3).Draw(rt, "changes that an entry holds")
		want = inOrder(live(&mortal{}, 0))
		if got := inOrder(live(&mortal{deaths: deaths}, part)); got != want {
			rt.Fatalf("with restarts, and in parts of %d\n%s\nwithout\n%s", part, got, want)
		}
	})
}

// inOrder sorts the lines of what a log says: the changes of a tick come before its entry where they are in parts.
func inOrder(log string) string {
	lines := strings.Split(log, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
