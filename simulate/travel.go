package simulate

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// journey is how one fact travels: drawn apart from the fact itself.
type journey struct {
	delay      time.Duration // from occurring to becoming known
	late       bool          // by days
	mistake    mistake       // of the first event; none where it is right at once
	mendAfter  time.Duration // from the first event to the one that corrects it
	repeat     bool
	repeatGap  time.Duration
	altered    bool // the repeat has the event_id but not the bytes
	broken     bool
	brokenGap  time.Duration
	strange    int   // the account that a wrong account names
	wrongTopic topic // what a wrong text is about
	factor     float64
	shift      time.Duration
}

// mistake is what the first event about a fact has wrong.
type mistake uint8

const (
	noMistake mistake = iota
	wrongAccount
	wrongAmount      // deals
	wrongDate        // deals
	missingForm      // deals: what the account executive adds at the hand-off
	wrongText        // tickets: filed with the text of another
	outdatedStatus   // tickets
	missingReference // tickets: the contract is named later
)

func (m mistake) String() string {
	return [...]string{"", "account", "amount", "date", "negotiation", "text", "status", "contract"}[m]
}

// travel draws how a fact travels.
func (c *Config) travel(kind Kind, index, n int) journey {
	k := 0
	mistakes := []mistake{wrongAmount, wrongDate, missingForm, wrongAccount}
	if kind == Ticket {
		k = 1
		mistakes = []mistake{outdatedStatus, missingReference, wrongText, wrongAccount}
	}
	r := stream(c.Seed, streamTravel, index, n, k)
	j := journey{delay: inDays(between(r, 0.0005, 0.04)), mendAfter: days(r, 0.3, 15), repeatGap: days(r, 0, 2), brokenGap: days(r, 0, 0.1)}
	if happens(r, c.LateShare) {
		j.late, j.delay = true, inDays(min(30, 1.5+4*r.ExpFloat64()))
	}
	if happens(r, c.CorrectedShare) {
		j.mistake = pick(r, mistakes)
	}
	j.repeat = happens(r, c.DuplicateShare)
	j.altered = happens(r, 0.2)
	j.broken = happens(r, c.BrokenShare)
	j.strange = c.otherAccount(r, index)
	j.wrongTopic = topic(r.IntN(len(topics)))
	j.factor = pick(r, []float64{0.1, 0.5, 0.9, 1.1, 1.2, 10})
	j.shift = -days(r, 1, 20)
	return j
}

// form is which event about a fact a record is.
type form uint8

const (
	first form = iota
	correction
	repeated
	altered
	broken
)

func (f form) String() string {
	return [...]string{"first", "correction", "duplicate", "altered", "broken"}[f]
}

// shipment is a record that is not written yet: records are made when they are due, so that texts need no memory.
type shipment struct {
	known   int64 // milliseconds since 1970
	account int32
	fact    int32 // index into the life's deals or tickets
	ticket  bool
	form    form
}

func (s shipment) knownAt() time.Time { return time.UnixMilli(s.known).UTC() }

// schedule is every life until a horizon, and what is shipped before it.
type schedule struct {
	lives     []life
	shipments []shipment // in order
}

func (c *Config) schedule(horizon time.Time) schedule {
	s := schedule{lives: make([]life, c.joinedBy(horizon))}
	for i := range s.lives {
		s.lives[i] = c.live(i, horizon)
		l := &s.lives[i]
		for n := range l.deals {
			d := &l.deals[n]
			s.ship(horizon, d.closedAt, shipment{account: int32(i), fact: int32(n)}, c.travel(Deal, i, d.n))
		}
		for n := range l.tickets {
			t := &l.tickets[n]
			s.ship(horizon, c.toldAt(l, t), shipment{account: int32(i), fact: int32(n), ticket: true}, c.travel(Ticket, i, t.n))
		}
	}
	slices.SortFunc(s.shipments, func(a, b shipment) int {
		return cmp.Or(cmp.Compare(a.known, b.known), cmp.Compare(a.account, b.account), cmp.Compare(a.form, b.form),
			cmp.Compare(s.number(a), s.number(b)), cmp.Compare(s.kind(a), s.kind(b)))
	})
	return s
}

func (s *schedule) kind(x shipment) Kind {
	if x.ticket {
		return Ticket
	}
	return Deal
}

// number is the fact's number, which unlike its index does not depend on the horizon.
func (s *schedule) number(x shipment) int {
	l := &s.lives[x.account]
	if x.ticket {
		return l.tickets[x.fact].n
	}
	return l.deals[x.fact].n
}

// ship adds the records about one fact that become known before the horizon.
func (s *schedule) ship(horizon, occurred time.Time, x shipment, j journey) {
	at := occurred.Add(j.delay)
	add := func(f form, at time.Time) {
		if at.Before(horizon) {
			x.form, x.known = f, at.UnixMilli()
			s.shipments = append(s.shipments, x)
		}
	}
	add(first, at)
	if j.mistake != noMistake {
		add(correction, at.Add(j.mendAfter))
	}
	if j.repeat && j.altered {
		add(altered, at.Add(j.repeatGap))
	} else if j.repeat {
		add(repeated, at.Add(j.repeatGap))
	}
	if j.broken {
		add(broken, at.Add(j.brokenGap))
	}
}

// attemptComment is the comment that an attempt made in a comment stands in: the client's first.
const attemptComment = 1

// conversation draws when a ticket was commented on, after it was opened, and whether its attempt stands in a comment rather
// than in the letter.
func (c *Config) conversation(l *life, t *ticket) (times []time.Duration, later bool) {
	r := stream(c.Seed, streamComments, l.index, t.n)
	times = commentTimes(r)
	return times, t.topic.attempt() && len(times) > attemptComment && happens(r, 0.4)
}

// toldAt is when the first event about a ticket occurs: with its last comment.
func (c *Config) toldAt(l *life, t *ticket) time.Time {
	times, _ := c.conversation(l, t)
	if len(times) == 0 {
		return t.openedAt
	}
	return t.openedAt.Add(times[len(times)-1])
}

// attemptAt is when the classified words of a ticket were said.
func (c *Config) attemptAt(l *life, t *ticket) time.Time {
	if times, later := c.conversation(l, t); later {
		return t.openedAt.Add(times[attemptComment])
	}
	return t.openedAt
}

// commentTimes draws when a ticket was commented on, after it was opened: mostly never.
func commentTimes(r *rand.Rand) (all []time.Duration) {
	if !happens(r, 0.35) {
		return nil
	}
	var at time.Duration
	for range 1 + r.IntN(4) {
		at += days(r, 0.01, 0.4)
		all = append(all, at)
	}
	return all
}
