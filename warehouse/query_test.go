package warehouse

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aftershock/aftershock/churn"
)

const ruleQuery = `SELECT account_id, contract_id, band, hardness, arr, attempts_90d, in_force, last_attempt_at, classes_90d, lost_at
	FROM contract_signals(at = {at:DateTime64(3, 'UTC')}) ORDER BY contract_id`

// A rule's query says the same through the view and with the view written into it.
func TestRowsEqualTheView(t *testing.T) {
	w := open(t)
	f := newFeed(t, w)
	f.store(parseFacts(t, `
		deal 2024-01-01 {"deal_id":"d1","account_id":"a","closed_at":"2024-01-01","segment":"hard","annual_value":"1200.50"}
		deal 2024-01-01 {"deal_id":"d2","account_id":"a","closed_at":"2024-01-05","currency":"EUR"}
		ticket 2024-02-01 {"ticket_id":"t","account_id":"a","opened_at":"2024-02-01","category":"attempt"}`)...)
	f.update()
	instant := at(t, "2024-02-10")
	got, err := w.Rows(t.Context(), ruleQuery, instant)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	// The extra blank keeps the query from being flattened.
	through, err := w.Rows(t.Context(), strings.Replace(ruleQuery, "(at = ", "(at =  ", 1), instant)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(through, got, cmp.Comparer(func(a, b churn.OptionalMoney) bool { return a.Known == b.Known && a.Amount.Equal(b.Amount) })); diff != "" {
		t.Errorf("(-through the view +flattened):\n%s", diff)
	}
	if got[0]["arr"].(churn.OptionalMoney).String() != "1200.50" || got[0]["attempts_90d"] != int64(1) || got[0]["band"] != "hard" {
		t.Errorf("%v", got[0])
	}
	before, err := w.Rows(t.Context(), ruleQuery, at(t, "2023-12-31"))
	if err != nil || len(before) != 0 {
		t.Errorf("before anything was known: %v, %v", before, err)
	}
}

func TestSubjects(t *testing.T) {
	w := open(t)
	f := newFeed(t, w)
	f.store(parseFacts(t, `
		deal 2024-01-01 {"deal_id":"d1","account_id":"a","account_name":"Acme","closed_at":"2024-01-01","segment":"hard"}
		deal 2024-01-01 {"deal_id":"d2","account_id":"a","account_name":"Acme","closed_at":"2024-01-05","segment":"soft"}
		ticket 2024-02-01 {"ticket_id":"t","account_id":"a","opened_at":"2024-02-01","category":"attempt"}`)...)
	f.update()
	one, account := churn.ContractKey{AccountID: "a", ContractID: "d1"}, churn.ContractKey{AccountID: "a"}
	got, err := w.Subjects(t.Context(), at(t, "2024-02-10"), []churn.ContractKey{one, account})
	if err != nil {
		t.Fatal(err)
	}
	c := got[one].Contract
	if c == nil || c.DealID != "d1" || c.Band != churn.BandHard || len(c.Contributions) != 1 || c.Contributions[0].Evidence != "10% above" {
		t.Errorf("the contract: %+v", c)
	}
	if e := got[one].Evidence; len(e) != 1 || e[0].LagDays != 31 || e[0].Quote != "lower it" {
		t.Errorf("its evidence: %+v", e)
	}
	if e := got[account].Evidence; len(e) != 1 || got[account].Account.AccountName != "Acme" || got[account].Contract != nil {
		t.Errorf("an attempt counts once an account: %+v", got[account])
	}
}

// TestSubjectsBringTheBrief: from the record as known then, in the version that is the present, with the owners as known then.
func TestSubjectsBringTheBrief(t *testing.T) {
	w := open(t)
	f := newFeed(t, w)
	f.store(parseFacts(t, `
		deal 2024-01-01 {"deal_id":"d1","account_id":"a","closed_at":"2024-01-01","segment":"hard","owners":{"account_executive":"Erin","account_manager":"Max"},"negotiation":{"unresolved_requests":["exit clause"]}}
		deal 2024-01-20 {"deal_id":"d1","account_id":"a","closed_at":"2024-01-01","segment":"hard","revision":1,"owners":{"account_executive":"Erin","account_manager":"Max"},"negotiation":{"unresolved_requests":["named support"],"tone":-0.5}}
		deal 2024-01-25 {"deal_id":"d2","contract_id":"d1","account_id":"a","closed_at":"2024-01-21","deal_type":"expansion","negotiation":{"unresolved_requests":["more seats"]}}
		deal 2024-01-25 {"deal_id":"d3","account_id":"a","closed_at":"2024-01-21","negotiation":{"unresolved_requests":["another contract"]}}`)...)
	f.update()
	if err := w.StoreOwners(t.Context(), []churn.Owner{{AccountID: "a", Owners: churn.Owners{AccountManager: "Nina"}, KnownAt: at(t, "2024-02-01")}}); err != nil {
		t.Fatal(err)
	}
	one, account := churn.ContractKey{AccountID: "a", ContractID: "d1"}, churn.ContractKey{AccountID: "a"}
	for _, c := range []struct{ at, refused, people string }{
		{"2024-01-10", "exit clause", "Erin (account executive); Max (account manager)"},
		{"2024-01-26", "named support", "Erin (account executive); Max (account manager)"},
		{"2024-02-10", "named support", "Nina (account manager)"},
	} {
		got, err := w.Subjects(t.Context(), at(t, c.at), []churn.ContractKey{one, account})
		if err != nil {
			t.Fatal(err)
		}
		brief := got[one].Brief
		if brief == nil {
			t.Errorf("at %s: no brief", c.at)
			continue
		}
		if refused, people := strings.Join(brief.Refused, "; "), strings.Join(brief.People, "; "); refused != c.refused || people != c.people {
			t.Errorf("at %s: refused %q, people %q", c.at, refused, people)
		}
		if !strings.Contains(brief.Text, "Hardness 80 of 100 (hard)") || got[account].Brief != nil {
			t.Errorf("at %s: the account has %v; the contract's brief reads:\n%s", c.at, got[account].Brief, brief.Text)
		}
	}
}
