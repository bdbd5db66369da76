package engine

import (
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
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
