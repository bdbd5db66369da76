package attempts

import (
	"cmp"
	_ "embed"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/aftershock/aftershock/churn"
)

//go:embed models/classify.v1.json
var classifyV1 []byte

var byDefault = sync.OnceValue(func() *Classifier {
	c, err := Load(classifyV1)
	if err != nil {
		panic("attempts: embedded models/classify.v1.json: " + err.Error())
	}
	return c
})

// Default returns the classifier of the embedded model, churn/attempts/models/classify.v1.json, parsed once.
func Default() *Classifier { return byDefault() }

// Classifier recognises renegotiation attempts among support tickets by the phrases, tags and categories of a model.
// It is a pure function of ticket and model, is safe for concurrent use, and costs time linear in the ticket's text.
//
// It reads English only, one sentence at a time: a request that is spread over sentences without any of the model's
// phrases in one of them is missed.
type Classifier struct{ m *model }

// Version returns the version that the model file states.
func (c *Classifier) Version() string { return c.m.version }

// Classify returns the classes that the client's own words, the tags and the category of a ticket carry.
//
// Subject and body count as said at OpenedAt, and so do tags and category; a comment counts where From is Client, as
// said at its At (OpenedAt where that is zero). Words quoted from an earlier message are left out. Each class yields at
// most one Finding:
//
//   - Confidence, 0..1, two decimals, joins all distinct rules that found the class anywhere in the ticket: one less
//     the product of (1 - weight). Weights are the model's and were set by hand, so it ranks; it is no probability.
//   - At is the first moment at which any rule found the class; Quote and Rule belong to the heaviest rule of that
//     moment, words before tags.
//   - Quote is a substring of the ticket's own text: one sentence without the white space, quotation and list marks
//     around it, cut at words to the model's quote_bytes. A tag has no words of the client's, so it quotes the
//     subject, or else how the body starts.
//
// Findings are ordered by strength, confidence (greatest first) and class name. At is the earliest of theirs, and zero
// where there are none. ModelVersion is always set.
func (c *Classifier) Classify(t *churn.SupportTicket) churn.Classification {
	var s reading
	return c.classify(t, &s)
}

func (c *Classifier) classify(t *churn.SupportTicket, s *reading) churn.Classification {
	m := c.m
	s.m = m
	for i := range m.classes {
		if v := m.classes[i].void; v == voidOutage && t.OutageRelated || v == voidVendorError && t.VendorError {
			s.void |= 1 << i
		}
	}
	s.read(t.Subject, t.OpenedAt)
	s.carryContext = true // a body goes on from its subject: "Contract 4711" / "We would like it shortened."
	s.read(t.Body, t.OpenedAt)
	s.carryContext = false
	for i := range t.Comments {
		if m := &t.Comments[i]; m.From == churn.Client {
			at := m.At
			if at.IsZero() {
				at = t.OpenedAt
			}
			s.read(m.Text, at)
		}
	}
	for _, tag := range t.Tags {
		s.label(m.tags, tag, t)
	}
	s.label(m.categories, t.Category, t)

	out := churn.Classification{ModelVersion: m.version}
	if s.found == 0 {
		return out
	}
	for i := range m.classes {
		if s.found&(1<<i) == 0 {
			continue
		}
		e, k := &s.best[i], &m.classes[i]
		out.Findings = append(out.Findings, churn.Finding{
			Class:        k.name,
			Strength:     k.strength,
			Confidence:   math.Round((1-s.doubt[i])*100) / 100,
			Quote:        e.quote,
			At:           e.at,
			Rule:         e.rule,
			Confirmatory: k.confirmatory,
		})
		if out.At.IsZero() || e.at.Before(out.At) {
			out.At = e.at
		}
	}
	slices.SortFunc(out.Findings, compareFindings)
	return out
}

func compareFindings(a, b churn.Finding) int {
	return cmp.Or(
		cmp.Compare(strengthRank(a.Strength), strengthRank(b.Strength)),
		cmp.Compare(b.Confidence, a.Confidence),
		cmp.Compare(a.Class, b.Class),
	)
}

func strengthRank(s churn.Strength) int {
	switch s {
	case churn.Strong:
		return 0
	case churn.Medium:
		return 1
	}
	return 2
}

// sighting is the evidence that a finding shows.
type sighting struct {
	at     time.Time
	weight float64
	label  bool // a tag or category: gives way to words said at the same moment
	rule   string
	quote  string
}

// sight records one rule's evidence for a class.
func (s *reading) sight(class int, rule int, e sighting) {
	if s.found&(1<<class) == 0 {
		s.found |= 1 << class
		s.doubt[class] = 1
		s.best[class] = e
	} else if b := &s.best[class]; e.at.Before(b.at) ||
		e.at.Equal(b.at) && (b.label && !e.label || b.label == e.label && e.weight > b.weight) {
		*b = e
	}
	if !s.rules.has(rule) { // a rule that matches twice is no surer
		s.rules.add(rule)
		s.doubt[class] *= 1 - min(e.weight, 0.95)
	}
}

// label records what a tag or category says.
func (s *reading) label(known map[uint64]labelRule, text string, t *churn.SupportTicket) {
	if text == "" || len(text) > maxLabelBytes {
		return
	}
	r, ok := known[labelHash(text)]
	if !ok || s.void&(1<<r.class) != 0 {
		return
	}
	quote := trimQuote(t.Subject, 0, len(t.Subject), 0, s.m.quoteBytes)
	if quote == "" {
		quote = trimQuote(t.Body, 0, len(t.Body), 0, s.m.quoteBytes)
	}
	s.sight(r.class, r.rule, sighting{at: t.OpenedAt, weight: r.weight, label: true, rule: r.id, quote: quote})
}
