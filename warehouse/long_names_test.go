package warehouse

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// An older build accepted ids and names of up to a megabyte. What it stored is linked and makes alerts that a broker takes.
func TestLongNamesOfAnOlderBuildLinkAndAlert(t *testing.T) {
	w := open(t)
	f := newFeed(t, w)
	long := func(of string, n int) string { return of + strings.Repeat("ü", n/2) }
	account, contract := long("account ", 1<<19), long("contract ", 1<<18)
	known := at(t, "2026-01-02")
	stamp := func(topic string) churn.Stamp {
		tp := churn.TopicPartition{Topic: topic}
		f.offsets[tp]++
		return churn.Stamp{Position: churn.Position{Topic: topic, Offset: f.offsets[tp] - 1, Time: now()}, KnownAt: known, Hash: sha256.Sum256([]byte(topic)), Payload: []byte("{}")}
	}
	deal := churn.DealEvent{Stamp: stamp("deal"), Hardness: hardnessOf(churn.DealClosed{Segment: "hard"})}
	deal.EventID, deal.DealID, deal.AccountID, deal.ContractID = long("event ", 1<<18), long("deal ", 1<<18), account, contract
	deal.AccountName, deal.Type, deal.Outcome, deal.ClosedAt, deal.Currency = long("name ", 1<<20), churn.DealNew, churn.Won, at(t, "2026-01-01"), "EUR"
	ticket := churn.TicketEvent{Stamp: stamp("ticket"), Attempt: attemptOf(churn.SupportTicket{OpenedAt: known, Category: "attempt"})}
	ticket.EventID, ticket.TicketID, ticket.AccountID, ticket.OpenedAt, ticket.Subject = "e", long("ticket ", 1<<19), account, known, long("subject ", 1<<20)
	if err := w.StoreDeals(t.Context(), "", []churn.DealEvent{deal}); err != nil {
		t.Fatal(err)
	}
	if err := w.StoreTickets(t.Context(), "", []churn.TicketEvent{ticket}); err != nil {
		t.Fatal(err)
	}
	f.update()
	key := churn.ContractKey{AccountID: account, ContractID: contract}
	rows, err := w.Rows(t.Context(), "SELECT account_id, contract_id, attempts_90d FROM contract_signals(at = {at:DateTime64(3, 'UTC')})", known.Add(time.Hour))
	if err != nil || len(rows) != 1 || rows[0]["account_id"] != account {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	subjects, err := w.Subjects(t.Context(), known.Add(time.Hour), []churn.ContractKey{key})
	if err != nil || len(subjects[key].Evidence) != 1 {
		t.Fatalf("%d pieces of evidence, %v", len(subjects[key].Evidence), err)
	}
	told := alert.Transition{Rule: "R", State: alert.Firing, Reason: alert.ReasonMet, Identity: map[string]string{"account_id": account, "contract_id": contract}, AccountID: account, ContractID: contract}
	if err := alert.Encode(&told, "churn.alerts", "aftershock", subjects[key]); err != nil || len(told.Value) > 32<<10 {
		t.Errorf("an alert of %d bytes, %v", len(told.Value), err)
	}
}
