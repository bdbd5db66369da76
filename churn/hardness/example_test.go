package hardness_test

import (
	"fmt"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/hardness"
)

func Example() {
	rounds, ultimatums, tone := 9, 2, -0.5
	gaveUp := []churn.Concession{{Term: "auto-renewal", Value: churn.MustMoney("12000")}, {Term: "payment in advance", Value: churn.MustMoney("10500.50")}}
	weGaveUp := []churn.Concession{{Term: "training", Value: churn.MustMoney("3000")}}
	refused := []string{"single sign-on", "weekend support"}
	closed := time.Date(2026, 2, 11, 0, 0, 0, 0, time.UTC)

	h := hardness.Default().Score(&churn.DealClosed{
		DealID: "D-1", AccountID: "A-17", Outcome: churn.Won, ClosedAt: closed, Currency: "EUR",
		SignedPrice: churn.MustMoney("345000"), Anticipated: churn.MustMoney("300000"), ListPrice: churn.MustMoney("380000"),
		Negotiation: &churn.Negotiation{
			OpenedAt: closed.AddDate(0, 0, -60), Rounds: &rounds, Ultimatums: &ultimatums, Tone: &tone,
			ClientConcessions: &gaveUp, VendorConcessions: &weGaveUp, UnresolvedRequests: &refused,
		},
	})
	fmt.Printf("%s: %.1f of 100, from %.0f%% of the facts that the model asks for\n", h.Band, h.Score, 100*h.Coverage)
	for _, c := range h.Contributions {
		fmt.Printf("%+.1f %s: %s\n", c.Points, c.Component, c.Evidence)
	}
	fmt.Println("not known:", h.Missing)
	// Output:
	// hard: 68.4 of 100, from 80% of the facts that the model asks for
	// +17.3 price_premium: The client signed at EUR 345,000.00, 15.0% above the EUR 300,000.00 that it expected.
	// +14.0 ultimatums: There were 2 ultimatums such as final offers or expiring prices.
	// +13.8 concession_asymmetry: The client gave up EUR 22,500.50 and the vendor EUR 3,000.00.
	// +11.7 tone: The source measured a tone of -0.50, where -1 is hostile and 1 is warm.
	// +7.3 unresolved_requests: The client asked for and was refused 2 things: single sign-on, weekend support.
	// +4.3 rounds: 9 rounds of documents went back and forth.
	// not known: [negotiation.deadline_pressure negotiation.escalations negotiation.common_ground]
}

// Nothing known is never soft.
func ExampleModel_Score_unknown() {
	h := hardness.Default().Score(&churn.DealClosed{DealID: "D-2", Outcome: churn.Won, Currency: "EUR", SignedPrice: churn.MustMoney("90000")})
	fmt.Println(h.Band, h.Coverage)
	// Output:
	// unknown 0
}
