package links

import (
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// coverage counts, for every instant of knowing, in which states the contracts of an account are: a segment tree, so that neither a
// contract nor an attempt costs as much as there are of the other.
type coverage struct {
	at    []time.Time // where what is known may change; between two of them lies one leaf
	nodes []cover
	size  int // leaves, a power of two
}

// cover is one node: how many contracts are in a state throughout it, and the least and greatest state anywhere in it.
type cover struct {
	count       [states]int32
	least, most state
}

func newCoverage(at []time.Time) *coverage {
	c := &coverage{at: at, size: 1}
	for c.size < len(at)-1 {
		c.size *= 2
	}
	c.nodes = make([]cover, 2*c.size)
	return c
}

// add counts a contract in a state during a span, whose ends are among the instants of the coverage.
func (c *coverage) add(known churn.Span, s state, n int32) {
	from, _ := slices.BinarySearchFunc(c.at, known.From, time.Time.Compare)
	to, _ := slices.BinarySearchFunc(c.at, known.To, time.Time.Compare)
	c.addTo(1, 0, c.size, from, to, s, n)
}

func (c *coverage) addTo(node, low, high, from, to int, s state, n int32) {
	if to <= low || high <= from {
		return
	}
	x := &c.nodes[node]
	if from <= low && high <= to {
		x.count[s] += n
	} else {
		middle := (low + high) / 2
		c.addTo(2*node, low, middle, from, to, s, n)
		c.addTo(2*node+1, middle, high, from, to, s, n)
	}
	x.least, x.most = absent, absent
	if node < c.size {
		left, right := &c.nodes[2*node], &c.nodes[2*node+1]
		x.least, x.most = min(left.least, right.least), max(left.most, right.most)
	}
	x.least, x.most = max(x.least, x.own()), max(x.most, x.own())
}

// run is the greatest state of any contract during a span.
type run struct {
	churn.Span
	state state
}

// during returns the greatest state of any contract over a span, a run for as long as it stays the same.
func (c *coverage) during(span churn.Span) (runs []run) {
	from := span.From
	put := func(to time.Time, s state) {
		if to = churn.Earlier(to, span.To); !from.Before(to) {
			return
		}
		if n := len(runs) - 1; n >= 0 && runs[n].state == s {
			runs[n].To = to
		} else {
			runs = append(runs, run{churn.Span{From: from, To: to}, s})
		}
		from = to
	}
	if len(c.at) > 0 {
		put(c.at[0], absent)
		c.walk(1, 0, c.size, absent, span, put)
	}
	put(span.To, absent)
	return runs
}

// walk tells the states of the leaves low .. high that lie within a span, one after the other; above is the state of the nodes above.
func (c *coverage) walk(node, low, high int, above state, span churn.Span, put func(to time.Time, s state)) {
	last := min(high, len(c.at)-1)
	if low >= last || !c.at[low].Before(span.To) || !c.at[last].After(span.From) {
		return
	}
	x := &c.nodes[node]
	if least, most := max(above, x.least), max(above, x.most); least == most {
		put(c.at[last], most)
		return
	}
	above, middle := max(above, x.own()), (low+high)/2
	c.walk(2*node, low, middle, above, span, put)
	c.walk(2*node+1, middle, high, above, span, put)
}

// own is the greatest state of a contract throughout the node.
func (x *cover) own() state {
	for s := inForce; s > absent; s-- {
		if x.count[s] > 0 {
			return s
		}
	}
	return absent
}
