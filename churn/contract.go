package churn

import "time"

// Fate says what became of a term of a contract.
type Fate string

const (
	Open    Fate = "open"    // in force, as far as is known
	Renewed Fate = "renewed" // by a deal of the same contract, or one that continues it under another id
	Churned Fate = "churned" // the renewal was lost
	Lapsed  Fate = "lapsed"  // its grace passed and nothing more was heard
)

// Term is one stretch for which a contract was agreed, from the close of its base on.
type Term struct {
	AccountID, ContractID, DealID string
	ClosedAt, EndsAt              time.Time // EndsAt as agreed
	OverAt                        time.Time // zero where Fate is Open
	Fate                          Fate
	DowngradedAt                  time.Time // the first time within the term; zero: never
}

// EndedBadly is when the term first went wrong: downgraded or churned. It is zero where it did not.
func (t Term) EndedBadly() time.Time {
	if !t.DowngradedAt.IsZero() {
		return t.DowngradedAt // within the term, so before its loss
	}
	if t.Fate == Churned {
		return t.OverAt
	}
	return time.Time{}
}

// Grace is how long after its end a contract still counts as in force: renegotiation of a lapsed contract is one too.
const Grace = 90 * 24 * time.Hour

// defaultTerm is the length of a contract that gave neither an end nor a term.
const defaultTerm = 365 * 24 * time.Hour

// Forever is the end of a version that is still the present: after every date that an event may hold, and before 2262,
// where a time no longer fits the nanoseconds in which the ClickHouse driver reads it.
var Forever = time.Date(2250, 1, 1, 0, 0, 0, 0, time.UTC)

// Span is the time during which something was the present, as known here: From inclusive, To exclusive.
type Span struct{ From, To time.Time }

// Overlap is the time that two spans share, if they do.
func (s Span) Overlap(o Span) (both Span, ok bool) {
	both = Span{Later(s.From, o.From), Earlier(s.To, o.To)}
	return both, both.From.Before(both.To)
}

// Earlier is the earlier of two instants.
func Earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Later is the later of two instants.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// ContractEnd is the end of a contract that deal d is the base of: ends_at, else closed_at plus its term in calendar
// months (UTC, clamped to the end of the month), else 365 days. It is never after Forever.
func ContractEnd(closedAt, endsAt time.Time, termMonths int) time.Time {
	end := closedAt.Add(defaultTerm)
	switch {
	case !endsAt.IsZero():
		end = endsAt
	case termMonths > 0:
		end = AddMonths(closedAt, termMonths)
	}
	if end.After(Forever) {
		return Forever
	}
	return end
}

// AddMonths adds calendar months in UTC: January 31 plus one month is the last day of February, where time.AddDate
// would go on into March.
func AddMonths(t time.Time, months int) time.Time {
	t = t.UTC()
	first := time.Date(t.Year(), t.Month(), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC).AddDate(0, months, 0)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}

// ContractKey identifies a contract.
type ContractKey struct{ AccountID, ContractID string }
