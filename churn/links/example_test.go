package links_test

import (
	"fmt"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/links"
)

// T-2 is asked about twice: before the deal was known, its account had no contract at all.
func Example() {
	day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 0, 0, 0, 0, time.UTC) }
	// Known from a day on, and not corrected since.
	since := func(t time.Time) churn.Span { return churn.Span{From: t, To: churn.Forever} }

	deals := []links.DealVersion{{
		Span: since(day(time.January, 10)), DealID: "D-1", ContractID: "K-1", Type: churn.DealNew, Outcome: churn.Won,
		ClosedAt: day(time.January, 10), EndsAt: churn.ContractEnd(day(time.January, 10), time.Time{}, 12),
	}}
	attempts := []links.AttemptVersion{
		{Span: since(day(time.March, 1)), TicketID: "T-1", At: day(time.March, 1)},                        // names no contract
		{Span: since(day(time.January, 5)), TicketID: "T-2", ContractID: "K-1", At: day(time.January, 5)}, // before the close
	}
	account := links.LinkAccount(deals, attempts)
	for _, f := range account.InForce {
		fmt.Printf("%s is in force by deal %s for attempts from %s till %s\n", f.ContractID, f.DealID, f.Since.Format(time.DateOnly), f.Till.Format(time.DateOnly))
	}
	for _, l := range account.Links {
		fmt.Printf("%s reopens whatever is in force on %s, by %s\n", l.TicketID, l.AttemptAt.Format(time.DateOnly), l.Basis)
	}
	for _, u := range account.Unmatched {
		to := u.To.Format(time.DateOnly)
		if u.To.Equal(churn.Forever) {
			to = "now"
		}
		fmt.Printf("%s reopens nothing: %s, as known from %s to %s\n", u.TicketID, u.Why, u.From.Format(time.DateOnly), to)
	}
	// Output:
	// K-1 is in force by deal D-1 for attempts from 2026-01-10 till 2027-04-10
	// T-1 reopens whatever is in force on 2026-03-01, by account
	// T-2 reopens nothing: no_contract, as known from 2026-01-05 to 2026-01-10
	// T-2 reopens nothing: before_contract, as known from 2026-01-10 to now
}
