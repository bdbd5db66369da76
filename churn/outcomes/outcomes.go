package outcomes

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Alert is when a rule fired about a contract, or about all contracts of an account where ContractID is empty.
type Alert struct {
	Rule, AccountID, ContractID string
	At                          time.Time
}

// Span is the past that is looked at.
type Span struct {
	From, To time.Time
	Horizon  time.Duration // how far an alert looks ahead
}

// minimum is how many cases a figure needs.
const minimum = 10

// Report tells of every rule.
type Report struct {
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	HorizonDays float64   `json:"horizon_days"`
	Terms       int       `json:"terms"`      // in force for some of the span
	Churned     int       `json:"churned"`    // of them, in the span
	Downgraded  int       `json:"downgraded"` // the same, before a loss if any
	Rules       []Rule    `json:"rules"`
}

// Rule is how one rule did.
type Rule struct {
	Rule   string `json:"rule"`
	Alerts int    `json:"alerts"` // about contracts or accounts
	// Precision is the share of alerted contracts (accounts, where the rule speaks of these) that went wrong within the horizon after
	// their first alert. Alerts for which the span ends before the horizon does are not among them.
	Precision Share `json:"precision"`
	// Recall is the share of terms that went wrong whose contract or account had been alerted within the horizon before. What went
	// wrong earlier than one horizon after the begin of the span is not among them.
	Recall Share `json:"recall"`
	// LeadDays is how long before they went wrong the first of these alerts came.
	LeadDays Median `json:"lead_days"`
	Lift     Lift   `json:"lift"`
	Verdict  string `json:"verdict"`
}

// Judge holds alerts against what became of contracts. Rules are those to report of, in this order; of one without alerts
// about contracts or accounts nothing can be said.
func (s Span) Judge(terms []churn.Term, rules []string, alerts []Alert) (*Report, error) {
	if s.Horizon <= 0 {
		return nil, fmt.Errorf("a horizon of %s is none: try 180 days", s.Horizon)
	}
	r := &Report{From: s.From, To: s.To, HorizonDays: days(s.Horizon), Rules: []Rule{}}
	var seen []churn.Term // in force for some of the span
	for _, t := range terms {
		if !t.ClosedAt.Before(s.To) || t.Fate != churn.Open && !t.OverAt.After(s.From) {
			continue
		}
		seen = append(seen, t)
		if bad := t.EndedBadly(); !s.contains(bad) {
			continue
		} else if bad.Equal(t.DowngradedAt) {
			r.Downgraded++
		} else {
			r.Churned++
		}
	}
	r.Terms = len(seen)
	cohorts, judged := map[string]*cohort{}, 0
	for _, rule := range rules {
		said := newSayings(rule, alerts)
		if said.count == 0 {
			r.Rules = append(r.Rules, Rule{Rule: rule, Verdict: "no alert about a contract or an account"})
			continue
		}
		x := Rule{Rule: rule, Alerts: said.count}
		x.Precision = s.precision(seen, said)
		x.Recall, x.LeadDays = s.recall(seen, said)
		cohorts[rule] = s.cohort(seen, said)
		if cohorts[rule].enough() {
			judged++
		}
		r.Rules = append(r.Rules, x)
	}
	for i := range r.Rules {
		if x := &r.Rules[i]; cohorts[x.Rule] != nil {
			// So that all intervals of the report together are right 95 times of 100.
			x.Lift = cohorts[x.Rule].lift(1 - (1-level)/float64(max(judged, 1)))
			x.Verdict = x.Lift.verdict()
		}
	}
	return r, nil
}

func (s Span) contains(t time.Time) bool { return t.After(s.From) && !t.After(s.To) }

func days(d time.Duration) float64 { return d.Hours() / 24 }

// subject is a contract, or an account where the contract is empty.
type subject struct{ account, contract string }

// sayings are one rule's alerts by what they are about, in the order of time.
type sayings struct {
	of    map[subject][]time.Time
	count int
}

func newSayings(rule string, alerts []Alert) sayings {
	s := sayings{of: map[subject][]time.Time{}}
	for _, a := range alerts {
		if a.Rule == rule && a.AccountID != "" {
			k := subject{a.AccountID, a.ContractID}
			s.of[k] = append(s.of[k], a.At)
			s.count++
		}
	}
	for _, times := range s.of {
		slices.SortFunc(times, time.Time.Compare)
	}
	return s
}

// about returns when the rule spoke of a term's contract or its account.
func (s sayings) about(t churn.Term) []time.Time {
	own, whole := s.of[subject{t.AccountID, t.ContractID}], s.of[subject{t.AccountID, ""}]
	if len(whole) == 0 {
		return own
	}
	all := slices.Concat(own, whole)
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// firstWithin is the first of sorted instants in [from, to); zero where none is.
func firstWithin(times []time.Time, from, to time.Time) time.Time {
	i := sort.Search(len(times), func(i int) bool { return !times[i].Before(from) })
	if i < len(times) && times[i].Before(to) {
		return times[i]
	}
	return time.Time{}
}

func (s Span) precision(terms []churn.Term, said sayings) Share {
	wrong := map[subject][]time.Time{}
	for _, t := range terms {
		if bad := t.EndedBadly(); !bad.IsZero() {
			own, whole := subject{t.AccountID, t.ContractID}, subject{t.AccountID, ""}
			wrong[own], wrong[whole] = append(wrong[own], bad), append(wrong[whole], bad)
		}
	}
	hits, of := 0, 0
	for k, times := range said.of {
		until := times[0].Add(s.Horizon)
		if until.After(s.To) {
			continue
		}
		of++
		if slices.ContainsFunc(wrong[k], func(bad time.Time) bool { return bad.After(times[0]) && !bad.After(until) }) {
			hits++
		}
	}
	return newShare(hits, of)
}

func (s Span) recall(terms []churn.Term, said sayings) (Share, Median) {
	hits, of := 0, 0
	var lead []float64
	for _, t := range terms {
		bad := t.EndedBadly()
		if !bad.After(s.From.Add(s.Horizon)) || bad.After(s.To) {
			continue
		}
		of++
		if first := firstWithin(said.about(t), bad.Add(-s.Horizon), bad); !first.IsZero() {
			hits++
			lead = append(lead, days(bad.Sub(first)))
		}
	}
	return newShare(hits, of), newMedian(lead)
}

// cohort follows every term through the part of the span in which it was in force and had not gone wrong. It moves between
// not alerted and alerted, which is within the horizon after an alert: time before an alert counts as not alerted, so that
// living long enough to be alerted is no merit of the alert. Terms are compared with those that had as many days to their
// agreed end, as renewals are lost near it.
func (s Span) cohort(terms []churn.Term, said sayings) *cohort {
	c := &cohort{}
	accounts := map[string]int{}
	for _, t := range terms {
		from, to := churn.Later(t.ClosedAt, s.From), s.To
		if t.Fate != churn.Open {
			to = churn.Earlier(to, t.OverAt)
		}
		bad := t.EndedBadly()
		wrong := s.contains(bad)
		if !bad.IsZero() {
			to = churn.Earlier(to, bad)
		}
		if !from.Before(to) {
			continue
		}
		account, known := accounts[t.AccountID]
		if !known {
			account = len(accounts)
			accounts[t.AccountID] = account
		}
		scale := func(at time.Time) float64 { return days(at.Sub(t.EndsAt)) }
		for at := from; at.Before(to); {
			alerted, until := s.alertedAt(said.about(t), at)
			until = churn.Earlier(until, to)
			c.stays = append(c.stays, stay{account: account, alerted: alerted, from: scale(at), to: scale(until), wrong: wrong && until.Equal(to)})
			at = until
		}
	}
	c.accounts = len(accounts)
	c.begin()
	return c
}

// alertedAt tells whether an instant is within the horizon after an alert, and until when that stays so.
func (s Span) alertedAt(times []time.Time, at time.Time) (alerted bool, until time.Time) {
	i, _ := slices.BinarySearchFunc(times, at, func(t, at time.Time) int { return cmp.Or(t.Compare(at), -1) }) // the first after at
	if i > 0 && times[i-1].Add(s.Horizon).After(at) {
		until = times[i-1].Add(s.Horizon)
		for ; i < len(times) && !times[i].After(until); i++ {
			until = times[i].Add(s.Horizon)
		}
		return true, until
	}
	if i < len(times) {
		return false, times[i]
	}
	return false, s.To
}
