package engine

import (
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
