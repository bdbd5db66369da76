package past

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/rules/engine"
)

// Report is what rules would have said of a span of the past.
type Report struct {
	From       time.Time   `json:"from"`
	To         time.Time   `json:"to"`
	Schedule   string      `json:"schedule,omitempty"` // where it replaced those of the groups
	Ticks      int         `json:"ticks"`
	Rules      []RulePast  `json:"rules"`
	Owners     []OwnerPast `json:"owners"`
	Alerts     []PastAlert `json:"alerts"` // in the order in which they fired
	Feedback   *Heard      `json:"feedback,omitempty"`
	Difference *Difference `json:"difference,omitempty"`
}

// RulePast is what one rule would have said.
type RulePast struct {
	Rule     string `json:"rule"`
	Group    string `json:"group"`
	Version  string `json:"version"`
	Severity string `json:"severity"`
	Kind     string `json:"kind"`
	// Runs is how often it was evaluated; NoData and Failed how often it could not say.
	Runs      int    `json:"runs"`
	NoData    int    `json:"no_data"`
	Failed    int    `json:"failed"`
	LastError string `json:"last_error,omitempty"`
	// Fired counts alerts, each episode for itself, and AtStart those of its first tick: what began before cannot be told apart.
	Fired    int      `json:"fired"`
	AtStart  int      `json:"at_start"`
	Told     int      `json:"told"`
	Resolved int      `json:"resolved"`
	Open     int      `json:"open"` // at the end
	OpenDays *float64 `json:"median_days_open"`
}

// PastAlert is one episode of an alert.
type PastAlert struct {
	Rule        string            `json:"rule"`
	Fingerprint string            `json:"fingerprint"`
	Episode     int               `json:"episode"`
	Identity    map[string]string `json:"identity"`
	AccountID   string            `json:"account_id,omitempty"`
	ContractID  string            `json:"contract_id,omitempty"`
	Owner       string            `json:"owner,omitempty"`
	Summary     string            `json:"summary,omitempty"`
	Value       string            `json:"value_at_risk,omitempty"`
	Currency    string            `json:"currency,omitempty"`
	FiredAt     time.Time         `json:"fired_at"`
	ToldAt      *time.Time        `json:"told_at"` // null: people would not have been told; Untold says why
	Untold      alert.Untold      `json:"untold,omitempty"`
	ResolvedAt  *time.Time        `json:"resolved_at"` // null: open at the end
	Why         string            `json:"why_resolved,omitempty"`
	Late        bool              `json:"late,omitempty"`
	AtStart     bool              `json:"at_start,omitempty"`

	amount float64
}

// Amount is the value at risk for comparing alerts with one another; 0 where it is not known.
func (a PastAlert) Amount() float64 { return a.amount }

// OwnerPast is how many alerts an owner would have been told of.
type OwnerPast struct {
	Owner string         `json:"owner"`
	Told  int            `json:"told"`
	Most  int            `json:"most_in_a_week"`
	Weeks map[string]int `json:"weeks"` // by the Monday that begins the week, in UTC
}

// Heard is what became of feedback.
type Heard struct {
	Applied int `json:"applied"`
	Refused int `json:"refused"`
}

// Report tells of a backtest that has run, from the ledgers that it returned.
func (b *Backtest) Report(set, compare *engine.MemoryLog) *Report {
	r := &Report{From: b.From, To: b.To, Schedule: b.Schedule}
	r.read(b.Set, set)
	if b.Compare != nil {
		other := &Report{From: b.From, To: b.To}
		other.read(b.Compare, compare)
		r.Difference = difference(r, other)
	}
	return r
}

func (r *Report) read(set *rules.Set, log *engine.MemoryLog) {
	var heard Heard
	for _, g := range set.Groups {
		past := map[string]*RulePast{}
		for _, rule := range g.Rules {
			past[rule.Name] = &RulePast{Rule: rule.Name, Group: g.Name, Version: rule.Version, Severity: rule.Severity, Kind: rule.Kind}
		}
		alerts := map[string]*PastAlert{} // by fingerprint: the episode at hand
		var order []*PastAlert
		first := true
		for _, entry := range log.Entries(g.Name) {
			if entry.Status == alert.TickRun {
				r.Ticks++
			}
			for _, run := range entry.Runs {
				p := past[run.Rule]
				p.Runs++
				switch run.Status {
				case alert.RunNoData:
					p.NoData++
				case alert.RunError:
					p.Failed++
					p.LastError = run.Error
				}
			}
			for _, f := range entry.Feedback {
				if f.Outcome == churn.FeedbackApplied {
					heard.Applied++
				} else {
					heard.Refused++
				}
			}
			for _, t := range entry.Transitions {
				if engine.OfRule(t) || t.StartsAt.IsZero() {
					continue // about the rule itself, or an episode that has not fired
				}
				a := alerts[t.Fingerprint]
				if a == nil || a.Episode != t.Episode {
					a = &PastAlert{Rule: t.Rule, Fingerprint: t.Fingerprint, Episode: t.Episode, Identity: t.Identity, AccountID: t.AccountID,
						ContractID: t.ContractID, FiredAt: t.StartsAt, AtStart: first, Late: t.Late, Owner: t.Labels[engine.OwnerLabel],
						Summary: t.Annotations["summary"], Currency: t.Currency}
					if t.ValueAtRisk.Known {
						a.Value = t.ValueAtRisk.Amount.Trim(0).String()
						a.amount, _ = t.ValueAtRisk.Amount.Float64()
					}
					alerts[t.Fingerprint] = a
					order = append(order, a)
				}
				a.follow(t)
			}
			first = first && entry.Status != alert.TickRun
		}
		for _, rule := range g.Rules {
			p := past[rule.Name]
			p.count(order)
			r.Rules = append(r.Rules, *p)
		}
		for _, a := range order {
			r.Alerts = append(r.Alerts, *a)
		}
	}
	if heard != (Heard{}) {
		r.Feedback = &heard
	}
	slices.SortStableFunc(r.Alerts, func(a, b PastAlert) int {
		return cmp.Or(a.FiredAt.Compare(b.FiredAt), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	r.Owners = owners(r.Alerts)
}

// follow takes in a transition of the episode.
func (a *PastAlert) follow(t alert.Transition) {
	if a.ToldAt == nil && engine.Tellable(t) {
		a.Untold = t.Untold
		if t.Untold == "" && t.Told.Episode == t.Episode {
			a.ToldAt = alert.Instant(t.Told.First)
		}
	}
	if t.State == alert.Resolved && a.ResolvedAt == nil {
		a.ResolvedAt, a.Why = alert.Instant(t.ResolvedAt), t.Reason
	}
}

func (p *RulePast) count(alerts []*PastAlert) {
	var days []float64
	for _, a := range alerts {
		if a.Rule != p.Rule {
			continue
		}
		p.Fired++
		if a.AtStart {
			p.AtStart++
		}
		if a.ToldAt != nil {
			p.Told++
		}
		if a.ResolvedAt == nil {
			p.Open++
			continue
		}
		p.Resolved++
		days = append(days, a.ResolvedAt.Sub(a.FiredAt).Hours()/24)
	}
	if len(days) > 0 {
		slices.Sort(days)
		middle := (days[(len(days)-1)/2] + days[len(days)/2]) / 2
		p.OpenDays = &middle
	}
}

// owners counts what each owner would have been told, by the week of the first telling; those with most come first.
func owners(alerts []PastAlert) []OwnerPast {
	all := map[string]*OwnerPast{}
	for _, a := range alerts {
		if a.ToldAt == nil || a.Owner == "" {
			continue
		}
		o := all[a.Owner]
		if o == nil {
			o = &OwnerPast{Owner: a.Owner, Weeks: map[string]int{}}
			all[a.Owner] = o
		}
		week := engine.Week(*a.ToldAt, time.UTC).Format(time.DateOnly)
		o.Told++
		o.Weeks[week]++
		o.Most = max(o.Most, o.Weeks[week])
	}
	out := []OwnerPast{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, *all[name])
	}
	slices.SortStableFunc(out, func(a, b OwnerPast) int { return cmp.Compare(b.Told, a.Told) })
	return out
}

// Difference is what other rules would have said otherwise over the same past.
type Difference struct {
	Rules []RuleDifference `json:"rules"`
	// OnlyHere and OnlyThere are alerts that one of the two has and the other has not at any time that they overlap.
	OnlyHere  []PastAlert `json:"only_here"`
	OnlyThere []PastAlert `json:"only_there"`
}

// RuleDifference counts alerts of one rule. Those that both have are the same thing at overlapping times.
type RuleDifference struct {
	Rule      string `json:"rule"`
	Here      int    `json:"here"`
	There     int    `json:"there"`
	OnlyHere  int    `json:"only_here"`
	OnlyThere int    `json:"only_there"`
	// Of the alerts here that are there, too: how many fired there at the same time, before, or after.
	SameTime int `json:"same_time"`
	Earlier  int `json:"there_earlier"`
	Later    int `json:"there_later"`
	ToldHere int `json:"told_here"`
	Told     int `json:"told_there"`
}

func difference(here, there *Report) *Difference {
	d := &Difference{OnlyHere: []PastAlert{}, OnlyThere: []PastAlert{}}
	counts := map[string]*RuleDifference{}
	of := func(rule string) *RuleDifference {
		if counts[rule] == nil {
			counts[rule] = &RuleDifference{Rule: rule}
		}
		return counts[rule]
	}
	byFingerprint := func(alerts []PastAlert) map[string][]PastAlert {
		m := map[string][]PastAlert{}
		for _, a := range alerts {
			m[a.Fingerprint] = append(m[a.Fingerprint], a)
		}
		return m
	}
	inHere, inThere := byFingerprint(here.Alerts), byFingerprint(there.Alerts)
	overlapping := func(a PastAlert, others []PastAlert) int { return slices.IndexFunc(others, a.overlaps) }
	for _, a := range here.Alerts {
		c := of(a.Rule)
		c.Here++
		c.ToldHere += btoi(a.ToldAt != nil)
		i := overlapping(a, inThere[a.Fingerprint])
		if i < 0 {
			c.OnlyHere++
			d.OnlyHere = append(d.OnlyHere, a)
			continue
		}
		switch inThere[a.Fingerprint][i].FiredAt.Compare(a.FiredAt) {
		case 0:
			c.SameTime++
		case -1:
			c.Earlier++
		default:
			c.Later++
		}
	}
	for _, a := range there.Alerts {
		c := of(a.Rule)
		c.There++
		c.Told += btoi(a.ToldAt != nil)
		if overlapping(a, inHere[a.Fingerprint]) < 0 {
			c.OnlyThere++
			d.OnlyThere = append(d.OnlyThere, a)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		d.Rules = append(d.Rules, *counts[name])
	}
	return d
}

// overlaps reports whether two episodes stand open at once at any time.
func (a PastAlert) overlaps(b PastAlert) bool {
	return (b.ResolvedAt == nil || a.FiredAt.Before(*b.ResolvedAt)) && (a.ResolvedAt == nil || b.FiredAt.Before(*a.ResolvedAt))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
