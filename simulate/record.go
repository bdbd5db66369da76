package simulate

import (
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Kind says which topic a record belongs to.
type Kind string

const (
	Deal   Kind = "deal"
	Ticket Kind = "ticket"
)

// Record is one record as a source would send it.
type Record struct {
	Kind      Kind
	Key       string    // account_id
	Value     []byte    // JSON, unless broken; nil where the breakage is that there is no value
	KnownAt   time.Time // when it becomes known: for the header aftershock-known-at
	EventID   string    // also of a broken record, as it would have been
	Broken    churn.Code
	Duplicate bool // its event_id came before
	Corrects  bool // a later revision of a deal or ticket
}
