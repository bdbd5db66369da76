package consumers

import (
	"crypto/sha256"
	"testing"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

var plainEnrichment = Enrichment{
	Score:    func(*churn.DealClosed) churn.Hardness { return churn.Hardness{} },
	Classify: func(*churn.SupportTicket) churn.Classification { return churn.Classification{} },
}

func headersOf(pairs ...string) (headers []broker.Header) {
	for i := 0; i < len(pairs); i += 2 {
		headers = append(headers, broker.Header{Key: pairs[i], Value: []byte(pairs[i+1])})
	}
	return headers
}

func TestDealEventKeepsTheRecord(t *testing.T) {
	value := []byte(`{"event_id":"e","deal_id":"d","account_id":"a","closed_at":"2026-01-01T00:00:00Z","outcome":"lost"}`)
	record := &broker.Record{Position: churn.Position{Topic: "deals", Partition: 3, Offset: 7}, Value: value,
		Headers: headersOf("ce_specversion", "1.0", "ce_time", "2026-01-02T00:00:00Z")}
	event, rejection := plainEnrichment.DealEvent(record)
	if rejection != nil {
		t.Fatal(rejection)
	}
	if event.Position != record.Position || event.Hash != sha256.Sum256(value) || string(event.Payload) != string(value) {
		t.Errorf("the stamp is %+v", event.Stamp)
	}
	if !event.KnownAt.IsZero() || event.OccurredAt.Day() != 2 {
		t.Errorf("known at %s, occurred at %s", event.KnownAt, event.OccurredAt)
	}
	if _, rejection := plainEnrichment.TicketEvent(record); rejection == nil || rejection.Code != churn.CodeMissingField {
		t.Errorf("a deal read as a ticket: %v", rejection)
	}
}
