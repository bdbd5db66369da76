package alert

import (
	"fmt"
	"maps"
	"slices"

	"github.com/aftershock/aftershock/text"
)

// MaxBytes bounds the value of a record on an alert topic. Facts may hold texts of a megabyte and an account thousands of tickets; an
// alert about them is a small record, which every broker, proxy and chat takes. The facts themselves are never cut.
const MaxBytes = 768 << 10

// Bounds of what an alert says, in characters where they are of texts.
const (
	MaxLabel      = 500
	MaxAnnotation = 4_000
	MaxEvidence   = 50
	maxName       = 1_000 // also of ids: what was stored before ids had a bound
	maxQuote      = 1_000
)

const cutMark = "…"

func cut(s *string, most int) { *s = text.Fit(*s, most, cutMark) }

// bounded cuts what is too long and returns the bytes.
func (a *Alert) bounded() ([]byte, error) {
	a.cut()
	for {
		value, err := a.bytes()
		if err != nil || len(value) <= MaxBytes {
			return value, err
		}
		if len(a.Evidence) == 0 {
			return nil, fmt.Errorf("it has %d bytes, and %d are the most: its rule has too many labels or annotations", len(value), MaxBytes)
		}
		a.Evidence, a.EvidenceCut = latest(a.Evidence, len(a.Evidence)/2), true
	}
}

// cut bounds every text and list. What the alert shares with others is copied first.
func (a *Alert) cut() {
	a.Labels, a.Annotations = cutAll(a.Labels, MaxLabel), cutAll(a.Annotations, MaxAnnotation)
	if a.Account != nil {
		for _, s := range []*string{&a.Account.AccountID, &a.Account.AccountName, &a.Account.Segment, &a.Account.Owner, &a.Account.Team} {
			cut(s, maxName)
		}
	}
	if a.Contract != nil {
		c := *a.Contract
		cut(&c.ContractID, maxName)
		cut(&c.DealID, maxName)
		c.Contributions = slices.Clone(c.Contributions)
		for i := range c.Contributions {
			cut(&c.Contributions[i].Evidence, maxQuote)
		}
		a.Contract = &c
	}
	if a.Feedback != nil {
		cut(&a.Feedback.By, maxName)
		cut(&a.Feedback.Reason, MaxAnnotation)
	}
	if len(a.Evidence) > MaxEvidence {
		a.Evidence, a.EvidenceCut = latest(a.Evidence, MaxEvidence), true
	}
	a.Evidence = slices.Clone(a.Evidence)
	for i := range a.Evidence {
		cut(&a.Evidence[i].TicketID, maxName)
		cut(&a.Evidence[i].Quote, maxQuote)
	}
}

func cutAll(texts map[string]string, most int) map[string]string {
	texts = maps.Clone(texts)
	for name, s := range texts {
		texts[name] = text.Fit(s, most, cutMark)
	}
	return texts
}

// latest keeps so many of the latest pieces of evidence, in the order in which they stand.
func latest(all []Evidence, most int) []Evidence {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return all[j].At.Compare(all[i].At) })
	order = order[:most]
	slices.Sort(order)
	kept := make([]Evidence, most)
	for i, at := range order {
		kept[i] = all[at]
	}
	return kept
}
