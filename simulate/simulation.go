package simulate

import (
	"fmt"
	"iter"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Simulation is a world of clients. It holds nothing but its config, so it may be used from many goroutines, and what it
// returns may be iterated more than once.
type Simulation struct{ config Config }

// New checks a config and returns its world. The error names everything that is wrong.
func New(c Config) (*Simulation, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.From, c.To = c.From.UTC().Truncate(time.Millisecond), c.To.UTC().Truncate(time.Millisecond)
	return &Simulation{c}, nil
}

// Records are the records that become known in [From, To), in order of KnownAt.
func (s *Simulation) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		c := s.config
		c.emit(c.schedule(c.To), c.From, yield)
	}
}

// liveWindow is how far Live looks ahead at once.
const liveWindow = 14 * day

// Live are the records of the same world that become known from an instant on, in order of KnownAt and without end (but not
// beyond the year 2150). Live(To) goes on where Records stops, and new clients keep joining at the same pace. The caller
// sets the speed.
func (s *Simulation) Live(from time.Time) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		c := s.config
		if from.Before(c.From) {
			from = c.From
		}
		for at := from; at.Year() <= 2150; at = at.Add(liveWindow) {
			if !c.emit(c.schedule(at.Add(liveWindow)), at, yield) {
				return
			}
		}
	}
}

// emit writes the records of a schedule that become known from an instant on, and reports whether the caller wants more.
func (c *Config) emit(s schedule, from time.Time, yield func(Record) bool) bool {
	var codes rotation
	for _, x := range s.shipments {
		var code churn.Code
		if x.form == broken {
			code = codes.next(s.kind(x)) // also for those before from: which code comes next must not depend on it
		}
		if !x.knownAt().Before(from) && !yield(c.record(&s, x, code)) {
			return false
		}
	}
	return true
}

// record writes one record.
func (c *Config) record(s *schedule, x shipment, code churn.Code) Record {
	l := &s.lives[x.account]
	r := Record{Kind: s.kind(x), KnownAt: x.knownAt(), Broken: code, Duplicate: x.form == repeated || x.form == altered, Correction: x.form == correction}
	r.EventID = eventID(l, s.number(x), x)
	j := c.travel(r.Kind, l.index, s.number(x))
	r.Late = j.late
	right := x.form == correction || j.mistake == noMistake
	revision := int64(0)
	if x.form == correction {
		revision = 1
	}
	if x.ticket {
		t := &l.tickets[x.fact]
		about := t.topic
		if !right && j.mistake == wrongText {
			about = j.wrongTopic
		}
		f := c.ticketFact(l, t, about)
		f.EventID, f.Revision = r.EventID, revision
		if right {
			f.OccurredAt = f.OccurredAt.Add(revisedAfter(x, j))
		} else {
			mistakeTicket(&f, &j)
		}
		r.Key, r.Value = f.AccountID, encodeTicket(f)
	} else {
		f := c.dealFact(l, &l.deals[x.fact])
		f.EventID, f.Revision = r.EventID, revision
		if right {
			f.OccurredAt = f.OccurredAt.Add(revisedAfter(x, j))
		} else {
			mistakeDeal(&f, &j)
		}
		r.Key, r.Value = f.AccountID, encodeDeal(f)
	}
	switch x.form {
	case altered:
		r.Value = append(r.Value[:len(r.Value)-1:len(r.Value)-1], `,"export_run":2}`...)
	case broken:
		r.Value = breakValue(r.Kind, r.Value, code, l.index+s.number(x)/2)
	}
	return r
}

func revisedAfter(x shipment, j journey) time.Duration {
	if x.form == correction {
		return j.mendAfter
	}
	return 0
}

func eventID(l *life, number int, x shipment) string {
	kind := "deal"
	if x.ticket {
		kind = "ticket"
	}
	switch x.form {
	case correction:
		return fmt.Sprintf("%s-%05d-%d-1", kind, l.index, number)
	case broken: // of its own: the fact behind it must also arrive whole
		return fmt.Sprintf("%s-%05d-%d-x", kind, l.index, number)
	}
	return fmt.Sprintf("%s-%05d-%d-0", kind, l.index, number)
}

func mistakeDeal(f *churn.DealClosed, j *journey) {
	switch j.mistake {
	case wrongAccount:
		f.AccountID = (&account{index: j.strange}).id()
	case wrongAmount:
		if f.SignedPrice.Known {
			f.SignedPrice = churn.MoneyFromUnits(int64(float64(f.SignedPrice.Units())*j.factor) / 100 * 100)
		}
		f.AnnualValue = churn.OptionalMoney{}
	case wrongDate:
		f.ClosedAt = f.ClosedAt.Add(j.shift)
	case missingForm:
		f.Anticipated = churn.OptionalMoney{}
		if n := f.Negotiation; n != nil {
			f.Negotiation = &churn.Negotiation{OpenedAt: n.OpenedAt, Rounds: n.Rounds}
		}
	}
}

func mistakeTicket(f *churn.SupportTicket, j *journey) {
	switch j.mistake {
	case wrongAccount:
		f.AccountID = (&account{index: j.strange}).id()
	case outdatedStatus:
		f.Status = "new"
	case missingReference:
		f.ContractID = ""
	}
}
