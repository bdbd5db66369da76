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

// Key is the event's.
func (e *FeedbackEvent) Key() EventKey { return EventKey{"", e.Fingerprint, e.EventID, e.Hash} }

// NotSent is the offset of a Replay that found its event stored and sent nothing.
const NotSent = -1

// Replay is a dead letter that was sent to its topic again.
type Replay struct {
	Of     string   // Path of the record that was first refused
	To     Position // where the replay put it; Offset is NotSent where nothing needed sending
	Key    EventKey // of the event that it became
	At     time.Time
	Stored bool // the warehouse has the event; only read, never written
}
