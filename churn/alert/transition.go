package alert

import (
	"time"

	"github.com/aftershock/aftershock/churn"
)

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
	ValueAtRisk churn.OptionalMoney
	Currency    string

	HeldSince    time.Time         // since when the row is gone and keep_firing_for holds; else zero
	SnoozedUntil time.Time         // of the last snooze
	Closed       bool              // by a person, and the row has not gone since
	Escalated    bool              // nobody acknowledged it in time
	FeedbackID   string            // of the feedback that made this transition; else empty
	By           string            // who last gave feedback in this episode
	Why          string            // what they said
	Disposition  churn.Disposition // what they found
	Notified     Notified
	Suppressed   Suppressed // why this transition, which people would be told, is only stored
	Part         bool       // its entry is a part of a tick: more changes of the same tick follow

	// Topic, Key, Headers and Value are what is published, fixed when the transition is stored, so that a repeat is the
	// same bytes. Topic is empty where nothing is published.
	Topic   string
	Key     string
	Headers []Header
	Value   []byte
}

// Notified is what people were last told of an alert: in the holdout arm, what they would have been.
type Notified struct {
	Episode  int // 0: nothing yet
	State    State
	First    time.Time // when the episode was first told
	Last     time.Time
	ThisWeek int // how many episodes were first told in the week of First
}

// Suppressed is why a transition is only stored.
type Suppressed string

const (
	SuppressedHoldout Suppressed = "holdout"       // the account is in the holdout arm
	SuppressedMaximum Suppressed = "owner_maximum" // the owner has been told enough this week
	SuppressedCatchUp Suppressed = "catch_up"      // nobody evaluated then; the final state is told when somebody does
)

// Header is one header of a published record.
type Header struct{ Key, Value string }
