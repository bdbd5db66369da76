package links

import (
	"cmp"
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// plainly reads the rule word by word, for every attempt and every change of every deal: attempts x deals x changes. It is what
// LinkAccount must equal, link by link and span by span.
func plainly(deals []DealVersion, attempts []AttemptVersion) ([]Link, []Unmatched) {
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
		contracts, basis, named = map[string]*plainContract{a.ContractID: c}, ByContract, a.ContractID
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

// plainContract is what is known at an instant about one (account, contract): its won deals and the lost renewals of it.
type plainContract struct{ won, lost []DealVersion }

// contractsAt groups the deals that were the present at an instant. Only won deals make a contract.
func contractsAt(deals []DealVersion, known time.Time) map[string]*plainContract {
	contracts := map[string]*plainContract{}
	for _, d := range deals {
		if d.Outcome != churn.Won || known.Before(d.From) || !known.Before(d.To) {
			continue
		}
		c := contracts[d.ContractID]
		if c == nil {
			c = &plainContract{}
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
func (c *plainContract) inForce(t time.Time) (base DealVersion, why WhyUnmatched) {
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

// every writes the links of an account out: one of basis account is one of each contract that was in force.
func every(a Account) (all []Link) {
	for _, l := range a.Links {
		if l.Basis == ByContract {
			all = append(all, l)
			continue
		}
		for _, f := range a.InForce {
			span, ok := l.Span.Overlap(f.Span)
			if ok && !l.AttemptAt.Before(f.Since) && l.AttemptAt.Before(f.Till) {
				all = append(all, Link{span, f.ContractID, f.DealID, l.TicketID, l.AttemptAt, l.AttemptAt.Sub(f.ClosedAt), l.Basis, l.Attempt})
			}
		}
	}
	return all
}
