package alert

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/aftershock/aftershock/churn"
)

// Whatever a fact holds, an alert about it is a small record, and what it was made from is not changed.
func TestAnAlertIsASmallRecord(t *testing.T) {
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, long := range map[string]string{"letters": strings.Repeat("a", 1<<20), "four bytes": strings.Repeat("\U0001F680", 1<<18), "escaped": strings.Repeat("\x01", 1<<20)} {
		t.Run(name, func(t *testing.T) {
			subject := Subject{
				Account:  AccountBrief{AccountName: long, Segment: long, Owner: long, Team: long},
				Contract: &ContractBrief{ContractID: long, DealID: long, Contributions: []ContributionBrief{{Evidence: long}}, Missing: []string{}},
			}
			for i := range 20_000 {
				e := Evidence{TicketID: fmt.Sprintf("T%d", i), At: day.Add(time.Duration(i%7_777) * time.Minute), Quote: "too dear"}
				if i%400 == 0 {
					e.TicketID, e.Quote, e.At = long, long, day.AddDate(1, 0, i)
				}
				subject.Evidence = append(subject.Evidence, e)
			}
			tr := Transition{
				ID: "i", Fingerprint: "f", Episode: 1, Sequence: 1, State: Firing, Rule: "R", AccountID: long, ContractID: long, By: long, Why: long,
				Labels: map[string]string{"owner": long}, Annotations: map[string]string{"summary": long, "description": long, "playbook": "p"},
			}
			if err := Encode(&tr, "alerts", "test", subject); err != nil {
				t.Fatal(err)
			}
			a, err := Decode(tr.Value)
			if err != nil || len(tr.Value) > MaxBytes || !utf8.Valid(tr.Value) {
				t.Fatalf("%d bytes: %v", len(tr.Value), err)
			}
			if a.Annotations["playbook"] != "p" || !strings.HasSuffix(a.Annotations["summary"], "…") || utf8.RuneCountInString(a.Annotations["summary"]) != MaxAnnotation {
				t.Errorf("the summary has %d characters", utf8.RuneCountInString(a.Annotations["summary"]))
			}
			if !a.EvidenceCut || len(a.Evidence) == 0 || len(a.Evidence) > MaxEvidence || a.Evidence[0].At.Before(day.AddDate(1, 0, 0)) {
				t.Errorf("%d pieces of evidence, the first of %s", len(a.Evidence), a.Evidence[0].At)
			}
			if len(subject.Contract.ContractID) != len(long) || len(subject.Contract.Contributions[0].Evidence) != len(long) || len(subject.Evidence[0].Quote) != len(long) ||
				len(tr.Labels["owner"]) != len(long) {
				t.Error("what the alert was made from is cut")
			}
		})
	}
	labels := map[string]string{}
	for i := range 5_000 {
		labels[fmt.Sprint("l", i)] = strings.Repeat("x", 400)
	}
	tr := Transition{ID: "i", Fingerprint: "f", Episode: 1, Sequence: 1, State: Firing, Rule: "R", Labels: labels}
	if err := Encode(&tr, "alerts", "test", Subject{}); err == nil || !strings.Contains(err.Error(), "too many labels") {
		t.Errorf("an alert that cannot be made small: %v", err)
	}
}

// What is within bounds is written as it is.
func TestWhatIsShortIsNotCut(t *testing.T) {
	subject := Subject{Account: AccountBrief{AccountName: strings.Repeat("ä", maxName)}}
	for range MaxEvidence {
		subject.Evidence = append(subject.Evidence, Evidence{TicketID: "T", Quote: strings.Repeat("ß", maxQuote)})
	}
	tr := Transition{
		ID: "i", Fingerprint: "f", Episode: 1, Sequence: 1, State: Firing, AccountID: "A", Annotations: map[string]string{"summary": strings.Repeat("€", MaxAnnotation)},
		ValueAtRisk: churn.MustMoney("1"),
	}
	if err := Encode(&tr, "alerts", "test", subject); err != nil {
		t.Fatal(err)
	}
	a, err := Decode(tr.Value)
	if err != nil || a.EvidenceCut || a.Account.AccountName != subject.Account.AccountName || a.Annotations["summary"] != tr.Annotations["summary"] {
		t.Fatalf("%v: %v", err, a.EvidenceCut)
	}
	if diff := cmp.Diff(subject.Evidence, a.Evidence); diff != "" {
		t.Error(diff)
	}
}
