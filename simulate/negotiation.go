package simulate

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// fact returns the deal as a source knows it, complete and right.
func (c *Config) dealFact(l *life, d *deal) churn.DealClosed {
	r := stream(c.Seed, streamNegotiation, l.index, d.n)
	f := churn.DealClosed{
		OccurredAt: d.closedAt, DealID: l.dealID(d.n), AccountID: l.id(), AccountName: l.name(), Segment: segments[l.segment],
		ContractID: l.contractID(d.contract), Type: d.typ, Outcome: d.outcome, ClosedAt: d.closedAt, TermMonths: d.months,
		Owners: churn.Owners{AccountExecutive: l.executive(), AccountManager: l.accountManager(), Team: teamNames[l.team]},
		Source: churn.Source{System: "crm", URL: "https://crm.example.com/deals/" + l.dealID(d.n)},
	}
	if d.renewal == byRenewalOf && d.after >= 0 {
		f.RenewalOf = l.contractID(l.deals[d.after].contract)
	}
	signed := d.annual
	if d.typ.Base() {
		signed = d.annual * int64(d.months) / 12
	}
	f.Currency = l.currency
	if happens(r, 0.6) && d.outcome == churn.Won && !d.endsAt.IsZero() {
		f.EndsAt = d.endsAt
	}
	if happens(r, 0.7) {
		f.AnnualValue = cents(d.annual)
	}
	if d.outcome == churn.Won || happens(r, 0.5) {
		f.SignedPrice = cents(signed)
	}
	s := d.severity(r)
	recorded := weighted(r, 1-c.PartialShare-c.UnrecordedShare, c.PartialShare, c.UnrecordedShare)
	if !d.typ.Base() && happens(r, 0.7) {
		recorded = unrecorded
	}
	expected := cents(int64(float64(signed) / (1 + premium(r, s))))
	list := cents(int64(float64(signed) * (1.02 + 0.3*r.Float64()*(1-0.6*s))))
	if recorded == unrecorded {
		return f
	}
	if happens(r, 0.85) {
		f.ListPrice = list
	}
	n := c.negotiation(r, l, d, s)
	if recorded == partial {
		f.Negotiation = &churn.Negotiation{OpenedAt: n.OpenedAt, Rounds: n.Rounds, Escalations: n.Escalations, DeadlinePressure: n.DeadlinePressure}
		return f
	}
	f.Anticipated = expected
	f.Negotiation = n
	return f
}

// How much of a negotiation was recorded.
const (
	complete = iota
	partial
	unrecorded
)

func cents(n int64) churn.OptionalMoney { return churn.MoneyFromUnits(n * 100) }

// severity is 0..1: how the group shows at the table. Groups do not overlap, what is drawn from it does.
func (d *deal) severity(r *rand.Rand) float64 {
	switch d.group {
	case hard:
		return between(r, 0.65, 1)
	case firm:
		return between(r, 0.42, 0.64)
	}
	return between(r, 0, 0.3)
}

// premium is what is signed above what was expected, as a share.
func premium(r *rand.Rand, s float64) float64 { return max(-0.3, -0.06+0.27*s+0.03*r.NormFloat64()) }

var usualDays = []float64{30, 60, 120}

// negotiation draws what happened at the table, fully recorded.
func (c *Config) negotiation(r *rand.Rand, l *life, d *deal, s float64) *churn.Negotiation {
	duration := inDays(usualDays[l.segment] * max(0.2, 0.5+1.2*s+0.25*r.NormFloat64()))
	opened := d.closedAt.Add(-duration)
	w := newWriter(r, &l.account, opened, d.annual)
	n := &churn.Negotiation{
		OpenedAt:         opened,
		Rounds:           pointer(2 + poisson(r, 0.5+6*s)),
		Ultimatums:       pointer(poisson(r, 2.4*s*s)),
		DeadlinePressure: pointer(happens(r, 0.05+0.7*s)),
		Escalations:      pointer(poisson(r, 2*s*s)),
	}
	priced := happens(r, 0.7)
	n.ClientConcessions = concessions(w, min(5, 1+poisson(r, 0.5+2*s)), d.annual, 0.01+0.06*s, priced)
	n.VendorConcessions = concessions(w, min(5, poisson(r, 3-2.6*s)), d.annual, 0.05-0.04*s, priced)
	n.UnresolvedRequests = pointer(words(w, "request", min(5, poisson(r, 3*s*s))))
	n.CommonGround = pointer(words(w, "ground", min(4, poisson(r, 2.2*(1-s)))))
	if happens(r, 0.6) {
		n.Tone = pointer(math.Round(100*min(1, max(-1, 0.55-1.25*s+0.15*r.NormFloat64()))) / 100)
	}
	if n.Tone == nil || happens(r, 0.5) {
		n.Messages = c.messages(w, s, opened, duration)
	}
	return n
}

func concessions(w *writer, n int, annual int64, size float64, priced bool) *[]churn.Concession {
	all := []churn.Concession{}
	for i, term := range words(w, "term", n) {
		x := churn.Concession{Term: term}
		if priced || i > 0 && happens(w.r, 0.4) {
			x.Value = cents(int64(float64(annual)*size*between(w.r, 0.4, 1.6)/1000)*1000 + 1000)
		}
		all = append(all, x)
	}
	return &all
}

// words draws n different lines of a section.
func words(w *writer, heading string, n int) []string {
	all := []string{}
	from := w.bank["table"][heading]
	for _, i := range w.r.Perm(len(from))[:min(n, len(from))] {
		all = append(all, from[i])
	}
	return all
}

// messages are what both sides wrote: mostly matter of fact, warmer or harsher as the negotiation was.
func (c *Config) messages(w *writer, s float64, opened time.Time, duration time.Duration) (all []churn.Message) {
	n := 3 + w.r.IntN(5)
	for i := range n {
		party := churn.Client
		if i%2 == 1 {
			party = churn.Vendor
		}
		tone := []string{"_warm", "_plain", "_hard"}[weighted(w.r, 0.7*(1-s)*(1-s), 0.5, s*s*0.9)]
		at := opened.Add(time.Duration((float64(i) + w.r.Float64()) / float64(n) * float64(duration))).Truncate(time.Second)
		all = append(all, churn.Message{At: at, From: party, Text: w.line("table", string(party)+tone)})
	}
	return all
}

func pointer[T any](v T) *T { return &v }

// poisson draws a count with the given mean (Knuth; means here are small).
func poisson(r *rand.Rand, mean float64) int {
	limit, n := math.Exp(-mean), 0
	for p := r.Float64(); p > limit; p *= r.Float64() {
		n++
	}
	return n
}
