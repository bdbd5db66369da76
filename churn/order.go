package churn

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Order decides which of several events about one deal or ticket is the present: the greatest by
// (revision, occurred_at, event_id, SHA-256 of the value). It is total, so arrival order never matters.
type Order struct {
	Revision   int64
	OccurredAt time.Time
	EventID    string
	Hash       [32]byte
}

// Compare returns -1, 0 or +1 as o comes before, with or after p.
func (o Order) Compare(p Order) int {
	return cmp.Or(
		cmp.Compare(o.Revision, p.Revision),
		o.OccurredAt.Compare(p.OccurredAt),
		cmp.Compare(o.EventID, p.EventID),
		bytes.Compare(o.Hash[:], p.Hash[:]),
	)
}

// Order returns the event's place among the events about its deal.
func (e *DealEvent) Order() Order { return Order{e.Revision, e.OccurredAt, e.EventID, e.Hash} }

// Order returns the event's place among the events about its ticket.
func (e *TicketEvent) Order() Order { return Order{e.Revision, e.OccurredAt, e.EventID, e.Hash} }

// Hash hashes strings unambiguously: each is led by its length, so ("ab", "c") and ("a", "bc") differ.
func Hash(parts ...string) string {
	h := sha256.New()
	var length [8]byte
	for _, p := range parts {
		for i := range length {
			length[i] = byte(uint64(len(p)) >> (8 * i))
		}
		h.Write(length[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
