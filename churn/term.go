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
