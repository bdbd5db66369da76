package links

import (
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

// InForce says that a contract was in force for attempts made from Since until, and without, Till, during the span in which that was
// the present. Several of one contract never overlap in both.
type InForce struct {
	churn.Span
	ContractID  string
	DealID      string // the contract's base for these attempts
	ClosedAt    time.Time
	Since, Till time.Time // of attempts: Since inclusive, Till exclusive
}

// Link says that an attempt reopens a contract, during the span in which that was the present. Of basis account it names no contract:
// the attempt reopens each that was in force when it was made.
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

// Account is how the attempts of one account and its contracts hang together.
type Account struct {
	InForce   []InForce
	Links     []Link
	Unmatched []Unmatched
}

// LinkAccount joins the attempts of one account with its contracts (docs/links.md). Both arguments hold every version that ever
// stood on the account; the result is a pure function of them, whatever their order.
//
// It goes through the time of the attempts once, and holds on to what is known, and when, of the contracts as they are at that time.
func LinkAccount(deals []DealVersion, attempts []AttemptVersion) Account {
	var out Account
	stretches := stretchesOf(deals)
	for _, s := range stretches {
		if s.state == inForce {
			out.InForce = append(out.InForce, InForce{s.known, s.contract, s.deal, s.closed, s.from, s.to})
		}
	}
	begin := slices.Clone(stretches)
	slices.SortFunc(begin, func(a, b *stretch) int { return a.from.Compare(b.from) })
	end := stretches
	slices.SortFunc(end, func(a, b *stretch) int { return a.to.Compare(b.to) })
	inOrder := make([]int, len(attempts))
	for i := range inOrder {
		inOrder[i] = i
	}
	slices.SortStableFunc(inOrder, func(a, b int) int { return attempts[a].At.Compare(attempts[b].At) })

	now := present{of: map[string][]*stretch{}, all: newCoverage(changesOf(deals))}
	of := make([]joined, len(attempts))
	for _, i := range inOrder {
		a := &attempts[i]
		for ; len(begin) > 0 && !begin[0].from.After(a.At); begin = begin[1:] {
			now.begins(begin[0])
		}
		for ; len(end) > 0 && !end[0].to.After(a.At); end = end[1:] {
			now.ends(end[0])
		}
		of[i] = now.join(a, i)
	}
	for i := range of {
		out.Links = append(out.Links, of[i].links...)
		out.Unmatched = append(out.Unmatched, of[i].unmatched...)
	}
	return out
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

// present is how the contracts of an account are at one time, as known at every instant.
type present struct {
	of  map[string][]*stretch // of each contract
	all *coverage             // of any of them, the state that comes nearest to a match
}

func (p *present) begins(s *stretch) {
	p.of[s.contract] = append(p.of[s.contract], s)
	p.all.add(s.known, s.state, 1)
}

func (p *present) ends(s *stretch) {
	of := p.of[s.contract]
	if i := slices.Index(of, s); i >= 0 {
		p.of[s.contract] = slices.Delete(of, i, i+1)
	}
	p.all.add(s.known, s.state, -1)
}

// joined is what is found for one attempt.
type joined struct {
	links     []Link
	unmatched []Unmatched
}

// join finds what an attempt that is made now reopens: while its account is known to have the contract that it names, that one, and
// at other times of knowing, all.
func (p *present) join(a *AttemptVersion, i int) (j joined) {
	named := slices.SortedFunc(slices.Values(p.of[a.ContractID]), func(s, t *stretch) int { return s.known.From.Compare(t.known.From) })
	if a.ContractID == "" {
		named = nil
	}
	rest := a.Span
	for _, s := range named {
		span, ok := rest.Overlap(s.known)
		if !ok {
			continue
		}
		p.any(&j, a, i, churn.Span{From: rest.From, To: span.From})
		if s.state == inForce {
			j.links = append(j.links, Link{span, s.contract, s.deal, a.TicketID, a.At, a.At.Sub(s.closed), ByContract, i})
		} else {
			j.miss(Unmatched{span, a.TicketID, s.contract, a.At, s.state.why(), i})
		}
		rest.From = span.To
	}
	p.any(&j, a, i, rest)
	return j
}

// any links an attempt to whatever is in force, during a span.
func (p *present) any(j *joined, a *AttemptVersion, i int, during churn.Span) {
	for _, r := range p.all.during(during) {
		if r.state == inForce {
			j.links = append(j.links, Link{Span: r.Span, TicketID: a.TicketID, AttemptAt: a.At, Basis: ByAccount, Attempt: i})
		} else {
			j.miss(Unmatched{r.Span, a.TicketID, "", a.At, r.state.why(), i})
		}
	}
}

// miss adds an unmatched span, or extends the last one.
func (j *joined) miss(u Unmatched) {
	if n := len(j.unmatched) - 1; n >= 0 {
		last := &j.unmatched[n]
		if last.To.Equal(u.From) && last.Why == u.Why && last.ContractID == u.ContractID {
			last.To = u.To
			return
		}
	}
	j.unmatched = append(j.unmatched, u)
}
