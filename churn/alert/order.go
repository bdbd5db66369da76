package alert

import "cmp"

// Order is the order of all that can be said of one fingerprint: its episodes, in each its transitions, and behind each transition
// the tombstone that takes it off a topic. The highest is the present, in whatever order they arrive.
type Order struct {
	Episode, Sequence int
	Tombstone         bool // of the transition with these numbers
}

// Order is the transition's.
func (t *Transition) Order() Order { return Order{Episode: t.Episode, Sequence: t.Sequence} }

// Tombstoned is the order of the tombstone of what stands at o.
func (o Order) Tombstoned() Order {
	o.Tombstone = true
	return o
}

// Valid reports whether anything can stand there: episodes and sequences count from 1.
func (o Order) Valid() bool { return o.Episode >= 1 && o.Sequence >= 1 }

// Compare returns -1, 0 or +1 as o comes before, with or after p.
func (o Order) Compare(p Order) int {
	if c := cmp.Or(cmp.Compare(o.Episode, p.Episode), cmp.Compare(o.Sequence, p.Sequence)); c != 0 || o.Tombstone == p.Tombstone {
		return c
	}
	if o.Tombstone {
		return 1
	}
	return -1
}
