package alert_test

import (
	"fmt"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// A rule has found a contract: the transition is encoded once, and every consumer reads the same alert.
func Example() {
	at := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	fingerprint := alert.Fingerprint("EarlyRenegotiation", map[string]string{"account_id": "A-17", "contract_id": "K-1"})
	score := 68.4
	fires := alert.Transition{
		ID: alert.TransitionID(fingerprint, 1, 1), Fingerprint: fingerprint, Episode: 1, Sequence: 1,
		Rule: "EarlyRenegotiation", State: alert.Firing, Reason: "condition_met", Severity: "warning", Kind: "risk", Arm: alert.Treatment,
		At: at, StartsAt: at, AccountID: "A-17", ContractID: "K-1", ValueAtRisk: churn.MustMoney("172500.00"), Currency: "EUR",
		Annotations: map[string]string{"summary": "Acme reopens a hard-won contract"},
	}
	about := alert.Subject{
		Account:  alert.AccountBrief{AccountName: "Acme", Owner: "Ana"},
		Contract: &alert.ContractBrief{ContractID: "K-1", DealID: "D-1", Hardness: &score, Band: churn.BandHard, Coverage: 0.8},
		Evidence: []alert.Evidence{{TicketID: "T-9", Class: "price_reduction", Strength: churn.Strong, Quote: "We need to reopen our rate.", LagDays: 20.4, At: at}},
	}
	if err := alert.Encode(&fires, "churn.alerts", "aftershock/production", about); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("to", fires.Topic, "under the key", fires.Key)

	a, err := alert.Decode(fires.Value)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %s (%s %s at risk, for %s)\n", a.Status, a.Annotations["summary"], a.ValueAtRisk.Amount, a.ValueAtRisk.Currency, a.Account.Owner)
	for _, e := range a.Evidence {
		fmt.Printf("after %.0f days: %q\n", e.LagDays, e.Quote)
	}
	// Output:
	// to churn.alerts under the key 43073adf02f033ab72c97481158e26d4
	// firing: Acme reopens a hard-won contract (172500 EUR at risk, for Ana)
	// after 20 days: "We need to reopen our rate."
}

// A consumer keeps the highest of each fingerprint: what comes late or twice changes nothing.
func ExampleOrder() {
	present := map[string]alert.Order{}
	for _, a := range []alert.Alert{
		{Fingerprint: "f", Episode: 1, Sequence: 1, Status: alert.Firing},
		{Fingerprint: "f", Episode: 1, Sequence: 2, Status: alert.Resolved},
		{Fingerprint: "f", Episode: 1, Sequence: 1, Status: alert.Firing}, // again
		{Fingerprint: "f", Episode: 2, Sequence: 1, Status: alert.Firing},
	} {
		if a.Order().Compare(present[a.Fingerprint]) > 0 {
			present[a.Fingerprint] = a.Order()
			fmt.Println("episode", a.Episode, a.Status)
		}
	}
	// Output:
	// episode 1 firing
	// episode 1 resolved
	// episode 2 firing
}
