package churn_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// A record's value becomes a fact. What the source left out is nil, which differs from none.
func ExampleDecodeDeal() {
	value := []byte(`{
		"event_id": "crm-8811", "deal_id": "D-1", "account_id": "A-17", "closed_at": "2026-03-27T16:40:00+01:00",
		"currency": "EUR", "signed_price": "345000.00", "anticipated_price": 300000, "term_months": 24,
		"negotiation": {"rounds": 9, "client_concessions": []},
		"crm_stage": "fields that we don't know are ignored"
	}`)
	deal, err := churn.DecodeDeal(value, time.Time{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("contract", deal.ContractID, "of", deal.AccountID, "closed at", deal.ClosedAt)
	fmt.Println("signed:", deal.SignedPrice, deal.Currency, "- list price known:", deal.ListPrice.Known)
	n := deal.Negotiation
	fmt.Println("client gave up:", len(*n.ClientConcessions), "things - vendor's recorded:", n.VendorConcessions != nil)
	fmt.Println("ends at", churn.ContractEnd(deal.ClosedAt, deal.EndsAt, deal.TermMonths).Format(time.DateOnly))
	// Output:
	// contract D-1 of A-17 closed at 2026-03-27 15:40:00 +0000 UTC
	// signed: 345000.00 EUR - list price known: false
	// client gave up: 0 things - vendor's recorded: false
	// ends at 2028-03-27
}

// What cannot become a fact says why: by a code that stays the same, and in words.
func ExampleDecodeDeal_rejected() {
	_, err := churn.DecodeDeal([]byte(`{"event_id": "crm-8812", "deal_id": "D-2", "account_id": "A-17", "closed_at": "2026-03-27T16:40:00Z",
		"currency": "EUR", "signed_price": 10.00001}`), time.Time{})
	var rejection *churn.Rejection
	if errors.As(err, &rejection) {
		fmt.Println(rejection.Code, "in", rejection.Field)
		fmt.Println(rejection.Reason)
	}
	// Output:
	// bad_money in signed_price
	// "10.00001" is not an amount of at most 18 digits with 4 decimals
}

// A correction beats what it corrects, whichever of the two arrives first.
func ExampleOrder() {
	first := churn.Order{Revision: 1, OccurredAt: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), EventID: "crm-1"}
	corrected := churn.Order{Revision: 2, OccurredAt: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), EventID: "crm-2"}
	fmt.Println(corrected.Compare(first), first.Compare(corrected))
	// Output:
	// 1 -1
}
