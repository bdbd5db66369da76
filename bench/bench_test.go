package main

import (
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// The records are what the pipeline would accept, of the size that the benchmark claims.
func TestRecords(t *testing.T) {
	deals, tickets, attempts := 0, 0, 0
	for i := range 200 {
		deal, ticket := record("deals", i), record("tickets", i)
		deals, tickets = deals+len(deal), tickets+len(ticket)
		if _, err := churn.DecodeDeal(deal, time.Time{}); err != nil {
			t.Fatal(err)
		}
		decoded, err := churn.DecodeTicket(ticket, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if len(churn.DefaultClassifier().Classify(&decoded).Findings) > 0 {
			attempts++
		}
	}
	if deals/200 < 250 || deals/200 > 310 || tickets/200 < 1100 || tickets/200 > 1300 {
		t.Errorf("deals have %d bytes, tickets %d", deals/200, tickets/200)
	}
	if attempts != 20 {
		t.Errorf("%d of 200 tickets are attempts, not 20", attempts)
	}
}
