package outcomes_test

import (
	"fmt"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/outcomes"
)

// Sixty contracts of a year each. The rule alerts every third of them in the eighth month, and most of these are lost in the tenth.
func Example() {
	begin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	var terms []churn.Term
	var alerts []outcomes.Alert
	for i := range 60 {
		account := fmt.Sprintf("A-%02d", i)
		closed := begin.AddDate(0, 0, i)
		term := churn.Term{AccountID: account, ContractID: "K", ClosedAt: closed, EndsAt: closed.AddDate(1, 0, 0), Fate: churn.Open}
		alerted := i%3 == 0
		if alerted {
			alerts = append(alerts, outcomes.Alert{Rule: "EarlyRenegotiation", AccountID: account, ContractID: "K", At: closed.AddDate(0, 8, 0)})
		}
		if alerted && i%4 != 0 || !alerted && i%5 == 0 {
			term.Fate, term.OverAt = churn.Churned, closed.AddDate(0, 10, i%20)
		}
		terms = append(terms, term)
	}
	span := outcomes.Span{From: begin, To: begin.AddDate(1, 6, 0), Horizon: 180 * 24 * time.Hour}
	report, err := span.Judge(terms, []string{"EarlyRenegotiation"}, alerts)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d terms, %d churned\n", report.Terms, report.Churned)
	for _, r := range report.Rules {
		fmt.Printf("precision %d of %d: %.2f (%.2f to %.2f)\n", r.Precision.Hits, r.Precision.Of, *r.Precision.Share, *r.Precision.Low, *r.Precision.High)
		fmt.Printf("recall %d of %d: %.2f (%.2f to %.2f)\n", r.Recall.Hits, r.Recall.Of, *r.Recall.Share, *r.Recall.Low, *r.Recall.High)
		fmt.Printf("lead time: %.0f days\n", *r.LeadDays.Median)
		fmt.Printf("lift %s: %s\n", r.Lift.Text(), r.Verdict)
	}
	// Output:
	// 60 terms, 23 churned
	// precision 15 of 20: 0.75 (0.51 to 0.91)
	// recall 15 of 23: 0.65 (0.43 to 0.84)
	// lead time: 71 days
	// lift 5.19 (2.24 to 17.89): its alerts foretell
}

// Of few cases the counts are told, and no figure.
func ExampleShare() {
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	span := outcomes.Span{From: at, To: at.AddDate(1, 0, 0), Horizon: 90 * 24 * time.Hour}
	report, err := span.Judge(nil, []string{"Rare"}, []outcomes.Alert{{Rule: "Rare", AccountID: "A", At: at.AddDate(0, 1, 0)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	p := report.Rules[0].Precision
	fmt.Println(p.Hits, "of", p.Of, "- a share is told:", p.Share != nil)
	// Output:
	// 0 of 1 - a share is told: false
}
