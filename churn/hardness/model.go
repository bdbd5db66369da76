package hardness

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/aftershock/aftershock/churn"
)

//go:embed models/hardness.v1.json
var builtinHardness []byte

var byDefault = sync.OnceValue(func() *Model {
	m, err := Load(builtinHardness)
	if err != nil {
		panic("hardness: embedded models/hardness.v1.json: " + err.Error())
	}
	return m
})

// Default returns the embedded model, churn/hardness/models/hardness.v1.json, parsed once.
func Default() *Model { return byDefault() }

// Model scores how hard a deal was negotiated. It is read-only after loading, so it may be shared.
//
// The model file holds, all required unless said otherwise:
//
//	version           names the model in every score
//	notes             free text
//	minimum_coverage  0..1: a deal with less is of band unknown
//	proxy_coverage    0..1: the share of a component's weight that a substitute measure counts for in coverage
//	bands             points from which a deal is firm, and hard; below firm it is soft
//	usual_days        days that a negotiation takes, by segment; under "" for all others
//	quarter_end       a close in so many last days of a quarter (UTC) hints at deadline pressure with that share of its
//	                  points, where the source says nothing of deadlines; days 0 to ignore
//	discourteous      words and phrases of a-z
//	components        for each its weight in points (negative for what protects), and the measure up to which it counts
//	                  nothing (bites, 0 where left out) and from which it counts in full; linear between
type Model struct {
	version         string
	minimumCoverage float64
	proxyCoverage   float64
	firm, hard      float64
	usualDays       map[string]float64
	quarterEnd      struct {
		days  int
		share float64
	}
	discourteous map[string][]string // first word -> what follows it, "" for a word of its own
	weights      [len(componentNames)]weighting
	total        float64 // of the weights, without their signs
}

// weighting is how one component counts.
type weighting struct{ weight, bites, full float64 }

// share is how much of a component's weight a measure calls for, 0..1.
func (w *weighting) share(value float64) float64 {
	return min(max((value-w.bites)/(w.full-w.bites), 0), 1)
}

// Components of the score: what raises it, then what protects.
const (
	compPremium = iota
	compAsymmetry
	compRounds
	compDuration
	compUltimatums
	compDeadline
	compEscalation
	compTone
	compUnresolved
	compGiveAndTake
	compCommonGround
)

var componentNames = [...]string{
	"price_premium", "concession_asymmetry", "rounds", "duration", "ultimatums", "deadline_pressure", "escalation", "tone",
	"unresolved_requests", "give_and_take", "common_ground",
}

// Version returns the version that the model file states.
func (m *Model) Version() string { return m.version }

// Load reads a model file. It is strict: unknown, absent or repeated keys, wrong types and values that make no
// sense are errors, reported all at once.
func Load(text []byte) (*Model, error) {
	if err := churn.CheckJSON(text); err != nil {
		return nil, fmt.Errorf("reading hardness model: %w", err)
	}
	var m Model
	l := loader{m: &m}
	l.file(text)
	if len(l.errs) > 0 {
		return nil, fmt.Errorf("hardness model %q: %w", m.version, errors.Join(l.errs...))
	}
	return &m, nil
}

type loader struct {
	m    *Model
	errs []error
}

func (l *loader) check(ok bool, format string, args ...any) {
	if !ok {
		l.errs = append(l.errs, fmt.Errorf(format, args...))
	}
}

// object reads an object with just these fields, those in optional excepted; where leads the names in errors.
func (l *loader) object(where string, raw json.RawMessage, fields map[string]any, optional ...string) {
	var got map[string]json.RawMessage
	if err := json.Unmarshal(raw, &got); err != nil || got == nil {
		l.check(false, "%s must be an object", strings.TrimSuffix(where, "."))
		return
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		into, known := fields[key]
		if !known {
			l.check(false, "%s%s is not known", where, key)
			continue
		}
		err := json.Unmarshal(got[key], into)
		l.check(err == nil && string(got[key]) != "null", "%s%s must be %s", where, key, jsonKind(into))
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		_, given := got[key]
		l.check(given || slices.Contains(optional, key), "%s%s is missing", where, key)
	}
}

func jsonKind(into any) string {
	switch into.(type) {
	case *string:
		return "a string"
	case *int:
		return "a whole number"
	case *float64:
		return "a number"
	case *[]string:
		return "a list of strings"
	case *map[string]float64:
		return "an object of numbers"
	}
	return "an object"
}

func (l *loader) file(raw []byte) {
	m := l.m
	var notes string
	var bands, quarterEnd, components json.RawMessage
	var usualDays map[string]float64
	var discourteous []string
	l.object("", raw, map[string]any{
		"version": &m.version, "notes": &notes, "minimum_coverage": &m.minimumCoverage, "proxy_coverage": &m.proxyCoverage,
		"bands": &bands, "usual_days": &usualDays, "quarter_end": &quarterEnd, "discourteous": &discourteous, "components": &components,
	})
	if bands != nil {
		l.object("bands.", bands, map[string]any{"firm": &m.firm, "hard": &m.hard})
	}
	if quarterEnd != nil {
		l.object("quarter_end.", quarterEnd, map[string]any{"days": &m.quarterEnd.days, "share": &m.quarterEnd.share})
	}
	l.check(m.version != "", "version must not be empty")
	l.check(m.minimumCoverage > 0 && m.minimumCoverage <= 1, "minimum_coverage is %v, want more than 0 and at most 1", m.minimumCoverage)
	l.check(m.proxyCoverage >= 0 && m.proxyCoverage <= 1, "proxy_coverage is %v, want 0 to 1", m.proxyCoverage)
	l.check(0 < m.firm && m.firm < m.hard && m.hard <= 100, "bands are firm from %v and hard from %v, want 0 < firm < hard <= 100", m.firm, m.hard)
	l.check(m.quarterEnd.days >= 0 && m.quarterEnd.days <= 31, "quarter_end.days is %d, want 0 to 31", m.quarterEnd.days)
	l.check(m.quarterEnd.share >= 0 && m.quarterEnd.share <= 1, "quarter_end.share is %v, want 0 to 1", m.quarterEnd.share)
	l.usual(usualDays)
	l.phrases(discourteous)
	if components != nil {
		l.components(components)
	}
}

func (l *loader) usual(byName map[string]float64) {
	const longest = 3650
	l.m.usualDays = make(map[string]float64, len(byName))
	l.check(byName[""] > 0, `usual_days needs a default under ""`)
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		l.check(byName[name] > 0 && byName[name] <= longest, "usual_days of %q is %v, want more than 0 and at most %d", name, byName[name], longest)
		key := segmentKey(name)
		_, twice := l.m.usualDays[key]
		l.check(!twice, "usual_days: %q is the same segment as another", name)
		l.m.usualDays[key] = byName[name]
	}
}

// segmentKey makes "Mid-Market" and "mid_market" one segment.
func segmentKey(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return '_'
		}
		return r
	}, strings.ToLower(strings.TrimSpace(s)))
}

func (l *loader) phrases(texts []string) {
	l.m.discourteous = make(map[string][]string, len(texts))
	for _, text := range texts {
		first, rest, _ := strings.Cut(text, " ")
		plain := len(first) <= maxToneWord
		for word := range strings.SplitSeq(text, " ") {
			plain = plain && word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") == ""
		}
		l.check(plain, "discourteous: %q must be words of a-z, one space apart, the first of at most %d letters", text, maxToneWord)
		l.check(!slices.Contains(l.m.discourteous[first], rest), "discourteous: %q stands twice", text)
		l.m.discourteous[first] = append(l.m.discourteous[first], rest)
	}
}

func (l *loader) components(raw json.RawMessage) {
	parts := make([]json.RawMessage, len(componentNames))
	fields := map[string]any{}
	for i, name := range componentNames {
		fields[name] = &parts[i]
	}
	l.object("components.", raw, fields)
	for i, name := range componentNames {
		if parts[i] == nil {
			continue
		}
		w := &l.m.weights[i]
		where := "components." + name + "."
		l.object(where, parts[i], map[string]any{"weight": &w.weight, "bites": &w.bites, "full": &w.full}, "bites")
		if protects(i) {
			l.check(w.weight <= 0, "%sweight is %v, but what protects lowers the score", where, w.weight)
		} else {
			l.check(w.weight >= 0, "%sweight is %v, but the component raises the score", where, w.weight)
		}
		l.check(math.Abs(w.weight) <= 100, "%sweight is %v, want at most 100 points", where, w.weight)
		l.check(w.bites >= 0 && w.full > w.bites, "%sfull is %v, want more than bites, %v, and that at least 0", where, w.full, w.bites)
		l.m.total += math.Abs(w.weight)
	}
	l.check(l.m.total > 0, "components: all weights are 0")
}

func protects(component int) bool {
	return component == compGiveAndTake || component == compCommonGround
}
