package outcomes

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// Lift is how many times as often terms go wrong that were alerted as those that were not and had as many days to their end: the
// hazard ratio of a Cox regression whose only covariate is being alerted, which changes with time. The interval is that of
// its score, with the larger of the variances that the model gives and that the accounts give, for the contracts of an
// account share its luck. The intervals of all rules of a report hold together at 95 %.
type Lift struct {
	Wrong    int      `json:"went_wrong"`         // in all
	Alerted  int      `json:"went_wrong_alerted"` // of them, alerted at that time
	Expected float64  `json:"expected_alerted"`   // had the alert nothing to do with it
	Ratio    *float64 `json:"ratio"`              // null: too few cases
	Low      *float64 `json:"low"`
	High     *float64 `json:"high"` // null beside a Low: without bound
}

func (l Lift) verdict() string {
	switch {
	case l.Ratio == nil:
		return "too few cases"
	case *l.Low > 1:
		return "its alerts foretell"
	case l.High != nil && *l.High < 1:
		return "what it alerts goes wrong less often than the rest"
	}
	return "no evidence that it foretells anything"
}

// Text writes the ratio and its interval.
func (l Lift) Text() string {
	if l.Ratio == nil {
		return ""
	}
	high := "∞"
	if l.High != nil {
		high = fmt.Sprintf("%.2f", *l.High)
	}
	return fmt.Sprintf("%.2f (%.2f to %s)", *l.Ratio, *l.Low, high)
}

// stay is a stretch of a term in one of the two states, on the scale of days since its agreed end.
type stay struct {
	account  int
	alerted  bool
	from, to float64 // the end belongs to it, the begin does not
	wrong    bool    // the term went wrong at its end
}

// cohort is all stays of one rule.
type cohort struct {
	stays    []stay
	events   []event // by time
	accounts int
}

// event is a term that goes wrong, and how many of either state were there that might have.
type event struct {
	at             float64
	account        int
	alerted        bool
	inside, beside float64 // alerted and not alerted at that time
}

func (c *cohort) begin() {
	var starts, ends [2][]float64 // not alerted, alerted
	for _, s := range c.stays {
		k := btoi(s.alerted)
		starts[k], ends[k] = append(starts[k], s.from), append(ends[k], s.to)
		if s.wrong {
			c.events = append(c.events, event{at: s.to, account: s.account, alerted: s.alerted})
		}
	}
	for k := range 2 {
		slices.Sort(starts[k])
		slices.Sort(ends[k])
	}
	slices.SortFunc(c.events, func(a, b event) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return a.account - b.account
	})
	there := func(k int, at float64) float64 {
		return float64(sort.SearchFloat64s(starts[k], at) - sort.SearchFloat64s(ends[k], at)) // begun before, and not ended before
	}
	for i := range c.events {
		e := &c.events[i]
		e.inside, e.beside = there(1, e.at), there(0, e.at)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// observed counts who went wrong alerted, and how many would have by chance.
func (c *cohort) observed() (alerted int, expected float64) {
	for _, e := range c.events {
		alerted += btoi(e.alerted)
		expected += e.inside / (e.inside + e.beside)
	}
	return alerted, expected
}

// enough reports whether a ratio can be told: by chance, five cases or more would fall on either side.
func (c *cohort) enough() bool {
	_, expected := c.observed()
	return len(c.events) >= minimum && expected >= minimum/2 && float64(len(c.events))-expected >= minimum/2
}

// widest is the logarithm of the greatest ratio that is looked at.
const widest = 12

func (c *cohort) lift(level float64) Lift {
	l := Lift{Wrong: len(c.events)}
	l.Alerted, l.Expected = c.observed()
	if !c.enough() {
		return l
	}
	z := distuv.UnitNormal.Quantile((1 + level) / 2)
	middle := root(func(beta float64) float64 { u, _ := c.score(beta); return u }, -widest, widest)
	bound := func(sign, outer float64) float64 {
		return root(func(beta float64) float64 {
			u, v := c.score(beta)
			return u + sign*z*math.Sqrt(v)
		}, middle, outer)
	}
	low, high := bound(-1, -widest), bound(1, widest)
	ratio, least, most := math.Exp(middle), math.Exp(low), math.Exp(high)
	if low <= -widest {
		least = 0
	}
	if middle <= -widest {
		ratio = 0
	}
	l.Ratio, l.Low = &ratio, &least
	if high < widest {
		l.High = &most
	}
	return l
}

// root finds by halving where f changes its sign between a and b; b where it does not.
func root(f func(float64) float64, a, b float64) float64 {
	begin := f(a) > 0
	if (f(b) > 0) == begin {
		return b
	}
	for range 60 {
		if m := (a + b) / 2; (f(m) > 0) == begin {
			a = m
		} else {
			b = m
		}
	}
	return (a + b) / 2
}

// score is the derivative of the partial likelihood at a logarithm of the ratio, and its variance.
func (c *cohort) score(beta float64) (u, variance float64) {
	theta := math.Exp(beta)
	for _, e := range c.events {
		u += float64(btoi(e.alerted)) - e.chance(theta)
	}
	model, accounts := c.variances(beta)
	return u, max(model, accounts)
}

// chance is the probability that of those that might have gone wrong it is one of the alerted.
func (e event) chance(theta float64) float64 {
	return theta * e.inside / (theta*e.inside + e.beside)
}

// variances of the score: as the model has it, and as the accounts differ.
func (c *cohort) variances(beta float64) (model, accounts float64) {
	theta := math.Exp(beta)
	// What a stay is charged for the events that it was there for, as sums up to each of them.
	in, out := make([]float64, len(c.events)+1), make([]float64, len(c.events)+1)
	residual := make([]float64, c.accounts)
	for i, e := range c.events {
		p, all := e.chance(theta), theta*e.inside+e.beside
		residual[e.account] += float64(btoi(e.alerted)) - p
		model += p * (1 - p)
		in[i+1] = in[i] + theta*(1-p)/all
		out[i+1] = out[i] - p/all
	}
	after := func(at float64) int {
		return sort.Search(len(c.events), func(i int) bool { return c.events[i].at > at })
	}
	for _, s := range c.stays {
		charge := out
		if s.alerted {
			charge = in
		}
		residual[s.account] -= charge[after(s.to)] - charge[after(s.from)]
	}
	for _, r := range residual {
		accounts += r * r
	}
	return model, accounts
}
