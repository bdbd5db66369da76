package churn

import "time"

// SupportTicket is the fact that a client asked for something (deploy/schemas/support-ticket.v1.json).
type SupportTicket struct {
	SchemaVersion int
	EventID       string
	Revision      int64
	OccurredAt    time.Time
	TicketID      string
	AccountID     string
	ContractID    string
	OpenedAt      time.Time
	Status        string
	Priority      string
	Channel       string
	Subject       string
	Body          string
	Comments      []Message
	Tags          []string
	Category      string
	Satisfaction  *float64
	OutageRelated bool
	VendorError   bool
	Assignee      string
	Source        Source
}

// Strength says how much one class of attempt tells.
type Strength string

const (
	Strong Strength = "strong"
	Medium Strength = "medium"
	Weak   Strength = "weak"
)

// Finding is one class that a ticket carries.
type Finding struct {
	Class        string // one of those of churn/attempts, for example "price_reduction"
	Strength     Strength
	Confidence   float64 // 0..1
	Quote        string  // the client's words that carried it
	At           time.Time
	Rule         string // which phrase, tag or category of the model found it
	Confirmatory bool   // confirms a decision already made rather than leading it, for example a downgrade
}

// Classification says whether a ticket is a renegotiation attempt: it is one where Findings is not empty.
type Classification struct {
	Findings     []Finding // strongest first
	At           time.Time // of the attempt: when its earliest classified words were said
	ModelVersion string
}
