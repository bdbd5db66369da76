package churn

import (
	"fmt"
	"time"
)

// Code is the stable reason why a record cannot become an event; it stands in dead letters, metrics and rejected_events.
type Code string

const (
	CodeEmptyValue        Code = "empty_value"        // a record without a value (a tombstone)
	CodeMalformedJSON     Code = "malformed_json"     // not one JSON object
	CodeInvalidUTF8       Code = "invalid_utf8"       // bytes that are not UTF-8
	CodeDuplicateKey      Code = "duplicate_key"      // the same key twice in one object
	CodeMissingField      Code = "missing_field"      // a required field is absent, null or empty
	CodeWrongType         Code = "wrong_type"         // a field has another JSON type than the schema says
	CodeBadValue          Code = "bad_value"          // a value outside its list or range
	CodeBadMoney          Code = "bad_money"          // not an amount of at most 18 digits with 4 decimals
	CodeBadTime           Code = "bad_time"           // not an RFC 3339 time
	CodeTimeOutOfRange    Code = "time_out_of_range"  // outside the years 1970..2200
	CodeBadInterval       Code = "bad_interval"       // ends_at is not after closed_at
	CodeTextTooLong       Code = "text_too_long"      // a text of more than 1 MiB, or an id or name of more than 1 KiB
	CodeUnsupportedSchema Code = "unsupported_schema" // a schema_version that this build does not know
	CodeBadHeader         Code = "bad_header"         // a CloudEvents or aftershock-known-at header that cannot be read
	CodeUnreadable        Code = "unreadable"         // a record that is too large once it is inflated, or a batch that cannot be read
	CodeRefusedByStore    Code = "refused_by_store"   // the warehouse refused this very row
)

// Rejection says why a record cannot become an event. It is an error.
type Rejection struct {
	Code   Code
	Field  string // JSON path such as negotiation.rounds; empty where the whole value is at fault
	Reason string // for a person: what was found and what is allowed
}

func (r *Rejection) Error() string {
	if r.Field == "" {
		return fmt.Sprintf("%s: %s", r.Code, r.Reason)
	}
	return fmt.Sprintf("%s: %s: %s", r.Code, r.Field, r.Reason)
}

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
