package links

import (
	"cmp"
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// DealVersion is what was the present of one deal during a span, as far as links need it.
type DealVersion struct {
	churn.Span
	DealID     string
	ContractID string
	RenewalOf  string
	Type       churn.DealType
	Outcome    churn.Outcome
	ClosedAt   time.Time
	EndsAt     time.Time // as ContractEnd gives it
}

// AttemptVersion is what was the present of one ticket during a span in which it was a renegotiation attempt.
type AttemptVersion struct {
	churn.Span
	TicketID   string
	ContractID string // as the ticket names it; empty where it names none
	At         time.Time
}

// Basis says why an attempt links to a contract: because it names it, or because it is in force on the same account.
type Basis string

const (
	ByContract Basis = "contract"
	ByAccount  Basis = "account"
)

// Link says that an attempt reopens a contract, during the span in which that was the present.
type Link struct {
	churn.Span
	ContractID string
	DealID     string // the contract's base at the time of the attempt
	TicketID   string
	AttemptAt  time.Time
	Lag        time.Duration // from the base's close to the attempt
	Basis      Basis
	Attempt    int // index of the attempt version that it came from
}

// LagDays is the lag in days, as a fraction.
func (l Link) LagDays() float64 { return l.Lag.Hours() / 24 }

// WhyUnmatched says why an attempt reopens no contract.
type WhyUnmatched string

const (
	NoContract     WhyUnmatched = "no_contract"     // the account has no won deal
	BeforeContract WhyUnmatched = "before_contract" // the attempt is older than the contract
	Expired        WhyUnmatched = "expired"         // past the contract's end and its grace
	RenewalLost    WhyUnmatched = "renewal_lost"    // after a lost renewal of the contract
)

// Unmatched is an attempt without a contract in force, during a span.
type Unmatched struct {
	churn.Span
	TicketID   string
	ContractID string // the contract that it names and that is known to its account, else empty
	AttemptAt  time.Time
	Why        WhyUnmatched
	Attempt    int
}

// LinkAccount joins the attempts of one account with its contracts (docs/links.md).
// Both arguments hold every version that ever stood on the account; the result is a pure function of them, whatever
// their order. Its cost is attempts x deals, times the changes of the deals while the attempt was the present.
func LinkAccount(deals []DealVersion, attempts []AttemptVersion) ([]Link, []Unmatched) {
	var links []Link
	var unmatched []Unmatched
	changes := changesOf(deals)
	for i, a := range attempts {
		open := map[string]int{} // contract -> its link in links that may be extended
		lost := -1               // the entry in unmatched that may be extended
		for _, span := range cut(a.Span, changes) {
			matches, why, named := match(deals, a, span.From)
			for _, m := range matches {
				l := Link{span, m.contract, m.base.DealID, a.TicketID, a.At, a.At.Sub(m.base.ClosedAt), m.basis, i}
				if j, ok := open[m.contract]; ok && links[j].To.Equal(span.From) && links[j].sameAs(l) {
					links[j].To = span.To
					continue
				}
				open[m.contract] = len(links)
				links = append(links, l)
			}
			if len(matches) > 0 {
				continue
			}
			u := Unmatched{span, a.TicketID, named, a.At, why, i}
			if lost >= 0 && unmatched[lost].To.Equal(span.From) && unmatched[lost].Why == why && unmatched[lost].ContractID == named {
				unmatched[lost].To = span.To
				continue
			}
			lost = len(unmatched)
			unmatched = append(unmatched, u)
		}
	}
	return links, unmatched
}

func (l Link) sameAs(m Link) bool {
	return l.DealID == m.DealID && l.Lag == m.Lag && l.Basis == m.Basis
}

// changesOf returns the instants at which any deal changed, in order and once each.
func changesOf(deals []DealVersion) []time.Time {
	var at []time.Time
	for _, d := range deals {
		at = append(at, d.From, d.To)
	}
	slices.SortFunc(at, time.Time.Compare)
	return slices.CompactFunc(at, time.Time.Equal)
}

// cut splits a span at the instants that fall inside it.
func cut(s churn.Span, at []time.Time) []churn.Span {
	var parts []churn.Span
	from := s.From
	for _, t := range at {
		if t.After(from) && t.Before(s.To) {
			parts = append(parts, churn.Span{From: from, To: t})
			from = t
		}
	}
	return append(parts, churn.Span{From: from, To: s.To})
}

type matched struct {
	contract string
	base     DealVersion
	basis    Basis
}

// match finds the contracts that an attempt reopens, as known at an instant; where there are none, why, and the
// contract of its account that the attempt names.
func match(deals []DealVersion, a AttemptVersion, known time.Time) (found []matched, why WhyUnmatched, named string) {
	contracts := contractsAt(deals, known)
	basis := ByAccount
	if c, ok := contracts[a.ContractID]; ok && a.ContractID != "" {
		contracts, basis, named = map[string]*contract{a.ContractID: c}, ByContract, a.ContractID
	}
	why = NoContract
	for id, c := range contracts {
		base, reason := c.inForce(a.At)
		if reason == "" {
			found = append(found, matched{id, base, basis})
		}
		// The reason nearest to having matched is the one to tell: ended beats not yet begun.
		if closeness(reason) > closeness(why) {
			why = reason
		}
	}
	slices.SortFunc(found, func(x, y matched) int { return cmp.Compare(x.contract, y.contract) })
	return found, why, named
}

func closeness(w WhyUnmatched) int {
	return slices.Index([]WhyUnmatched{NoContract, BeforeContract, RenewalLost, Expired}, w)
}

// contract is what is known at an instant about one (account, contract): its won deals and the lost renewals of it.
type contract struct{ won, lost []DealVersion }

// contractsAt groups the deals that were the present at an instant. Only won deals make a contract.
func contractsAt(deals []DealVersion, known time.Time) map[string]*contract {
	contracts := map[string]*contract{}
	for _, d := range deals {
		if d.Outcome != churn.Won || known.Before(d.From) || !known.Before(d.To) {
			continue
		}
		c := contracts[d.ContractID]
		if c == nil {
			c = &contract{}
			contracts[d.ContractID] = c
		}
		c.won = append(c.won, d)
	}
	for _, d := range deals {
		if d.Outcome != churn.Lost || d.Type != churn.DealRenewal || known.Before(d.From) || !known.Before(d.To) {
			continue
		}
		if c := contracts[d.ContractID]; c != nil {
			c.lost = append(c.lost, d)
		}
		if c := contracts[d.RenewalOf]; c != nil && d.RenewalOf != d.ContractID {
			c.lost = append(c.lost, d)
		}
	}
	return contracts
}

// inForce returns the contract's base for an attempt at t, or why the contract was not in force then.
func (c *contract) inForce(t time.Time) (base DealVersion, why WhyUnmatched) {
	begun := false
	for _, d := range c.won {
		if d.ClosedAt.After(t) {
			continue
		}
		if !begun || outranks(d, base) {
			base, begun = d, true
		}
	}
	if !begun {
		return base, BeforeContract
	}
	for _, d := range c.lost {
		if d.ClosedAt.Before(t) && byClose(d, base) > 0 {
			return base, RenewalLost
		}
	}
	if !t.Before(base.EndsAt.Add(churn.Grace)) {
		return base, Expired
	}
	return base, ""
}

// outranks reports whether d rather than e is the base: new and renewal deals before others, then the later close.
func outranks(d, e DealVersion) bool {
	if d.Type.Base() != e.Type.Base() {
		return d.Type.Base()
	}
	return byClose(d, e) > 0
}

func byClose(d, e DealVersion) int {
	return cmp.Or(d.ClosedAt.Compare(e.ClosedAt), cmp.Compare(d.DealID, e.DealID))
}
