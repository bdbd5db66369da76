package churn

import "time"

// State is where an alert stands. The first five are published; the rest are stored only.
type State string

const (
	Firing       State = "firing"
	Reminder     State = "reminder"
	Acknowledged State = "acknowledged"
	Snoozed      State = "snoozed"
	Resolved     State = "resolved"
	Pending      State = "pending"
	NoData       State = "no_data"
	QueryError   State = "error"
)

// Published reports whether a transition to this state leaves the house.
func (s State) Published() bool {
	switch s {
	case Firing, Reminder, Acknowledged, Snoozed, Resolved:
		return true
	}
	return false
}

// Open reports whether an alert in this state has an episode that has not ended.
func (s State) Open() bool {
	switch s {
	case Firing, Reminder, Acknowledged, Snoozed:
		return true
	}
	return false
}

// Arm is the side of the holdout experiment that an account drew; alerts of the holdout are stored, not published.
type Arm string

const (
	Treatment Arm = "treatment"
	Holdout   Arm = "holdout"
)

// Transition is one change of one alert's state: the unit that is stored and published.
type Transition struct {
	ID          string // TransitionID(Fingerprint, Episode, Sequence)
	Fingerprint string
	Episode     int // 1 for the first time that this fingerprint fires
	Sequence    int // 1.. within the episode
	Rule        string
	RuleVersion string
	State       State
	Reason      string // named: condition_met, condition_cleared, rule_removed, ...
	Severity    string
	Kind        string
	Arm         Arm
	At          time.Time // the instant looked from
	StartsAt    time.Time
	ResolvedAt  time.Time // zero while open
	Late        bool
	HappenedAt  time.Time // when the fact behind it happened; zero where the rule names no column for it
	Identity    map[string]string
	AccountID   string
	ContractID  string
	Labels      map[string]string
	Annotations map[string]string
	ValueAtRisk OptionalMoney
	Currency    string

	HeldSince    time.Time   // since when the row is gone and keep_firing_for holds; else zero
	SnoozedUntil time.Time   // of the last snooze
	Closed       bool        // by a person, and the row has not gone since
	Escalated    bool        // nobody acknowledged it in time
	FeedbackID   string      // of the feedback that made this transition; else empty
	By           string      // who last gave feedback in this episode
	Why          string      // what they said
	Disposition  Disposition // what they found
	Told         Told
	Untold       Untold // why this transition, which people would be told, is only stored

	// Topic, Key, Headers and Value are what is published, fixed when the transition is stored, so that a repeat is the
	// same bytes. Topic is empty where nothing is published.
	Topic   string
	Key     string
	Headers []Header
	Value   []byte
}

// Told is what people were last told of an alert: in the holdout arm, what they would have been.
type Told struct {
	Episode  int // 0: nothing yet
	State    State
	First    time.Time // when the episode was first told
	Last     time.Time
	ThisWeek int // how many episodes were first told in the week of First
}

// Untold is why a transition is only stored.
type Untold string

const (
	UntoldHoldout Untold = "holdout"       // the account is in the holdout arm
	UntoldMaximum Untold = "owner_maximum" // the owner has been told enough this week
	UntoldCatchUp Untold = "catch_up"      // nobody evaluated then; the final state is told when somebody does
)

// Header is one header of a published record.
type Header struct{ Key, Value string }

// Run is one rule's evaluation within a tick.
type Run struct {
	Rule     string
	Started  time.Time
	Finished time.Time
	Rows     int
	Status   string // ok, no_data, error
	Error    string
}

// TickStatus says how a tick was accounted for.
type TickStatus string

const (
	TickRun        TickStatus = "run"
	TickCaughtUp   TickStatus = "caught_up"
	TickIncomplete TickStatus = "incomplete"
	TickMissed     TickStatus = "missed"
	TickBegun      TickStatus = "begun"    // no tick: from here on the group's ticks are accounted for
	TickFeedback   TickStatus = "feedback" // no tick: what a person did is applied between two ticks
)

// Entry is what one tick of one group appends to the alert log, all or nothing: its marker, its runs, its transitions.
type Entry struct {
	Group       string
	N           int64 // 1, 2, 3, ... within the group, claimed by compare-and-set
	Writer      string
	Tick        time.Time // when the schedule said
	At          time.Time // the instant looked from: the tick less the group's eval_delay
	Status      TickStatus
	Reason      string // why incomplete or missed
	Runs        []Run
	Feedback    []FeedbackOutcome
	Transitions []Transition
}

// Row is one row of a rule's query: a value is a string, bool, int64, float64, time.Time (UTC), OptionalMoney, []any or nil.
type Row map[string]any

// Column is one column of a query, with its ClickHouse type.
type Column struct{ Name, Type string }

// ContractKey identifies a contract.
type ContractKey struct{ AccountID, ContractID string }

// Subject is what an alert says about the contract (or, without ContractID, the account) that it concerns, as known at an instant.
type Subject struct {
	Account  AccountBrief
	Contract *ContractBrief
	Evidence []Evidence
	Brief    *HandoffBrief // of the contract's base; nil where the alert is about an account
}

// AccountBrief is the `account` of Alert v1.
type AccountBrief struct {
	AccountID   string `json:"account_id"`
	AccountName string `json:"account_name,omitempty"`
	Segment     string `json:"segment,omitempty"`
	Owner       string `json:"owner,omitempty"`
	Team        string `json:"team,omitempty"`
}

// ContractBrief is the `contract` of Alert v1. Money is a decimal string in Currency.
type ContractBrief struct {
	ContractID    string              `json:"contract_id"`
	DealID        string              `json:"deal_id"`
	ClosedAt      time.Time           `json:"closed_at"`
	EndsAt        time.Time           `json:"ends_at"`
	Currency      string              `json:"currency,omitempty"`
	ARR           string              `json:"arr,omitempty"`
	Hardness      *float64            `json:"hardness"` // null where the band is unknown
	Band          Band                `json:"band"`
	Coverage      float64             `json:"coverage"`
	Contributions []ContributionBrief `json:"contributions"`
	Missing       []string            `json:"missing"`
	ModelVersion  string              `json:"model_version"`
}

// ContributionBrief is one contribution to a hardness score as alerts carry it.
type ContributionBrief struct {
	Component string  `json:"component"`
	Points    float64 `json:"points"`
	Value     float64 `json:"value"`
	Evidence  string  `json:"evidence"`
}

// Evidence is one ticket behind an alert.
type Evidence struct {
	TicketID   string    `json:"ticket_id"`
	Class      string    `json:"class"`
	Strength   Strength  `json:"strength"`
	Confidence float64   `json:"confidence"`
	Quote      string    `json:"quote"`
	LagDays    float64   `json:"lag_days"`
	At         time.Time `json:"at"`
}
