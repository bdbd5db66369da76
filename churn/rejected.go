package churn

import "time"

// Rejected is a record that could not become an event, as `rejected_events` keeps it. The record itself, whole, is in the
// dead-letter topic.
type Rejected struct {
	Position
	Rejection
	Source     string    // deals or tickets
	ReplayOf   string    // Path of the record that was first refused, where a replay sent this one; else empty
	KnownAt    time.Time // as of an event: RejectedAt, unless a header says
	RejectedAt time.Time
	Key        []byte
	Size       int      // bytes of the value
	Hash       [32]byte // SHA-256 of the value
	Excerpt    string   // the start of the value as valid UTF-8, for a person
}
