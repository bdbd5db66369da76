package rules

import (
	"slices"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// CatchUp says what becomes of the ticks that came due while nobody evaluated.
type CatchUp string

const (
	CatchUpAll    CatchUp = "all"    // evaluate each
	CatchUpLatest CatchUp = "latest" // evaluate the newest, record the others as missed
	CatchUpNone   CatchUp = "none"   // record each as missed
)

// Set is every group of every file that was loaded together.
type Set struct{ Groups []*Group }

// Group is the rules that share a schedule and an entry in the alert log for each tick.
type Group struct {
	Name      string
	Schedule  Schedule
	EvalDelay time.Duration // the instant looked from is the tick less this
	CatchUp   CatchUp
	// OwnerWeeklyMaximum is how many alerts of the group an owner (the label) is told of in a week; 0: no maximum.
	OwnerWeeklyMaximum int
	Rules              []*Rule
	File               string
}

// Rule is one query whose rows are alerts.
type Rule struct {
	Name             string
	Version          string // changes when anything changes that decides what the rule says
	Severity         string
	Kind             string
	Sources          []string
	StaleAfter       time.Duration // a source silent for longer is no data; Defaults to 7 days
	Query            string
	Identity         []string
	ValueAtRisk      string // column; empty: the rule puts no figure on it
	Currency         string // column with the currency of ValueAtRisk
	For              time.Duration
	KeepFiringFor    time.Duration
	RepeatEvery      time.Duration // 0: no reminders
	HappenedAt       string        // column: when the fact behind the row happened; empty: not told
	LateAfter        time.Duration // a fact known so long after it happened is late. Defaults to 24 hours
	EscalateAfter    time.Duration // unacknowledged for so long after it was told; 0: never
	EscalateSeverity string        // what it then has. Defaults to critical
	Topic            string        // default name, without the configured prefix
	Labels           map[string]string
	Annotations      map[string]string

	File string
	Line int

	texts   []wording // labels and annotations, compiled
	query   place
	columns map[string]place // where each column is named, for Check
}

// place is where something stands in its file.
type place struct {
	line, column int
	indent       int  // of a block's lines
	block        bool // the text begins on the line after
}

// DefaultTopic is where alerts of rules that name no topic go.
const DefaultTopic = "churn.alerts"

// Rule returns the rule of that name, or nil.
func (s *Set) Rule(name string) *Rule {
	for _, g := range s.Groups {
		if r := g.Rule(name); r != nil {
			return r
		}
	}
	return nil
}

// Rule returns the group's rule of that name, or nil.
func (g *Group) Rule(name string) *Rule {
	for _, r := range g.Rules {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Rules counts the rules of all groups.
func (s *Set) Rules() (n int) {
	for _, g := range s.Groups {
		n += len(g.Rules)
	}
	return n
}

// Topics returns the default names of the topics that the set publishes to, sorted; of no set none.
func (s *Set) Topics() []string {
	if s == nil {
		return nil
	}
	var out []string
	for _, g := range s.Groups {
		for _, r := range g.Rules {
			out = append(out, r.Topic)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// version hashes what decides which alerts a rule raises and what they say; layout and file names do not.
func (r *Rule) version() string {
	parts := []string{
		r.Name, r.Severity, r.Kind, strings.Join(r.Sources, ","), r.StaleAfter.String(),
		strings.Join(strings.Fields(r.Query), " "), strings.Join(r.Identity, ","), r.ValueAtRisk, r.Currency,
		r.For.String(), r.KeepFiringFor.String(), r.RepeatEvery.String(), r.Topic,
		r.HappenedAt, r.LateAfter.String(), r.EscalateAfter.String(), r.EscalateSeverity,
	}
	for _, m := range []map[string]string{r.Labels, r.Annotations} {
		for _, k := range sortedKeys(m) {
			parts = append(parts, k, m[k])
		}
		parts = append(parts, "")
	}
	return churn.Hash(parts...)[:12]
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// NamesSources reports whether some rule of the group can have no data.
func (g *Group) NamesSources() bool {
	return slices.ContainsFunc(g.Rules, func(r *Rule) bool { return len(r.Sources) > 0 })
}
