package attempts_test

import (
	"fmt"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/attempts"
)

func Example() {
	opened := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	ticket := &churn.SupportTicket{
		TicketID: "T-9", AccountID: "A-17", OpenedAt: opened,
		Subject: "Export to CSV fails",
		Body:    "The export stops at 10,000 rows. Is that a known limit?",
		Comments: []churn.Message{
			{At: opened.Add(time.Hour), From: churn.Vendor, Text: "It is. We could offer you a discount on the larger plan."},
			{At: opened.Add(26 * time.Hour), From: churn.Client, Text: "Then we need to reopen our rate, the fee is too high for what we get. And please send us our exit clause."},
		},
	}
	found := attempts.Default().Classify(ticket)
	fmt.Println("an attempt, made at", found.At.Format(time.DateTime))
	for _, f := range found.Findings {
		fmt.Printf("%s (%s, %.2f): %q\n", f.Class, f.Strength, f.Confidence, f.Quote)
	}
	// Output:
	// an attempt, made at 2026-03-03 11:00:00
	// price_reduction (strong, 0.96): "Then we need to reopen our rate, the fee is too high for what we get."
	// early_termination (strong, 0.85): "And please send us our exit clause."
}

// A plain question is no attempt, and neither is a denial.
func ExampleClassifier_Classify_none() {
	for _, words := range []string{"How do I add a user?", "We are not asking for a discount."} {
		fmt.Println(len(attempts.Default().Classify(&churn.SupportTicket{Body: words}).Findings))
	}
	// Output:
	// 0
	// 0
}
