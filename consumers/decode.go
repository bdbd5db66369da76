package consumers

import (
	"crypto/sha256"
	"errors"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

// Enrichment turns records into events: decoding, then what is derived from the fact. It is pure, and safe for many goroutines
// where its functions are.
type Enrichment struct {
	Score    func(*churn.DealClosed) churn.Hardness
	Classify func(*churn.SupportTicket) churn.Classification
}

// DealEvent turns a record into a deal event, or says why it cannot be one. KnownAt is zero unless a header sets it: otherwise
// its batch is stamped when it is stored.
func (e Enrichment) DealEvent(record *broker.Record) (churn.DealEvent, *churn.Rejection) {
	var event churn.DealEvent
	rejection := e.deal(record, &event)
	return event, rejection
}

// TicketEvent turns a record into a ticket event, or says why it cannot be one. KnownAt is as for DealEvent.
func (e Enrichment) TicketEvent(record *broker.Record) (churn.TicketEvent, *churn.Rejection) {
	var event churn.TicketEvent
	rejection := e.ticket(record, &event)
	return event, rejection
}

func (e Enrichment) deal(record *broker.Record, into *churn.DealEvent) *churn.Rejection {
	occurredAt, knownAt, rejection := readHeaders(record)
	if rejection != nil {
		return rejection
	}
	var err error
	if into.DealClosed, err = churn.DecodeDeal(record.Value, occurredAt); err != nil {
		return asRejection(err)
	}
	into.Stamp = stampOf(record, knownAt)
	into.Hardness = e.Score(&into.DealClosed)
	return nil
}

func (e Enrichment) ticket(record *broker.Record, into *churn.TicketEvent) *churn.Rejection {
	occurredAt, knownAt, rejection := readHeaders(record)
	if rejection != nil {
		return rejection
	}
	var err error
	if into.SupportTicket, err = churn.DecodeTicket(record.Value, occurredAt); err != nil {
		return asRejection(err)
	}
	into.Stamp = stampOf(record, knownAt)
	into.Attempt = e.Classify(&into.SupportTicket)
	return nil
}

// feedback turns a record into feedback. There is nothing to enrich.
func feedback(record *broker.Record, into *churn.FeedbackEvent) *churn.Rejection {
	occurredAt, knownAt, rejection := readHeaders(record)
	if rejection != nil {
		return rejection
	}
	var err error
	if into.Feedback, err = churn.DecodeFeedback(record.Value, string(record.Key), occurredAt); err != nil {
		return asRejection(err)
	}
	into.Stamp = stampOf(record, knownAt)
	return nil
}

// readHeaders reads what the headers say of a record, or says why there is no record to read.
func readHeaders(record *broker.Record) (occurredAt, knownAt time.Time, rejection *churn.Rejection) {
	if record.Fault != nil {
		return occurredAt, knownAt, record.Fault
	}
	return broker.ReadHeaders(record.Headers)
}

func stampOf(record *broker.Record, knownAt time.Time) churn.Stamp {
	return churn.Stamp{Position: record.Position, KnownAt: knownAt, Hash: sha256.Sum256(record.Value), Payload: record.Value}
}

// asRejection keeps a record whose decoder failed in some other way than it promises from stopping its partition.
func asRejection(err error) *churn.Rejection {
	var rejection *churn.Rejection
	if errors.As(err, &rejection) {
		return rejection
	}
	return &churn.Rejection{Code: churn.CodeMalformedJSON, Reason: err.Error()}
}

// Decoders tell, for each topic that is consumed, which event a record of it would become, or why it would be refused.
func (e Enrichment) Decoders(names broker.Topics) map[string]func(*broker.Record) (churn.EventKey, *churn.Rejection) {
	decoders := map[string]func(*broker.Record) (churn.EventKey, *churn.Rejection){}
	for _, t := range Topics(names, e) {
		decoders[t.Name] = t.Decode
	}
	return decoders
}
