package churn

import "time"

// EventKey tells one version of an event from all others: what it is about, its id, and its very bytes.
type EventKey struct {
	AccountID string
	ID        string // deal_id, ticket_id, or the fingerprint of feedback, which names no account
	EventID   string
	Hash      [32]byte // SHA-256 of the value
}

// Key is the event's.
func (e *DealEvent) Key() EventKey { return EventKey{e.AccountID, e.DealID, e.EventID, e.Hash} }

// Key is the event's.
func (e *TicketEvent) Key() EventKey { return EventKey{e.AccountID, e.TicketID, e.EventID, e.Hash} }

// Stamp is what Aftershock adds to every fact that it accepts.
type Stamp struct {
	Position
	KnownAt time.Time // when the fact became known here
	Claimed time.Time // what the source said of KnownAt, where that lay ahead of our clock
	Hash    [32]byte  // SHA-256 of the record's value
	Payload []byte    // the record's value, whole
}

// DealEvent is an accepted DealClosed with what was derived from it.
type DealEvent struct {
	DealClosed
	Stamp
	Hardness Hardness
}

// TicketEvent is an accepted SupportTicket with what was derived from it.
type TicketEvent struct {
	SupportTicket
	Stamp
	Attempt Classification
}

// DealRecord is a deal as its newest event describes it.
type DealRecord struct {
	AccountID string
	Value     []byte // the record's value, whole
}
