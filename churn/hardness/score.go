package hardness

import (
	"math"
	"strings"
	"sync"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Score says how hard a deal was negotiated, and why. It is a pure function of deal and model, whatever the order of the
// deal's lists. Lost deals are scored like won ones.
//
// A score starts from 0; the sum of the contributions' points is the score before it is held between 0 and 100. Points have
// one decimal and are summed exactly. Contributions leaves out what was known and added nothing. What is not known adds
// nothing either, so a score says "at least this hard"; hence Coverage, and BandUnknown below the model's minimum, where the
// score means nothing. A proxy counts for part of its weight in Coverage. Missing names the fields that would add to it.
//
// Directions, and where each is from. No effect size is known; weights are ours until calibrated on the user's outcomes:
//
//   - price_premium and concession_asymmetry, up: the client looks for ways to get back what it gave up (the article that
//     started the project); the driver of anger is low conceded value (Collabra 9/1/88929).
//   - rounds, duration, ultimatums, deadline_pressure, escalation, tone, unresolved_requests, up: negotiating lowered the
//     effort that people made afterwards, through perceived relational conflict (Hart and Schweitzer 2020, mostly about
//     wages). Rounds and duration say little of conflict, hence little weight.
//   - give_and_take and common_ground, down: what protects, says the same article; small talk and trust before contracting
//     improve what follows (Mislin 2011).
//   - a discount has the opposite sign, the vendor gave: DiscountDepth is an axis of its own and adds no points.
//
// No study of churn by clients was found: that hardness predicts it is a hypothesis.
func (m *Model) Score(d *churn.DealClosed) churn.Hardness {
	s := scorings.Get().(*scoring)
	*s = scoring{m: m, d: d, n: d.Recorded(), text: s.text[:0]}
	s.price()
	s.concessions()
	s.counted(compRounds, s.n.Rounds, "negotiation.rounds", "round", "rounds", " of documents went back and forth.")
	s.duration()
	s.counted(compUltimatums, s.n.Ultimatums, "negotiation.ultimatums", "ultimatum", "ultimatums", " such as final offers or expiring prices.")
	s.deadline()
	s.counted(compEscalation, s.n.Escalations, "negotiation.escalations", "escalation", "escalations", " drew in executives or overrode approvals.")
	s.tone()
	s.named(compUnresolved, s.n.UnresolvedRequests, "negotiation.unresolved_requests", "The client asked for and was refused ")
	s.giveAndTake()
	s.named(compCommonGround, s.n.CommonGround, "negotiation.common_ground", "Both sides have in common ")
	h := s.result()
	*s = scoring{text: s.text} // the deal must not be kept
	scorings.Put(s)
	return h
}

// scorings are kept for their buffers only.
var scorings = sync.Pool{New: func() any { return &scoring{text: make([]byte, 0, 1024)} }}

// scoring is one score in the making. Evidence is written to one buffer and cut at the end: one allocation for all.
type scoring struct {
	m       *Model
	d       *churn.DealClosed
	n       *churn.Negotiation
	covered float64 // weight
	tenths  int     // points so far
	parts   [len(componentNames)]part
	count   int
	missing [len(componentNames) + 4]string
	absent  int
	text    []byte
}

type part struct {
	component  int
	value      float64
	tenths     int // points, signed
	start, end int // of its evidence in text
	proxy      bool
}

// footing is how well an input is known.
type footing int

const (
	measured footing = iota
	proxied          // by a substitute: covers part of the weight
	derived          // from facts that every deal has: covers nothing, or a deal without facts would look known
)

// add books a component, the evidence for which was written from start on.
func (s *scoring) add(component int, value float64, how footing, start int) {
	w := &s.m.weights[component]
	points := w.weight * w.share(value)
	switch how {
	case measured:
		s.covered += math.Abs(w.weight)
	case proxied:
		s.covered += math.Abs(w.weight) * s.m.proxyCoverage
	case derived:
		points *= s.m.quarterEnd.share
	}
	tenths := int(math.Round(points * 10))
	s.tenths += tenths
	if tenths == 0 {
		s.text = s.text[:start]
		return
	}
	s.parts[s.count] = part{component, value, tenths, start, len(s.text), how != measured}
	s.count++
}

func (s *scoring) lacks(field string) {
	s.missing[s.absent] = field
	s.absent++
}

// price reads what the client paid above what it expected; without that, above the list price, as a proxy. A price below
// counts as none: there the vendor gave.
func (s *scoring) price() {
	d := s.d
	if !d.SignedPrice.Known {
		s.lacks("signed_price")
	}
	against, words, how := d.Anticipated.Units(), " that it expected.", measured
	if !d.Anticipated.Known || against <= 0 {
		s.lacks("anticipated_price")
		against, words, how = d.ListPrice.Units(), " of the price list; what it expected is not known.", proxied
		if !d.ListPrice.Known || against <= 0 {
			s.lacks("list_price")
			return
		}
	}
	if !d.SignedPrice.Known {
		return
	}
	start, signed := len(s.text), d.SignedPrice.Units()
	value := max(float64(signed-against)/float64(against), 0)
	s.say("The client signed at ").amount(float64(signed)/churn.UnitsPerOne).say(", ").decimal(100*value, 1).say("% above the ").
		amount(float64(against) / churn.UnitsPerOne).say(words)
	s.add(compPremium, value, how, start)
}

// discountDepth is 1 - signed / list, below zero where more than the list price was paid.
func discountDepth(d *churn.DealClosed) *float64 {
	list := d.ListPrice.Units()
	if !d.SignedPrice.Known || !d.ListPrice.Known || list <= 0 {
		return nil
	}
	depth := float64(list-d.SignedPrice.Units()) / float64(list)
	return &depth
}

// concessions compares what both sides gave up: -1 where only the vendor did, 1 where only the client did. By counts, as a
// proxy, where not every concession has a value.
func (s *scoring) concessions() {
	if s.n.ClientConcessions == nil {
		s.lacks("negotiation.client_concessions")
	}
	if s.n.VendorConcessions == nil {
		s.lacks("negotiation.vendor_concessions")
	}
	if s.n.ClientConcessions == nil || s.n.VendorConcessions == nil {
		return
	}
	client, clientPriced := worth(*s.n.ClientConcessions)
	vendor, vendorPriced := worth(*s.n.VendorConcessions)
	how, start := measured, len(s.text)
	if clientPriced && vendorPriced && client+vendor > 0 {
		s.say("The client gave up ").amount(client).say(" and the vendor ").amount(vendor).say(".")
	} else {
		if !clientPriced {
			s.lacks("negotiation.client_concessions.value")
		}
		if !vendorPriced {
			s.lacks("negotiation.vendor_concessions.value")
		}
		c, v := len(*s.n.ClientConcessions), len(*s.n.VendorConcessions)
		if c+v > 0 {
			how = proxied
		}
		client, vendor = float64(c), float64(v)
		s.say("The client gave up ").number(c, "thing", "things").say(" and the vendor ").number(v, "", "").say(", counted because not all have a value.")
	}
	value := 0.0 // neither gave anything up
	if client+vendor > 0 {
		value = (client - vendor) / (client + vendor)
	}
	s.add(compAsymmetry, value, how, start)
}

// worth adds up the values of concessions, and tells whether each had one. Whole and fraction are summed apart: exact
// whatever the order, and without overflow.
func worth(all []churn.Concession) (sum float64, priced bool) {
	var whole, fraction int64
	priced = true
	for i := range all {
		if !all[i].Value.Known {
			priced = false
			continue
		}
		units := max(all[i].Value.Units(), 0)
		whole += units / churn.UnitsPerOne
		fraction += units % churn.UnitsPerOne
	}
	return float64(whole+fraction/churn.UnitsPerOne) + float64(fraction%churn.UnitsPerOne)/churn.UnitsPerOne, priced
}

// giveAndTake is whether both sides conceded on two terms or more.
func (s *scoring) giveAndTake() {
	if s.n.ClientConcessions == nil || s.n.VendorConcessions == nil {
		return // concessions said so
	}
	start, value := len(s.text), 0.0
	if twoTerms(*s.n.ClientConcessions) && twoTerms(*s.n.VendorConcessions) {
		value = 1
		s.say("Both sides gave up something on two terms or more.")
	}
	s.add(compGiveAndTake, value, measured, start)
}

// twoTerms reports whether concessions are on more than one term. One without a name is a term of its own.
func twoTerms(all []churn.Concession) bool {
	for i := 1; i < len(all); i++ {
		first, term := strings.TrimSpace(all[0].Term), strings.TrimSpace(all[i].Term)
		if term == "" || first == "" || !strings.EqualFold(term, first) {
			return true
		}
	}
	return false
}

// duration is the days in negotiation as a multiple of what is usual for the segment.
func (s *scoring) duration() {
	opened, closed := s.n.OpenedAt, s.d.ClosedAt
	if opened.IsZero() || closed.IsZero() || opened.After(closed) {
		s.lacks("negotiation.opened_at")
		return
	}
	start, days, usual := len(s.text), closed.Sub(opened).Hours()/24, s.m.usual(s.d.Segment)
	s.say("It took ").decimal(days, 0).say(" days to negotiate, where ").decimal(usual, 0).say(" are usual.")
	s.add(compDuration, days/usual, measured, start)
}

func (m *Model) usual(segment string) float64 {
	if days, known := m.usualDays[segment]; known {
		return days
	}
	if len(segment) <= maxClip {
		if days, known := m.usualDays[segmentKey(segment)]; known {
			return days
		}
	}
	return m.usualDays[""]
}

func (s *scoring) counted(component int, n *int, field, one, many, rest string) {
	if n == nil {
		s.lacks(field)
		return
	}
	start, count := len(s.text), max(*n, 0)
	verb := "There were "
	if count == 1 {
		verb = "There was "
	}
	if component != compUltimatums {
		verb = ""
	}
	s.say(verb).number(count, one, many).say(rest)
	s.add(component, float64(count), measured, start)
}

// deadline is whether a deadline was used as pressure. Where nobody said, a close at the end of a quarter is a weak hint.
func (s *scoring) deadline() {
	start := len(s.text)
	if used := s.n.DeadlinePressure; used != nil {
		value := 0.0
		if *used {
			value = 1
			s.say("A deadline was used as pressure.")
		}
		s.add(compDeadline, value, measured, start)
		return
	}
	s.lacks("negotiation.deadline_pressure")
	if left := daysLeftInQuarter(s.d.ClosedAt); !s.d.ClosedAt.IsZero() && left < s.m.quarterEnd.days {
		s.say("It closed with ").number(left, "day", "days").say(" of the quarter left; whether a deadline was used as pressure is not known.")
		s.add(compDeadline, 1, derived, start)
	}
}

// daysLeftInQuarter counts the days of the calendar quarter (UTC) after the day of t.
func daysLeftInQuarter(t time.Time) int {
	year, month, day := t.UTC().Date()
	next := time.Date(year, (month-1)/3*3+4, 1, 0, 0, 0, 0, time.UTC)
	return int(next.Sub(time.Date(year, month, day, 0, 0, 0, 0, time.UTC)).Hours()/24) - 1
}

// tone is 0 for courteous to 1 for hostile: the source's own measure, else the share of discourteous messages, as a proxy.
func (s *scoring) tone() {
	start := len(s.text)
	if tone := s.n.Tone; tone != nil && !math.IsNaN(*tone) {
		s.say("The source measured a tone of ").decimal(*tone, 2).say(", where -1 is hostile and 1 is warm.")
		s.add(compTone, min(max(-*tone, 0), 1), measured, start)
		return
	}
	s.lacks("negotiation.tone")
	if len(s.n.Messages) == 0 {
		s.lacks("negotiation.messages")
		return
	}
	rude := 0
	for i := range s.n.Messages {
		if s.m.isDiscourteous(s.n.Messages[i].Text) {
			rude++
		}
	}
	s.number(rude, "", "").say(" of ").number(len(s.n.Messages), "message", "messages").say(" held discourteous words, by the model's word list.")
	s.add(compTone, float64(rude)/float64(len(s.n.Messages)), proxied, start)
}
