package churn

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// gauge is what one component measures: nothing known, or a value with what a person should read about it.
type gauge struct {
	known    bool
	proxy    bool
	value    float64
	evidence func() string // only asked where the component contributes: most deals need few sentences
}

// Score says how hard a closed deal was negotiated, 0 to 100. It depends on the deal and the model alone.
//
// The score is the sum of the contributions, held between 0 and 100. A missing input contributes nothing and lowers the
// coverage; below the model's minimum coverage the band is unknown, never soft. What research says of each direction, and
// what it does not, stands in docs/hardness.md.
func (m *HardnessModel) Score(d *DealClosed) Hardness {
	h := Hardness{ModelVersion: m.version, DiscountDepth: discountDepth(d)}
	measures := m.measure(d)
	covered, sum := 0.0, 0.0
	for i := range measures {
		w, f := m.weights[i], &measures[i]
		if !f.known {
			h.Missing = appendInputs(h.Missing, i, d)
			continue
		}
		share := 1.0
		if f.proxy {
			share = m.proxyCoverage
			h.Missing = appendInputs(h.Missing, i, d)
		}
		covered += share * math.Abs(w.Weight)
		points := round1(w.Weight * strength(f.value, w))
		if points == 0 {
			continue
		}
		sum += points
		h.Contributions = append(h.Contributions, Contribution{
			Component: componentNames[i], Value: f.value, Points: points, Evidence: f.evidence(), Proxy: f.proxy,
		})
	}
	slices.SortStableFunc(h.Contributions, func(a, b Contribution) int {
		return cmp.Or(cmp.Compare(math.Abs(b.Points), math.Abs(a.Points)), cmp.Compare(a.Component, b.Component))
	})
	h.Coverage = math.Round(covered/m.total*1000) / 1000
	h.Score = round1(min(max(sum, 0), 100))
	h.Band = m.band(h.Score, h.Coverage)
	return h
}

func (m *HardnessModel) band(score, coverage float64) Band {
	switch {
	case coverage < m.minimumCoverage:
		return BandUnknown
	case score >= m.hard:
		return BandHard
	case score >= m.firm:
		return BandFirm
	}
	return BandSoft
}

// strength is how much of a component's weight a measure calls for, 0..1.
func strength(value float64, w weighting) float64 {
	return min(max((value-w.Bites)/(w.Full-w.Bites), 0), 1)
}

func round1(x float64) float64 { return math.Round(x*10) / 10 }

// measure reads every component from the deal.
func (m *HardnessModel) measure(d *DealClosed) [len(componentNames)]gauge {
	var all [len(componentNames)]gauge
	all[compPremium] = premium(d)
	n := d.Negotiation
	if n == nil {
		return all
	}
	all[compAsymmetry] = asymmetry(n, d.Currency)
	all[compRounds] = counted(n.Rounds, "%d rounds of documents were exchanged")
	all[compDuration] = m.duration(d)
	all[compUltimatums] = counted(n.Ultimatums, "%d final offers or expiring prices")
	if n.DeadlinePressure != nil {
		all[compDeadline] = flag(*n.DeadlinePressure, "the close was forced by a deadline")
	}
	all[compEscalation] = counted(n.Escalations, "%d times executives were drawn in or approvals overridden")
	all[compTone] = m.tone(n)
	if n.UnresolvedRequests != nil {
		asked := *n.UnresolvedRequests
		all[compUnresolved] = gauge{known: true, value: float64(len(asked)), evidence: func() string {
			return fmt.Sprintf("asked for and refused: %s", listing(asked))
		}}
	}
	if n.ClientConcessions != nil && n.VendorConcessions != nil {
		ours, theirs := terms(*n.VendorConcessions), terms(*n.ClientConcessions)
		all[compGiveAndTake] = flag(ours >= 2 && theirs >= 2, fmt.Sprintf("both sides conceded on two terms or more (client %d, vendor %d)", theirs, ours))
	}
	if n.CommonGround != nil {
		shared := *n.CommonGround
		all[compCommonGround] = gauge{known: true, value: float64(len(shared)), evidence: func() string {
			return fmt.Sprintf("in common: %s", listing(shared))
		}}
	}
	return all
}

// premium is what the client paid above what it expected to pay; without that, against the list price, as a proxy. A price
// below counts as none: a deep discount is an axis of its own.
func premium(d *DealClosed) gauge {
	against, name, proxy := d.Anticipated, "the client expected", false
	if !against.Known || against.Amount.IsZero() {
		against, name, proxy = d.ListPrice, "the list price (a proxy for what the client expected)", true
	}
	if !d.SignedPrice.Known || !against.Known || against.Amount.IsZero() {
		return gauge{}
	}
	value := max((d.SignedPrice.Float()-against.Float())/against.Float(), 0)
	return gauge{known: true, proxy: proxy, value: value, evidence: func() string {
		return fmt.Sprintf("signed at %s %s, %.1f%% above %s of %s", d.SignedPrice, d.Currency, 100*value, name, against)
	}}
}

// asymmetry is (client's conceded value - vendor's) / total, -1..1; by counts where a value is missing, as a proxy.
func asymmetry(n *Negotiation, currency string) gauge {
	if n.ClientConcessions == nil || n.VendorConcessions == nil {
		return gauge{}
	}
	client, clientPriced := worth(*n.ClientConcessions)
	vendor, vendorPriced := worth(*n.VendorConcessions)
	priced := clientPriced && vendorPriced && client+vendor > 0
	if !priced {
		client, vendor = float64(len(*n.ClientConcessions)), float64(len(*n.VendorConcessions))
	}
	if client+vendor == 0 {
		return gauge{known: true, evidence: func() string { return "" }}
	}
	return gauge{known: true, proxy: !priced, value: (client - vendor) / (client + vendor), evidence: func() string {
		if priced {
			return fmt.Sprintf("the client gave up %.0f %s, the vendor %.0f", client, currency, vendor)
		}
		return fmt.Sprintf("the client gave up %.0f terms, the vendor %.0f (not all are priced)", client, vendor)
	}}
}

// worth adds up the values of concessions, and tells whether each had one.
func worth(all []Concession) (sum float64, priced bool) {
	priced = true
	for _, c := range all {
		priced = priced && c.Value.Known
		sum += c.Value.Float()
	}
	return sum, priced
}

func terms(all []Concession) int {
	seen := map[string]bool{}
	for _, c := range all {
		seen[c.Term] = true
	}
	return len(seen)
}

// duration is the days in negotiation as a multiple of what is usual for the segment.
func (m *HardnessModel) duration(d *DealClosed) gauge {
	opened := d.Negotiation.OpenedAt
	if opened.IsZero() || opened.After(d.ClosedAt) {
		return gauge{}
	}
	usual, given := m.usualDays[d.Segment]
	if !given {
		usual = m.usualDays[""]
	}
	days := d.ClosedAt.Sub(opened).Hours() / 24
	return gauge{known: true, value: days / usual, evidence: func() string {
		return fmt.Sprintf("%.0f days in negotiation, usual are %.0f", days, usual)
	}}
}

// tone is 0 for courteous to 1 for hostile: the source's own measure, else the share of discourteous messages.
func (m *HardnessModel) tone(n *Negotiation) gauge {
	if n.Tone != nil {
		tone := *n.Tone
		return gauge{known: true, value: max(-tone, 0), evidence: func() string {
			return fmt.Sprintf("the source measured a tone of %.2f (-1 hostile to 1 warm)", tone)
		}}
	}
	if len(n.Messages) == 0 {
		return gauge{}
	}
	discourteous := 0
	for _, message := range n.Messages {
		text := strings.ToLower(message.Text)
		if slices.ContainsFunc(m.discourteous, func(phrase string) bool { return strings.Contains(text, phrase) }) {
			discourteous++
		}
	}
	return gauge{known: true, proxy: true, value: float64(discourteous) / float64(len(n.Messages)), evidence: func() string {
		return fmt.Sprintf("%d of %d messages were discourteous, by a list of phrases", discourteous, len(n.Messages))
	}}
}

func counted(n *int, format string) gauge {
	if n == nil {
		return gauge{}
	}
	return gauge{known: true, value: float64(*n), evidence: func() string { return fmt.Sprintf(format, *n) }}
}

func flag(set bool, evidence string) gauge {
	value := 0.0
	if set {
		value = 1
	}
	return gauge{known: true, value: value, evidence: func() string { return evidence }}
}

// discountDepth is 1 - signed / list: there the vendor gave, so it is not part of the score.
func discountDepth(d *DealClosed) *float64 {
	if !d.SignedPrice.Known || !d.ListPrice.Known || d.ListPrice.Amount.IsZero() {
		return nil
	}
	depth := 1 - d.SignedPrice.Float()/d.ListPrice.Float()
	return &depth
}

// inputs are the JSON fields that each component reads.
var inputs = [len(componentNames)][]string{
	compPremium:      {"anticipated_price"},
	compAsymmetry:    {"negotiation.client_concessions", "negotiation.vendor_concessions"},
	compRounds:       {"negotiation.rounds"},
	compDuration:     {"negotiation.opened_at"},
	compUltimatums:   {"negotiation.ultimatums"},
	compDeadline:     {"negotiation.deadline_pressure"},
	compEscalation:   {"negotiation.escalations"},
	compTone:         {"negotiation.tone"},
	compUnresolved:   {"negotiation.unresolved_requests"},
	compCommonGround: {"negotiation.common_ground"},
}

// appendInputs names what a component lacks; of two lists only the one that was not given.
func appendInputs(missing []string, component int, d *DealClosed) []string {
	if n := d.Negotiation; component == compAsymmetry && n != nil {
		switch {
		case n.ClientConcessions != nil && n.VendorConcessions != nil:
			return missing // given, but not all of them priced
		case n.ClientConcessions != nil:
			return append(missing, inputs[component][1])
		case n.VendorConcessions != nil:
			return append(missing, inputs[component][0])
		}
	}
	return append(missing, inputs[component]...)
}

func listing(items []string) string {
	const most = 5
	if len(items) > most {
		return strings.Join(items[:most], ", ") + fmt.Sprintf(" and %d more", len(items)-most)
	}
	return strings.Join(items, ", ")
}

// QuarterEndDays is how close to the end of a calendar quarter a close counts as one under its pressure, for mappings that
// have to derive deadline_pressure from a date.
const QuarterEndDays = 5

// NearQuarterEnd reports whether t falls in the last days of a calendar quarter (UTC).
func NearQuarterEnd(t time.Time) bool {
	t = t.UTC()
	firstOfNext := time.Date(t.Year(), (t.Month()-1)/3*3+4, 1, 0, 0, 0, 0, time.UTC)
	return firstOfNext.Sub(t) <= QuarterEndDays*24*time.Hour
}
