package engine

import (
	"time"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
)

// Tick is a due tick of a group, and how it is accounted for.
type Tick struct {
	At     time.Time // when the schedule said; rules look from their group's eval_delay before
	Status alert.TickStatus
	Reason string // why it is caught up, missed or incomplete

	// Unattended ticks came due while nobody evaluated, and another one did so too: people are told only how it stands in the end.
	Unattended bool
}

// Plan says how a due tick of the ledger is accounted for by a process that began to evaluate at since, by the group's catch_up.
func (l *Ledger) Plan(due, since, now time.Time) Tick {
	next := l.Schedule.Next(due)
	overtaken := !next.IsZero() && !next.After(now)
	unattended := due.Before(since)
	if !overtaken && !unattended {
		return Tick{At: due, Status: alert.TickRun}
	}
	why := "the evaluation before took longer than the schedule allows"
	if unattended {
		why = "nobody evaluated"
	}
	switch {
	case l.Group.CatchUp == rules.CatchUpLatest && overtaken:
		return Tick{At: due, Status: alert.TickMissed, Reason: why + "; catch_up: latest"}
	case l.Group.CatchUp == rules.CatchUpNone:
		return Tick{At: due, Status: alert.TickMissed, Reason: why + "; catch_up: none"}
	}
	return Tick{At: due, Status: alert.TickCaughtUp, Reason: why, Unattended: unattended && overtaken}
}

// Incomplete is the tick where not all that was known by then is visible; one that is missed looks at nothing. Without a reason
// nothing is lacking.
func (t Tick) Incomplete(reason string) Tick {
	if reason == "" || t.Status == alert.TickMissed {
		return t
	}
	if t.Reason != "" { // a tick that is caught up can be incomplete too
		reason = t.Reason + "; " + reason
	}
	t.Status, t.Reason = alert.TickIncomplete, reason
	return t
}
