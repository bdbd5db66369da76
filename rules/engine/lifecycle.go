package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
)

// observation is what one evaluation of one rule saw.
type observation struct {
	rule    *rules.Rule
	alerts  []rules.Match
	bad     rules.BadRows // the alerts of these hold
	partial bool          // a source was silent: what was seen is true, what was not seen may be so too
	failed  bool          // nothing is known: every alert of the rule holds
	why     string        // of either
}

// without is the observation where rows that seemed to be alerts cannot be.
func (o observation) without(bad rules.BadRows) observation {
	if len(bad) == 0 {
		return o
	}
	all := rules.BadRows{}
	maps.Copy(all, o.bad)
	maps.Copy(all, bad)
	o.bad = all
	o.alerts = slices.DeleteFunc(slices.Clone(o.alerts), func(a rules.Match) bool { return bad[a.Fingerprint] != nil })
	return o
}

// beside is the observation without accounts that are set aside.
func (o observation) beside(aside map[string]bool) observation {
	if len(aside) > 0 {
		o.alerts = slices.DeleteFunc(slices.Clone(o.alerts), func(a rules.Match) bool { return aside[a.AccountID] })
	}
	return o
}

// tellsOfAbsence reports whether what was not seen is not there: no data is never "no risk", nor is a row of unknown identity.
func (o observation) tellsOfAbsence() bool { return !o.failed && !o.partial && o.bad[""] == nil }

// prior is where the alerts of a group stood: the latest transition of each fingerprint.
type prior map[string]alert.Transition

func (p prior) has(fingerprint string) bool {
	_, ok := p[fingerprint]
	return ok
}

// those returns the fingerprints of some alerts, in their order. Most alerts are over and stay as they are: only few are sorted.
func (p prior) those(such func(alert.Transition) bool) (fingerprints []string) {
	for fingerprint, was := range p {
		if such(was) {
			fingerprints = append(fingerprints, fingerprint)
		}
	}
	slices.Sort(fingerprints)
	return fingerprints
}

// fault is the observation of a rule that failed.
func fault(r *rules.Rule, err error) observation {
	return observation{rule: r, failed: true, why: err.Error()}
}

// lifecycle is what step needs beside what was seen.
type lifecycle struct {
	at           time.Time
	since        time.Duration // from the instant that was looked from before; 0: there was none
	unattended   bool          // nobody evaluated then, and a later tick is due too: people are told the final state
	zone         *time.Location
	maximum      int // of alerts that an owner is told of in a week; 0: none
	holdoutShare float64
	retired      map[string]int  // episodes that fingerprints had in other groups, where their rule stood before
	said         map[string]bool // alerts whose change of this tick stands in the log already
	aside        map[string]bool // accounts whose links are no longer brought up to date: their alerts hold
}

// guarded is step, but that a panic is an error.
func (l lifecycle) guarded(before prior, group []*rules.Rule, seen []observation) (changes []alert.Transition, faults map[string]error, err error) {
	defer recovered(&err)
	changes, faults = l.step(before, group, seen)
	return changes, faults, nil
}

// step is the lifecycle: where the alerts stood and what a tick saw give the transitions, in a fixed order. It is pure. An alert of
// which a text cannot be filled holds, as do those of rows that could not be read, and the rule is at fault. Those of
// accounts that are set aside hold too.
func (l lifecycle) step(before prior, group []*rules.Rule, seen []observation) (out []alert.Transition, faults map[string]error) {
	emit := func(t alert.Transition, changed bool) {
		if changed && !l.said[t.Fingerprint] {
			out = append(out, l.made(t))
		}
	}
	faults = map[string]error{}
	present := map[string]bool{}
	held := map[string]bool{}         // nothing is told of these alerts, also nothing that is owed
	quiet := map[string]observation{} // rules whose absent rows mean something
	maps.Copy(held, l.said)
	if len(l.aside) > 0 {
		for fingerprint, was := range before {
			held[fingerprint] = held[fingerprint] || l.aside[was.AccountID]
		}
	}
	for _, o := range seen {
		o = o.beside(l.aside)
		changes, bad, err := l.there(before, o)
		if o = o.without(bad); err != nil {
			o = fault(o.rule, err)
		} else if err = o.bad.Err(); err != nil {
			o.why = err.Error()
		}
		if err != nil {
			faults[o.rule.Name] = err
		}
		quiet[o.rule.Name] = o
		for _, a := range o.alerts {
			present[a.Fingerprint] = true
		}
		for fingerprint := range o.bad {
			present[fingerprint], held[fingerprint] = true, true
		}
		for _, t := range changes {
			emit(t, true)
		}
		emit(l.health(before, o))
	}
	rules := map[string]*rules.Rule{}
	for _, r := range group {
		rules[r.Name] = r
	}
	gone := func(was alert.Transition) bool { return unfinished(was) && !present[was.Fingerprint] }
	for _, fingerprint := range before.those(gone) {
		was := before[fingerprint]
		r := rules[was.Rule]
		if r == nil || !OfRule(was) && !sameIdentity(r, was) {
			emit(l.ended(was, alert.ReasonRemoved), true)
			continue
		}
		if o, ok := quiet[was.Rule]; !ok || l.aside[was.AccountID] || !o.tellsOfAbsence() || OfRule(was) {
			continue
		}
		emit(l.cleared(r, was))
	}
	out = l.notify(before, out, held)
	slices.SortStableFunc(out, func(a, b alert.Transition) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return out, faults
}

// there decides about the alerts whose rows are there. A panic is the rule's error.
func (l lifecycle) there(before prior, o observation) (changes []alert.Transition, bad rules.BadRows, err error) {
	defer recovered(&err)
	bad = rules.BadRows{}
	for _, a := range o.alerts {
		was, known := before[a.Fingerprint]
		next, changed := l.met(o.rule, was, known, a)
		if !changed { // most rows of most ticks, and filling their texts would cost most of the tick
			continue
		}
		var unfilled error
		if next.Labels, next.Annotations, unfilled = o.rule.Render(a.Row); unfilled != nil {
			bad[a.Fingerprint] = fmt.Errorf("%s: %w", rules.Describe(a.Identity), unfilled)
			continue
		}
		if a.ValueUnknown != "" {
			next.Annotations[valueUnknown] = a.ValueUnknown
		}
		changes = append(changes, next)
	}
	return changes, bad, nil
}

// valueUnknown is the annotation that says why an alert has no value at risk though its row has one.
const valueUnknown = "value_at_risk_unknown"

// made finishes a transition of this instant.
func (l lifecycle) made(t alert.Transition) alert.Transition {
	t.ID = alert.TransitionID(t.Fingerprint, t.Episode, t.Sequence)
	t.At = l.at
	t.Topic, t.Key, t.Headers, t.Value = "", "", nil, nil
	return t
}

// unfinished reports whether something is still to come of an alert whose row is gone.
func unfinished(was alert.Transition) bool {
	return was.State.Open() || was.State == alert.Pending || was.Closed || was.State == alert.NoData || was.State == alert.QueryError
}

// OfRule reports whether a transition is about the rule itself and not about an alert of it.
func OfRule(t alert.Transition) bool { return len(t.Identity) == 0 }

// next is where a transition goes on from the one before.
func next(was alert.Transition) alert.Transition {
	was.Sequence++
	was.FeedbackID, was.Suppressed = "", ""
	return was
}

// met decides about an alert whose row is there.
func (l lifecycle) met(r *rules.Rule, was alert.Transition, known bool, a rules.Match) (alert.Transition, bool) {
	next := next(was)
	next.Fingerprint, next.Rule, next.RuleVersion, next.Severity, next.Kind = a.Fingerprint, r.Name, r.Version, r.Severity, r.Kind
	next.Identity, next.AccountID, next.ContractID = a.Identity, a.AccountID, a.ContractID
	next.ValueAtRisk, next.Currency = a.Value, a.Currency
	if was.Escalated {
		next.Severity = was.Severity
	}
	if !known {
		next.Episode, next.Sequence = l.retired[a.Fingerprint]+1, 1
		next.Arm = l.arm(a.AccountID)
	}
	switch {
	case was.State.Open():
		return next, l.goesOn(r, was, &next)
	case was.Closed:
		return was, false
	case was.State == alert.Pending:
		if l.at.Before(was.At.Add(r.For)) {
			return was, false
		}
	default:
		spent := max(was.Episode, l.retired[a.Fingerprint])
		if known && (!was.StartsAt.IsZero() || spent > was.Episode) { // an episode that fired has ended; one that never fired goes on
			next.Episode, next.Sequence = spent+1, 1
		}
		l.begin(r, a, &next)
		if r.For > 0 {
			next.State, next.Reason = alert.Pending, alert.ReasonWaiting
			return next, true
		}
	}
	next.State, next.Reason, next.StartsAt = alert.Firing, alert.ReasonMet, l.at
	return next, true
}

// begin forgets what belonged to the episode before.
func (l lifecycle) begin(r *rules.Rule, a rules.Match, t *alert.Transition) {
	t.StartsAt, t.ResolvedAt, t.HeldSince, t.SnoozedUntil = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	t.Closed, t.Escalated, t.Severity = false, false, r.Severity
	t.By, t.Why, t.Disposition = "", "", ""
	t.HappenedAt = a.HappenedAt
	// Where ticks are far apart, or nobody evaluated, a fact is as old as that without being late itself.
	t.Late = r.HappenedAt != "" && !a.HappenedAt.IsZero() && l.at.Sub(a.HappenedAt) > r.LateAfter+l.since
}

// goesOn decides about an open alert whose row is there, and reports whether that changes it.
func (l lifecycle) goesOn(r *rules.Rule, was alert.Transition, t *alert.Transition) bool {
	told := was.Notified.Episode == was.Episode
	waits := was.State == alert.Firing || was.State == alert.Reminder // that somebody takes it up
	switch {
	case !was.HeldSince.IsZero():
		t.Reason, t.HeldSince = alert.ReasonReturned, time.Time{}
	case was.State == alert.Snoozed && !l.at.Before(was.SnoozedUntil):
		t.State, t.Reason = alert.Firing, alert.ReasonSnoozeEnded
	case !told || l.unattended:
		return false
	case waits && r.EscalateAfter > 0 && !was.Escalated && !l.at.Before(was.Notified.First.Add(r.EscalateAfter)):
		t.State, t.Reason, t.Escalated, t.Severity = alert.Reminder, alert.ReasonEscalated, true, r.EscalateSeverity
	case waits && r.RepeatEvery > 0 && !l.at.Before(was.Notified.Last.Add(r.RepeatEvery)):
		t.State, t.Reason = alert.Reminder, alert.ReasonRepeated
	default:
		return false
	}
	return true
}

// cleared decides about an alert whose row is gone.
func (l lifecycle) cleared(r *rules.Rule, was alert.Transition) (alert.Transition, bool) {
	switch {
	case was.Closed:
		next := next(was)
		next.Closed, next.Reason = false, alert.ReasonLeft
		return next, true
	case was.State == alert.Pending:
		return l.ended(was, alert.ReasonNotHeld), true
	case r.KeepFiringFor > 0 && was.HeldSince.IsZero():
		next := next(was)
		next.Reason, next.HeldSince = alert.ReasonHolding, l.at
		return next, true
	case r.KeepFiringFor > 0 && l.at.Before(was.HeldSince.Add(r.KeepFiringFor)):
		return was, false
	}
	return l.ended(was, alert.ReasonCleared), true
}

func (l lifecycle) ended(was alert.Transition, reason string) alert.Transition {
	next := next(was)
	next.HeldSince = time.Time{}
	if was.Closed { // it has ended before
		next.Closed, next.Reason = false, alert.ReasonLeft
		return next
	}
	next.State, next.Reason, next.ResolvedAt = alert.Resolved, reason, l.at
	return next
}

// health decides about the rule itself: no data and a failed query are states of their own, stored only.
func (l lifecycle) health(before prior, o observation) (alert.Transition, bool) {
	fingerprint := alert.Fingerprint(o.rule.Name, nil)
	was := before[fingerprint]
	next := next(was)
	next.Fingerprint, next.Rule, next.RuleVersion, next.Severity, next.Kind = fingerprint, o.rule.Name, o.rule.Version, o.rule.Severity, o.rule.Kind
	next.Arm = alert.Treatment
	switch {
	case o.failed, len(o.bad) > 0:
		next.State, next.Reason = alert.QueryError, alert.ReasonQueryFailed
	case o.partial:
		next.State, next.Reason = alert.NoData, alert.ReasonNoData
	case was.State == alert.NoData:
		return l.ended(was, alert.ReasonDataReturned), true
	case was.State == alert.QueryError:
		return l.ended(was, alert.ReasonQueryRecovered), true
	default:
		return was, false
	}
	if was.State == alert.Resolved || was.State == "" {
		next.Episode, next.Sequence, next.ResolvedAt = was.Episode+1, 1, time.Time{}
	}
	next.Annotations = map[string]string{"description": o.why}
	return next, next.State != was.State
}

// arm draws the side of the holdout experiment by a hash, so that an account draws the same at every rule.
func (l lifecycle) arm(account string) alert.Arm {
	if account == "" || l.holdoutShare <= 0 {
		return alert.Treatment
	}
	drawn, err := strconv.ParseUint(churn.Hash("holdout", account)[:13], 16, 64) // 52 bits: exact in a float64
	if err == nil && float64(drawn)/(1<<52) < l.holdoutShare {
		return alert.Holdout
	}
	return alert.Treatment
}

func sameIdentity(r *rules.Rule, was alert.Transition) bool {
	if len(r.Identity) != len(was.Identity) {
		return false
	}
	for _, name := range r.Identity {
		if _, ok := was.Identity[name]; !ok {
			return false
		}
	}
	return true
}
