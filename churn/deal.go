package churn

import "time"

// SchemaVersion is the version of DealClosed and SupportTicket that this build reads.
const SchemaVersion = 1

// DealType says what a closed deal did to the business relationship.
type DealType string

const (
	DealNew       DealType = "new"
	DealRenewal   DealType = "renewal"
	DealExpansion DealType = "expansion"
	DealDowngrade DealType = "downgrade"
)

// Base reports whether a won deal of this type may replace a contract's base; expansions and downgrades may not.
func (t DealType) Base() bool { return t == DealNew || t == DealRenewal }

// Outcome says how a deal ended. A lost renewal is churn.
type Outcome string

const (
	Won  Outcome = "won"
	Lost Outcome = "lost"
)

// DealClosed is the fact that a deal was won or lost (deploy/schemas/deal-closed.v1.json).
// Pointers and OptionalMoney are nil or unset where the source did not say: a missing fact is never read as zero.
type DealClosed struct {
	SchemaVersion int
	EventID       string
	Revision      int64
	OccurredAt    time.Time // UTC, millisecond precision, like every time here
	DealID        string
	AccountID     string
	AccountName   string
	Segment       string
	ContractID    string // DealID where the source named none
	RenewalOf     string
	Type          DealType
	Outcome       Outcome
	Currency      string // ISO 4217
	SignedPrice   OptionalMoney
	ListPrice     OptionalMoney
	Anticipated   OptionalMoney // anticipated_price: what the client expected to pay
	AnnualValue   OptionalMoney
	TermMonths    int // 0: not given
	ClosedAt      time.Time
	EndsAt        time.Time // zero: not given
	Owners        Owners
	Negotiation   *Negotiation // nil: the source told nothing of the negotiation
	Source        Source
}

// Owners are the people who answer for a client.
type Owners struct {
	AccountExecutive string
	AccountManager   string
	Team             string
}

// Owner is who an alert about the account is for: the account manager, else the account executive, else the team.
func (o Owners) Owner() string {
	switch {
	case o.AccountManager != "":
		return o.AccountManager
	case o.AccountExecutive != "":
		return o.AccountExecutive
	}
	return o.Team
}

// Source names the system that a fact came from.
type Source struct {
	System string
	URL    string
}

// Concession is one thing that a side gave up; Value is in the deal's currency, unset where nobody priced it.
type Concession struct {
	Term  string
	Value OptionalMoney
}

// Negotiation is what happened at the table. Nil fields were not recorded, which differs from "none".
type Negotiation struct {
	OpenedAt           time.Time // zero: not given
	Rounds             *int
	ClientConcessions  *[]Concession
	VendorConcessions  *[]Concession
	Ultimatums         *int
	DeadlinePressure   *bool
	Escalations        *int
	Tone               *float64 // -1 hostile .. 1 warm, as the source measured it
	UnresolvedRequests *[]string
	CommonGround       *[]string
	Messages           []Message
}

// Recorded is the negotiation, one of which nothing was recorded where the source told nothing.
func (d *DealClosed) Recorded() *Negotiation {
	if d.Negotiation == nil {
		return &nothingRecorded
	}
	return d.Negotiation
}

var nothingRecorded Negotiation

// Party is a side of a negotiation or of a ticket.
type Party string

const (
	Client Party = "client"
	Vendor Party = "vendor"
)

// Message is one thing that one side wrote; comments of tickets have the same form.
type Message struct {
	At   time.Time
	From Party
	Text string
}

// Band sorts a hardness score into what people act on.
type Band string

const (
	BandSoft    Band = "soft"
	BandFirm    Band = "firm"
	BandHard    Band = "hard"
	BandUnknown Band = "unknown" // too little is known about the negotiation: never the same as soft
)

// Hardness says how hard one deal was negotiated, and why.
type Hardness struct {
	Score         float64 // 0..100; meaningful only where Band is not BandUnknown
	Band          Band
	Coverage      float64        // 0..1: the share of the model's weight whose inputs were known
	Contributions []Contribution // signed, in points of the score, largest magnitude first
	Missing       []string       // inputs (JSON field names) that the source did not give
	DiscountDepth *float64       // 1 - signed / list: an axis of its own, never part of the score
	ModelVersion  string
}

// Contribution is one component's share of a hardness score.
type Contribution struct {
	Component string
	Value     float64 // the component's own measure, for example 0.08 for a premium of 8%
	Points    float64 // signed points of the score; protective components are negative
	Evidence  string  // one sentence for a person
	Proxy     bool    // measured by a substitute, for example list price instead of anticipated price
}
