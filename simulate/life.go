package simulate

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// deal is one deal of an account as it really was; what of it was recorded is drawn when it is written.
type deal struct {
	n        int // within the account, from chain, term and kind: the same however far one looks ahead
	contract int // in the same way
	renewal  renewalStyle
	after    int // the deal that this renews, -1 for none
	typ      churn.DealType
	outcome  churn.Outcome
	closedAt time.Time
	endsAt   time.Time
	lostAt   time.Time // when the contract begun here was lost; zero for never
	overAt   time.Time // when it was renewed or lost: the end of its exposure
	months   int
	group    group
	hardness float64 // 0..1, intended
	hazard   float64 // of loss, a year
	annual   int64   // cents a year
}

// group is how hard a deal was really negotiated.
type group uint8

const (
	soft group = iota
	firm
	hard
)

func (g group) String() string { return [...]string{"soft", "firm", "hard"}[g] }

// renewalStyle is how a source tells that a deal renews another.
type renewalStyle uint8

const (
	sameContract renewalStyle = iota
	byRenewalOf               // a contract of its own that names the old one
	newContract               // a contract of its own that names nothing
)

// ticket is one ticket of an account as it really was.
type ticket struct {
	n        int
	openedAt time.Time
	topic    topic
	second   topic // a further class, noTopic for none
	contract int   // that it names, none or foreign
	about    int   // the deal whose contract an attempt reopens, -1 for none
}

const (
	noContract      = -1
	foreignContract = -2
)

// life is everything that happens to one account until a horizon. Looking further ahead only appends to it.
type life struct {
	account
	deals     []deal
	tickets   []ticket
	churnedAt time.Time // when the last contract was lost; zero where any goes on
}

// ratio is how rates of the group compare with those of soft.
func (c *Config) ratio(g group) float64 {
	switch g {
	case hard:
		return c.HazardRatio
	case firm:
		return math.Sqrt(c.HazardRatio)
	}
	return 1
}

// live plays one account's life until the horizon.
func (c *Config) live(index int, horizon time.Time) life {
	l := life{account: c.account(index)}
	r := stream(c.Seed, streamTerm, index)
	if happens(r, 0.15) || l.prospect {
		c.prospect(&l, r, horizon)
	}
	if l.prospect {
		return l
	}
	lost := c.chain(&l, 0, l.joined, horizon)
	if happens(r, 0.18) { // a second product under a contract of its own
		start := l.joined.Add(days(r, 60, 400))
		if lost.IsZero() || start.Before(lost) {
			lost = later(lost, c.chain(&l, 1, start, horizon))
		}
	}
	if lost.Before(horizon) {
		l.churnedAt = lost
	}
	c.plainTickets(&l, lost, horizon)
	return l
}

// later is the later of two losses, where zero is never.
func later(a, b time.Time) time.Time {
	if a.IsZero() || b.IsZero() {
		return time.Time{}
	}
	if a.After(b) {
		return a
	}
	return b
}

// prospect adds a new deal that was lost: before the first contract, or instead of any.
func (c *Config) prospect(l *life, r *rand.Rand, horizon time.Time) {
	at := l.joined
	if !l.prospect {
		at = at.Add(-days(r, 20, 90))
	}
	if at.Before(c.From) || !at.Before(horizon) {
		return
	}
	d := deal{n: dealNumber(prospectChain, 0, 0), contract: contractNumber(prospectChain, 0), after: -1, typ: churn.DealNew, outcome: churn.Lost, closedAt: at, months: 12}
	c.intend(&d, l, r)
	l.deals = append(l.deals, d)
}

const (
	prospectChain = 9
	maxTerms      = 100 // in a chain: no simulation runs for so long
)

// Kinds of deals within a term.
const (
	baseDeal = iota
	expansionDeal
	downgradeDeal
	lostRenewal
)

func dealNumber(chain, term, kind int) int { return (chain*maxTerms+term)*10 + kind }

func contractNumber(chain, term int) int { return chain*maxTerms + term }

// chain plays one contract and its renewals, and returns when it was lost, zero where it goes on at the horizon.
func (c *Config) chain(l *life, chain int, start, horizon time.Time) (lost time.Time) {
	at, after := start, -1
	contract := contractNumber(chain, 0)
	for term := 0; at.Before(horizon) && term < maxTerms; term++ {
		r := stream(c.Seed, streamTerm, l.index, chain+1, term)
		d := deal{n: dealNumber(chain, term, baseDeal), contract: contract, after: after, typ: churn.DealNew, outcome: churn.Won, closedAt: at}
		if term > 0 {
			d.typ = churn.DealRenewal
			d.renewal = renewalStyle(weighted(r, 0.5, 0.35, 0.15))
		}
		if d.renewal != sameContract {
			contract = contractNumber(chain, term)
			d.contract = contract
		}
		d.months = []int{12, 24, 36}[weighted(r, 0.75, 0.17, 0.08)]
		d.endsAt = churn.AddMonths(at, d.months)
		c.intend(&d, l, r)
		d.hazard = c.ChurnRate * c.ratio(d.group)
		loss := at.Add(exponential(r, d.hazard))
		renewal := d.endsAt.Add(-days(r, 0, 45))
		d.overAt = renewal
		isLost := loss.Before(renewal)
		if isLost {
			d.overAt = loss
			if loss.Before(horizon) {
				d.lostAt = loss
			}
		}
		base := len(l.deals)
		l.deals = append(l.deals, d)
		c.sideDeals(l, base, chain, term, r, horizon)
		c.attempts(l, base, chain, term, horizon)
		after = base
		if isLost {
			if !loss.Before(horizon) {
				return time.Time{}
			}
			end := deal{n: dealNumber(chain, term, lostRenewal), contract: contract, renewal: renewalStyle(r.IntN(2)), after: after, typ: churn.DealRenewal,
				outcome: churn.Lost, closedAt: loss, months: d.months, annual: d.annual}
			c.intend(&end, l, r)
			l.deals = append(l.deals, end)
			return loss
		}
		at = renewal
	}
	return time.Time{}
}

// intend draws how hard a deal is negotiated, and what it is worth.
func (c *Config) intend(d *deal, l *life, r *rand.Rand) {
	z := 0.6*l.conflict + 0.8*r.NormFloat64()
	if l.team == driftingTeam {
		z += float64(d.closedAt.Sub(c.From)) / float64(c.To.Sub(c.From))
	}
	d.hardness = normalShare(z)
	switch {
	case d.hardness >= 1-c.HardShare:
		d.group = hard
	case d.hardness >= 1-c.HardShare-c.FirmShare:
		d.group = firm
	}
	size := []float64{9_000, 42_000, 210_000}[l.segment] * math.Exp(0.5*r.NormFloat64())
	if d.annual == 0 {
		d.annual = int64(size/100) * 100 * 100
	}
}

// sideDeals adds expansions, which a hard deal makes rarer, and downgrades, which it makes more frequent.
func (c *Config) sideDeals(l *life, base, chain, term int, r *rand.Rand, horizon time.Time) {
	d := l.deals[base]
	for i, side := range []struct {
		typ  churn.DealType
		rate float64
		size float64
	}{{churn.DealExpansion, 0.5 / c.ratio(d.group), 0.25}, {churn.DealDowngrade, 0.05 * c.ratio(d.group), 0.7}} {
		at := d.closedAt.Add(exponential(r, side.rate))
		x := deal{contract: d.contract, after: base, typ: side.typ, outcome: churn.Won, closedAt: at, endsAt: d.endsAt, months: d.months,
			annual: int64(float64(d.annual)*side.size*between(r, 0.6, 1.3)/10_000) * 10_000}
		c.intend(&x, l, r)
		// Not in the last weeks, where it would fall together with the renewal.
		if x.annual > 0 && at.Before(d.overAt.Add(-20*day)) && at.Before(horizon) {
			x.n = dealNumber(chain, term, expansionDeal+i)
			l.deals = append(l.deals, x)
		}
	}
}

// attemptPhases are the rates of attempts over a contract's time, relative to Config.AttemptRate and the same for all groups,
// so that the ratio between groups is the hazard ratio at every lag. The last phase has no end.
var attemptPhases = []struct{ until, rate float64 }{{30, 0.6}, {90, 1.5}, {180, 1.3}, {math.Inf(1), 0.7}}

// attemptsBy is the number of attempts expected of a soft contract by so many days after its close, at a rate of one a year.
func attemptsBy(after float64) (sum float64) {
	from := 0.0
	for _, p := range attemptPhases {
		sum += p.rate * (min(after, p.until) - from) / 365.25
		if after <= p.until {
			return sum
		}
		from = p.until
	}
	return sum
}

const attemptsPerTerm = 10_000 // more than the highest rate of attempts gives in a term

// attempts adds the renegotiation attempts that reopen one contract while it lasts.
func (c *Config) attempts(l *life, base, chain, term int, horizon time.Time) {
	d := l.deals[base]
	rate := c.AttemptRate * c.ratio(d.group)
	if rate <= 0 {
		return
	}
	r := stream(c.Seed, streamAttempts, l.index, chain, term)
	end := churn.Earlier(d.overAt, horizon).Sub(d.closedAt).Hours() / 24
	expected := 0.0
	for k := 0; k < attemptsPerTerm; k++ {
		expected += r.ExpFloat64() / rate
		after := whenExpected(expected)
		if after >= end {
			return
		}
		t := ticket{n: 2*(contractNumber(chain, term)*attemptsPerTerm+k) + 1, openedAt: d.closedAt.Add(inDays(after)), about: base, second: noTopic}
		t.topic = topic(weighted(r, attemptWeights...))
		if happens(r, 0.12) {
			if t.second = topic(weighted(r, attemptWeights...)); t.second == t.topic {
				t.second = noTopic
			}
		}
		t.contract = c.names(r, d.contract)
		l.tickets = append(l.tickets, t)
	}
}

// whenExpected is the inverse of attemptsBy.
func whenExpected(sum float64) float64 {
	from := 0.0
	for _, p := range attemptPhases {
		phase := p.rate * (p.until - from) / 365.25
		if sum < phase {
			return from + sum*365.25/p.rate
		}
		sum -= phase
		from = p.until
	}
	return from
}

// names draws which contract a ticket names.
func (c *Config) names(r *rand.Rand, contract int) int {
	switch weighted(r, c.NamedShare, c.ForeignShare, 1-c.NamedShare-c.ForeignShare) {
	case 0:
		return contract
	case 1:
		return foreignContract
	}
	return noContract
}

// plainTickets adds the tickets that are no attempts; their rate has nothing to do with hardness.
func (c *Config) plainTickets(l *life, lost, horizon time.Time) {
	r := stream(c.Seed, streamTickets, l.index)
	end := horizon
	if !lost.IsZero() {
		end = churn.Earlier(end, lost.Add(30*day))
	}
	for k, at := 0, l.joined; ; k++ {
		at = at.Add(exponential(r, c.TicketRate))
		if !at.Before(end) {
			return
		}
		t := ticket{n: 2 * k, openedAt: at, about: -1, second: noTopic}
		t.topic = firstPlain + topic(weighted(r, plainWeights...))
		t.contract = c.names(r, 0)
		l.tickets = append(l.tickets, t)
	}
}
