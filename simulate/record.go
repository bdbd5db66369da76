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
	Kind       Kind
	Key        string     // account_id
	Value      []byte     // JSON, unless broken; nil where the breakage is that there is no value
	KnownAt    time.Time  // when it becomes known: for the header aftershock-known-at
	EventID    string     // also of a broken record, as it would have been
	Broken     churn.Code // how it is broken; empty where it is fine
	Duplicate  bool       // its event_id came before
	Correction bool       // a later revision of a deal or ticket
	Late       bool       // it becomes known days or weeks after it occurred, where most do within the hour
}
