package churn

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// HardnessModel turns the facts of a negotiation into a score. It is read-only after loading, so it may be shared.
type HardnessModel struct {
	version         string
	minimumCoverage float64
	proxyCoverage   float64
	firm, hard      float64
	usualDays       map[string]float64
	discourteous    []string
	weights         [len(componentNames)]weighting
	total           float64 // of the weights that coverage counts
}

// weighting is how one component counts: nothing up to bites, all of weight from full on, in proportion between.
type weighting struct {
	Weight float64 `json:"weight"` // points; negative for what protects
	Bites  float64 `json:"bites"`
	Full   float64 `json:"full"`
}

// Components of the score, in the order of domain knowledge: what raises it, then what protects.
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

//go:embed models/hardness.v1.json
var builtinHardness []byte

var defaultHardness = sync.OnceValue(func() *HardnessModel {
	m, err := LoadHardnessModel(builtinHardness)
	if err != nil {
		panic(err) // the embedded file is tested
	}
	return m
})

// DefaultHardnessModel is the model that ships with this build.
func DefaultHardnessModel() *HardnessModel { return defaultHardness() }

// Version names the model, as scores carry it.
func (m *HardnessModel) Version() string { return m.version }

// LoadHardnessModel reads a model file (JSON, as models/hardness.v1.json) and reports everything that is wrong with it.
func LoadHardnessModel(text []byte) (*HardnessModel, error) {
	var file struct {
		Version         string               `json:"version"`
		Notes           string               `json:"notes"`
		MinimumCoverage float64              `json:"minimum_coverage"`
		ProxyCoverage   float64              `json:"proxy_coverage"`
		Bands           map[Band]float64     `json:"bands"`
		UsualDays       map[string]float64   `json:"usual_days"`
		Discourteous    []string             `json:"discourteous"`
		Components      map[string]weighting `json:"components"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("hardness model: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("hardness model: something follows the model")
	}
	m := &HardnessModel{
		version: file.Version, minimumCoverage: file.MinimumCoverage, proxyCoverage: file.ProxyCoverage,
		firm: file.Bands[BandFirm], hard: file.Bands[BandHard], usualDays: file.UsualDays,
	}
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("hardness model: "+format, args...))
		}
	}
	check(file.Version != "", "version is missing")
	check(m.minimumCoverage > 0 && m.minimumCoverage <= 1, "minimum_coverage %v is not above 0 and at most 1", m.minimumCoverage)
	check(m.proxyCoverage >= 0 && m.proxyCoverage <= 1, "proxy_coverage %v is not between 0 and 1", m.proxyCoverage)
	check(len(file.Bands) == 2 && m.firm > 0 && m.hard > m.firm && m.hard <= 100, "bands must be 0 < firm < hard <= 100")
	check(file.UsualDays[""] > 0, `usual_days needs a default under ""`)
	for segment, days := range file.UsualDays {
		check(days > 0, "usual_days of %q: %v is not above 0", segment, days)
	}
	for _, phrase := range file.Discourteous {
		check(strings.TrimSpace(phrase) != "", "discourteous holds an empty phrase")
		m.discourteous = append(m.discourteous, strings.ToLower(phrase))
	}
	for name := range file.Components {
		check(slices.Contains(componentNames[:], name), "unknown component %q", name)
	}
	for i, name := range componentNames {
		w, given := file.Components[name]
		protects := i == compGiveAndTake || i == compCommonGround
		check(given, "component %q is missing", name)
		check(protects == (w.Weight < 0) || w.Weight == 0, "component %q: weight %v has the wrong sign", name, w.Weight)
		check(w.Bites >= 0 && w.Full > w.Bites, "component %q: full %v must be above bites %v", name, w.Full, w.Bites)
		m.weights[i] = w
		m.total += max(w.Weight, -w.Weight)
	}
	check(m.total > 0, "all weights are zero")
	return m, errors.Join(errs...)
}
