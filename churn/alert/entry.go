package alert

import (
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn"
)

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
	TickPart       TickStatus = "part"     // no tick: the first changes of one that has more than an entry holds; the tick itself follows
)

// Accounts reports whether an entry of that status accounts for a tick.
func (s TickStatus) Accounts() bool { return s != TickFeedback && s != TickPart }

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
	Feedback    []churn.FeedbackOutcome
	Transitions []Transition
}

// Statuses of a run.
const (
	RunOK     = "ok"
	RunNoData = "no_data"
	RunError  = "error"
)

// RunStatuses are the words that alert.Run.Status can hold.
var RunStatuses = []string{RunOK, RunNoData, RunError}

// Publishes reports whether something of the entry leaves the house.
func (e *Entry) Publishes() bool {
	return slices.ContainsFunc(e.Transitions, func(t Transition) bool { return t.Topic != "" })
}
