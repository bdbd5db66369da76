package links

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// state is how a contract is for an attempt made at some time. Of several contracts of an account the greatest is told: it came
// nearest to a match.
type state uint8

const (
	absent  state = iota // the contract has no won deal
	before               // its first deal closes later
	lost                 // its renewal was lost
	expired              // its end and the grace are over
	inForce
	states
)

func (s state) why() WhyUnmatched {
	return [...]WhyUnmatched{absent: NoContract, before: BeforeContract, lost: RenewalLost, expired: Expired}[s]
}

// condition is a contract's state and, where it is in force, its base.
type condition struct {
	state  state
	deal   string
	closed time.Time
}

// stretch is a condition of a contract for attempts made from .. to, during the span in which that was known.
type stretch struct {
	condition
	contract string
	known    churn.Span
	from, to time.Time
}

// instant is the shortest time that tells two instants apart: the warehouse keeps milliseconds.
const instant = time.Millisecond

// endOfTime is after every instant that an event may hold, and every end of a contract with its grace.
var endOfTime = churn.Forever.AddDate(1, 0, 0)

// stretchesOf returns the conditions of all contracts of an account. At every time they follow one another without a gap while the
// contract is known to have a won deal, and no two at the same time and instant of knowing. Each is known as long as it can be.
func stretchesOf(deals []DealVersion) []*stretch {
	contracts := map[string]*contract{}
	of := func(id string) *contract {
		if contracts[id] == nil {
			contracts[id] = &contract{id: id}
		}
		return contracts[id]
	}
	for i := range deals {
		d := &deals[i]
		switch {
		case d.Outcome == churn.Won:
			of(d.ContractID).add(d)
		case d.Outcome == churn.Lost && d.Type == churn.DealRenewal:
			of(d.ContractID).add(d)
			if d.RenewalOf != "" && d.RenewalOf != d.ContractID {
				of(d.RenewalOf).add(d)
			}
		}
	}
	var all []*stretch
	for _, id := range slices.Sorted(maps.Keys(contracts)) {
		all = append(all, contracts[id].stretches()...)
	}
	return all
}

// contract follows what is known of one contract.
type contract struct {
	id      string
	changes []change

	bases  []*DealVersion // new and renewal deals that were won
	others []*DealVersion // which rule only before the first base
	lost   []*DealVersion // lost renewals
	pieces []piece        // its conditions over time, as known now
	past   []*stretch
}

// change is a deal that becomes the present, or no longer is.
type change struct {
	at     time.Time
	deal   *DealVersion
	begins bool
}

// piece is a condition over time that has been known since an instant.
type piece struct {
	condition
	from, to time.Time
	since    time.Time
}

func (c *contract) add(d *DealVersion) {
	c.changes = append(c.changes, change{d.From, d, true}, change{d.To, d, false})
}

// stretches goes through the instants at which what is known changed. What changes together is looked at together.
func (c *contract) stretches() []*stretch {
	slices.SortFunc(c.changes, func(a, b change) int {
		if a.begins != b.begins && a.at.Equal(b.at) {
			return map[bool]int{false: -1, true: 1}[a.begins] // a version ends before the next one of its deal begins
		}
		return a.at.Compare(b.at)
	})
	for len(c.changes) > 0 {
		now := c.changes[0].at
		had := c.won()
		from, to := endOfTime, time.Time{}
		for ; len(c.changes) > 0 && c.changes[0].at.Equal(now); c.changes = c.changes[1:] {
			d := c.changes[0].deal
			c.apply(c.changes[0])
			// What it was and is until the next base, no other deal can change.
			from, to = churn.Earlier(from, d.ClosedAt), churn.Later(to, c.nextBase(d.ClosedAt))
		}
		if had != c.won() {
			from, to = time.Time{}, endOfTime
		}
		c.replace(from, to, c.conditions(from, to), now)
	}
	return c.past
}

func (c *contract) won() bool { return len(c.bases)+len(c.others) > 0 }

func (c *contract) apply(change change) {
	d := change.deal
	list := &c.others
	switch {
	case d.Outcome == churn.Lost:
		list = &c.lost
	case d.Type.Base():
		list = &c.bases
	}
	i, _ := slices.BinarySearchFunc(*list, d, func(a, b *DealVersion) int { return byClose(*a, *b) })
	if change.begins {
		*list = slices.Insert(*list, i, d)
		return
	}
	if at := slices.Index((*list)[i:], d); at >= 0 {
		*list = slices.Delete(*list, i+at, i+at+1)
	}
}

// nextBase is when the first base after t closes.
func (c *contract) nextBase(t time.Time) time.Time {
	if i := closedBy(c.bases, t); i < len(c.bases) {
		return c.bases[i].ClosedAt
	}
	return endOfTime
}

// closedBy counts the deals that closed at or before t.
func closedBy(deals []*DealVersion, t time.Time) int {
	return sort.Search(len(deals), func(i int) bool { return deals[i].ClosedAt.After(t) })
}

// conditions are those of the contract from .. to, as the standing deals give them.
func (c *contract) conditions(from, to time.Time) (out []piece) {
	if !c.won() {
		return nil
	}
	add := func(state state, d *DealVersion, begin, end time.Time) {
		p := piece{condition: condition{state: state}, from: churn.Later(begin, from), to: churn.Earlier(end, to)}
		if state == inForce {
			p.deal, p.closed = d.DealID, d.ClosedAt
		}
		if p.from.Before(p.to) {
			out = append(out, p)
		}
	}
	rule := c.ruling(from, to)
	if len(rule) == 0 {
		add(before, nil, from, to)
		return out
	}
	add(before, nil, from, rule[0].ClosedAt)
	for i, d := range rule {
		next := endOfTime
		if i+1 < len(rule) {
			next = rule[i+1].ClosedAt
		}
		end, loss := d.EndsAt.Add(churn.Grace), c.lossAfter(d)
		add(inForce, d, d.ClosedAt, churn.Earlier(churn.Earlier(end, loss), next))
		add(expired, d, churn.Later(end, d.ClosedAt), churn.Earlier(loss, next))
		add(lost, d, loss, next)
	}
	return out
}

// ruling returns the deals that are the base at some time from .. to, in their order: new and renewal deals, and others before
// the first of these. Of several that closed at one instant, the last rules.
func (c *contract) ruling(from, to time.Time) []*DealVersion {
	others := c.others
	if len(c.bases) > 0 {
		first := c.bases[0].ClosedAt
		others = others[:sort.Search(len(others), func(i int) bool { return !others[i].ClosedAt.Before(first) })]
	}
	within := func(deals []*DealVersion) []*DealVersion {
		return deals[max(closedBy(deals, from)-1, 0):closedBy(deals, to)]
	}
	return slices.Concat(within(others), within(c.bases))
}

// lossAfter is the first instant at which a lost renewal has ended what base d began.
func (c *contract) lossAfter(d *DealVersion) time.Time {
	i := sort.Search(len(c.lost), func(i int) bool { return byClose(*c.lost[i], *d) > 0 })
	if i == len(c.lost) {
		return endOfTime
	}
	return c.lost[i].ClosedAt.Add(instant)
}

// replace puts new conditions in the place of those from .. to. What is no longer so becomes a stretch of the past; what still is
// keeps the instant since when it has been known.
func (c *contract) replace(from, to time.Time, with []piece, now time.Time) {
	first := sort.Search(len(c.pieces), func(i int) bool { return c.pieces[i].to.After(from) })
	last := sort.Search(len(c.pieces), func(i int) bool { return !c.pieces[i].from.Before(to) })
	var middle []piece
	put := func(p piece) {
		if n := len(middle) - 1; n >= 0 && middle[n].condition == p.condition && middle[n].since.Equal(p.since) && middle[n].to.Equal(p.from) {
			middle[n].to = p.to
			return
		}
		middle = append(middle, p)
	}
	for i := range with {
		with[i].since = now
	}
	touched := c.pieces[first:last]
	if len(touched) > 0 && touched[0].from.Before(from) {
		p := touched[0]
		p.to = from
		put(p)
	}
	ended := len(c.past)
	for _, p := range across(touched, with, from, to) {
		if p.was != nil && (p.is == nil || p.was.condition != p.is.condition) {
			c.end(ended, *p.was, p.from, p.to, now)
		}
		if p.is == nil {
			continue
		}
		piece := *p.is
		if p.was != nil && p.was.condition == p.is.condition {
			piece.since = p.was.since
		}
		piece.from, piece.to = p.from, p.to
		put(piece)
	}
	if n := len(touched) - 1; n >= 0 && touched[n].to.After(to) {
		p := touched[n]
		p.from = churn.Later(p.from, to)
		put(p)
	}
	c.pieces = slices.Replace(c.pieces, first, last, middle...)
}

// end makes what was known until now a stretch, or makes one of those that ended just now longer.
func (c *contract) end(ended int, p piece, from, to, now time.Time) {
	if n := len(c.past) - 1; n >= ended {
		s := c.past[n]
		if s.condition == p.condition && s.known.From.Equal(p.since) && s.to.Equal(from) {
			s.to = to
			return
		}
	}
	c.past = append(c.past, &stretch{p.condition, c.id, churn.Span{From: p.since, To: now}, from, to})
}

// pair is what was and what is, at one time.
type pair struct {
	was, is  *piece
	from, to time.Time
}

// across cuts two rows of pieces, each of which covers from .. to or is empty, where either begins anew.
func across(was, is []piece, from, to time.Time) (pairs []pair) {
	for at := from; at.Before(to); {
		p := pair{from: at, to: to}
		if was = endingAfter(was, at); len(was) > 0 {
			p.was, p.to = &was[0], churn.Earlier(p.to, was[0].to)
		}
		if is = endingAfter(is, at); len(is) > 0 {
			p.is, p.to = &is[0], churn.Earlier(p.to, is[0].to)
		}
		pairs = append(pairs, p)
		at = p.to
	}
	return pairs
}

func endingAfter(row []piece, at time.Time) []piece {
	for len(row) > 0 && !row[0].to.After(at) {
		row = row[1:]
	}
	return row
}

func byClose(d, e DealVersion) int {
	return cmp.Or(d.ClosedAt.Compare(e.ClosedAt), cmp.Compare(d.DealID, e.DealID))
}
