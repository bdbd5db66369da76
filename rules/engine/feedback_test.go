package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// Groups that are asked one at a time, because the others evaluate, find together that feedback is about no alert.
func TestFeedbackAboutNoAlertIsFoundThoughGroupsAreNeverFreeAtOnce(t *testing.T) {
	set := load(t, `groups:
  - {name: one, schedule: "0 6 * * *", rules: [{alert: A, query: q, identity: [account_id]}]}
  - {name: two, schedule: "0 6 * * *", rules: [{alert: B, query: q, identity: [account_id]}]}
`)
	e := &Engine{Set: set, Log: &MemoryLog{}, Writer: "me", From: start}
	f := churn.FeedbackEvent{Feedback: churn.Feedback{EventID: "e", Fingerprint: "nobody", Action: churn.Acknowledge, By: "kim"}}
	f.KnownAt = start.Add(time.Hour)
	var ledgers []*Ledger
	for i, g := range set.Groups {
		l, err := e.Open(t.Context(), g, start)
		if err != nil {
			t.Fatal(err)
		}
		ledgers = append(ledgers, l)
		for range 2 { // asking one again adds nothing
			entries, nobodys, err := e.Answer(t.Context(), []*Ledger{l}, []churn.FeedbackEvent{f})
			if err != nil || len(entries) > 0 || len(nobodys) != i {
				t.Fatalf("group %d: %v, %d entries, %d left", i, err, len(entries), len(nobodys))
			}
		}
	}
	entry, err := e.Apply(t.Context(), ledgers[0], f)
	if err != nil || entry.Feedback[0].Outcome != "no alert has this fingerprint" {
		t.Errorf("%v: %+v", err, entry.Feedback)
	}
	if len(e.denied) > 0 {
		t.Error("what is answered is still remembered")
	}
}

// A header may say that feedback became known long before its alert was there: its entry stands at the alert, not before it.
func TestFeedbackIsNotBeforeItsAlert(t *testing.T) {
	set := load(t, `groups: [{name: one, schedule: "0 6 * * *", rules: [{alert: A, query: q, identity: [account_id]}]}]`)
	e := &Engine{Set: set, Log: &MemoryLog{}, Writer: "me", From: start}
	l, err := e.Open(t.Context(), set.Groups[0], start)
	if err != nil {
		t.Fatal(err)
	}
	fired := start.Add(time.Hour)
	l.before = prior{"f": {ID: "i", Fingerprint: "f", Episode: 1, Sequence: 1, Rule: "A", State: alert.Firing, Reason: alert.ReasonMet, At: fired, StartsAt: fired,
		Notified: alert.Notified{Episode: 1, State: alert.Firing, First: fired, Last: fired}}}
	f := churn.FeedbackEvent{Feedback: churn.Feedback{EventID: "e", Fingerprint: "f", Action: churn.Close, By: "kim"}}
	f.KnownAt = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	entry, err := e.Apply(t.Context(), l, f)
	if err != nil || len(entry.Transitions) != 1 {
		t.Fatal(err, entry)
	}
	if x := entry.Transitions[0]; x.State != alert.Resolved || !x.At.Equal(fired) || !x.ResolvedAt.Equal(fired) || !entry.At.Equal(fired) {
		t.Errorf("it stands at %s, resolved at %s", x.At, x.ResolvedAt)
	}
}

// owing answers a rule's query with one row, and knows nothing of what alerts are about.
type owing struct{ words string }

func (o owing) Rows(context.Context, string, time.Time) ([]alert.Row, error) {
	return []alert.Row{{"account_id": "A", "words": o.words}}, nil
}

func (owing) Subjects(context.Context, time.Time, []churn.ContractKey) (map[churn.ContractKey]alert.Subject, error) {
	return nil, nil
}

// An alert that people are still to be told of, and that cannot be written, holds; deciding about it comes to an end.
func TestWhatIsOwedAndCannotBeWrittenHolds(t *testing.T) {
	var labels strings.Builder
	for i := range 2_000 {
		fmt.Fprintf(&labels, "l%d: \"{{ .words }}\", ", i)
	}
	set := load(t, `groups: [{name: g, schedule: "0 6 * * *", rules: [{alert: R, query: q, identity: [account_id], labels: {`+strings.TrimSuffix(labels.String(), ", ")+`}}]}]`)
	e := &Engine{Set: set, Warehouse: owing{strings.Repeat("x", 450)}, Log: &MemoryLog{}, Writer: "me", From: start}
	l, err := e.Open(t.Context(), set.Groups[0], start)
	if err != nil {
		t.Fatal(err)
	}
	for day, unattended := range []bool{true, false, false} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var entry alert.Entry
		for entry, err = range e.Evaluate(ctx, l, Tick{At: start.AddDate(0, 0, day), Status: alert.TickRun, Unattended: unattended}) {
			if err == nil {
				err = e.Append(t.Context(), l, entry)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if day == 0 {
			if len(entry.Transitions) != 1 || entry.Transitions[0].Suppressed != alert.SuppressedCatchUp {
				t.Fatalf("it is not owed: %+v", entry.Transitions)
			}
			continue
		}
		if entry.Runs[0].Status != alert.RunError || !strings.Contains(entry.Runs[0].Error, "too many labels") {
			t.Errorf("day %d: %+v", day, entry.Runs[0])
		}
		for _, x := range entry.Transitions {
			if !OfRule(x) {
				t.Errorf("day %d: %s %s", day, x.State, x.Reason)
			}
		}
	}
}
