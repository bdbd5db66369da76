package rules

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Reasons of transitions.
const (
	ReasonMet      = "condition_met"       // the row is there, and `for` has passed
	ReasonWaiting  = "waiting_for"         // the row is there, `for` has not passed: pending
	ReasonCleared  = "condition_cleared"   // the row is gone
	ReasonNotHeld  = "condition_not_held"  // the row went before `for` had passed: nobody was told
	ReasonHolding  = "holding"             // the row is gone, keep_firing_for has not passed
	ReasonReturned = "condition_returned"  // the row came back while holding
	ReasonRemoved  = "rule_removed"        // the rule is gone, or its identity columns changed
	ReasonRepeated = "repeat_every_passed" // still firing
)

// alert is one row of a rule, read.
type alert struct {
	fingerprint string
	identity    map[string]string
	accountID   string
	contractID  string
	labels      map[string]string
	notes       map[string]string
	value       churn.OptionalMoney
	currency    string
}

// observation is what one evaluation of one rule saw.
type observation struct {
	rule    *Rule
	alerts  []alert
	partial bool // a source was silent: what was seen is true, what was not seen may be so too
	failed  bool // nothing is known: every alert of the rule holds
}

// prior is where the alerts of a group stood: the latest transition of each fingerprint.
type prior map[string]churn.Transition

// lifecycle is what step needs beside what was seen.
type lifecycle struct {
	at           time.Time
	holdoutShare float64
	retired      map[string]int // episodes that fingerprints had in other groups, where their rule stood before
}

// step is the lifecycle: where the alerts stood and what a tick saw give the transitions, in a fixed order. It is pure.
func (l lifecycle) step(before prior, group []*Rule, seen []observation) []churn.Transition {
	var out []churn.Transition
	emit := func(t churn.Transition) {
		t.ID = churn.TransitionID(t.Fingerprint, t.Episode, t.Sequence)
		t.At = l.at
		t.Topic, t.Key, t.Headers, t.Value = "", "", nil, nil
		out = append(out, t)
	}
	present := map[string]bool{}
	quiet := map[string]observation{} // rules whose absent rows mean something
	for _, o := range seen {
		quiet[o.rule.Name] = o
		for _, a := range o.alerts {
			present[a.fingerprint] = true
			was, known := before[a.fingerprint]
			if t, changed := l.met(o.rule, was, known, a); changed {
				emit(t)
			}
		}
	}
	rules := map[string]*Rule{}
	for _, r := range group {
		rules[r.Name] = r
	}
	for _, fingerprint := range sortedKeys(before) {
		was := before[fingerprint]
		if present[fingerprint] || (!was.State.Open() && was.State != churn.Pending) {
			continue
		}
		r := rules[was.Rule]
		if r == nil || !sameIdentity(r, was) {
			emit(l.ended(was, ReasonRemoved))
			continue
		}
		if o, ok := quiet[was.Rule]; !ok || o.failed || o.partial {
			continue // no data is never "no risk"
		}
		if t, changed := l.cleared(r, was); changed {
			emit(t)
		}
	}
	slices.SortStableFunc(out, func(a, b churn.Transition) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return out
}

// met decides about an alert whose row is there.
func (l lifecycle) met(r *Rule, was churn.Transition, known bool, a alert) (churn.Transition, bool) {
	next := was
	next.Sequence++
	next.Fingerprint, next.Rule, next.RuleVersion, next.Severity, next.Kind = a.fingerprint, r.Name, r.Version, r.Severity, r.Kind
	next.Identity, next.AccountID, next.ContractID = a.identity, a.accountID, a.contractID
	next.Labels, next.Annotations, next.ValueAtRisk, next.Currency = a.labels, a.notes, a.value, a.currency
	if !known {
		next.Episode, next.Sequence = l.retired[a.fingerprint]+1, 1
		next.Arm = l.arm(a.accountID)
	}
	switch {
	case was.State.Open() && was.Reason == ReasonHolding:
		next.Reason = ReasonReturned
		return next, true
	case was.State.Open():
		if r.RepeatEvery > 0 && was.State != churn.Snoozed && !l.at.Before(was.At.Add(r.RepeatEvery)) {
			next.State, next.Reason = churn.Reminder, ReasonRepeated
			return next, true
		}
		return was, false
	case was.State == churn.Pending:
		if l.at.Before(was.At.Add(r.For)) {
			return was, false
		}
	default:
		spent := max(was.Episode, l.retired[a.fingerprint])
		if known && (!was.StartsAt.IsZero() || spent > was.Episode) { // an episode that fired has ended; one that never fired goes on
			next.Episode, next.Sequence = spent+1, 1
		}
		next.StartsAt, next.ResolvedAt = time.Time{}, time.Time{}
		if r.For > 0 {
			next.State, next.Reason = churn.Pending, ReasonWaiting
			return next, true
		}
	}
	next.State, next.Reason, next.StartsAt = churn.Firing, ReasonMet, l.at
	return next, true
}

// cleared decides about an alert whose row is gone.
func (l lifecycle) cleared(r *Rule, was churn.Transition) (churn.Transition, bool) {
	if was.State == churn.Pending {
		return l.ended(was, ReasonNotHeld), true
	}
	if r.KeepFiringFor > 0 {
		if was.Reason != ReasonHolding {
			next := was
			next.Sequence++
			next.Reason = ReasonHolding
			return next, true
		}
		if l.at.Before(was.At.Add(r.KeepFiringFor)) {
			return was, false
		}
	}
	return l.ended(was, ReasonCleared), true
}

func (l lifecycle) ended(was churn.Transition, reason string) churn.Transition {
	next := was
	next.Sequence++
	next.State, next.Reason, next.ResolvedAt = churn.Resolved, reason, l.at
	return next
}

// published reports whether a transition leaves the house: an episode that never fired and a hold are stored only, and
// so is all that the holdout arm would have been told.
func published(t churn.Transition) bool {
	return t.State.Published() && t.Arm != churn.Holdout && !t.StartsAt.IsZero() &&
		t.Reason != ReasonHolding && t.Reason != ReasonReturned
}

// arm draws the side of the holdout experiment by a hash, so that an account draws the same at every rule.
func (l lifecycle) arm(account string) churn.Arm {
	if account == "" || l.holdoutShare <= 0 {
		return churn.Treatment
	}
	drawn, err := strconv.ParseUint(churn.Digest("holdout", account)[:13], 16, 64) // 52 bits: exact in a float64
	if err == nil && float64(drawn)/(1<<52) < l.holdoutShare {
		return churn.Holdout
	}
	return churn.Treatment
}

func sameIdentity(r *Rule, was churn.Transition) bool {
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

// read turns a rule's rows into alerts. An error names the row or text at fault.
func (r *Rule) read(rows []churn.Row) ([]alert, error) {
	seen := make(map[string]bool, len(rows))
	alerts := make([]alert, 0, len(rows))
	for _, row := range rows {
		a := alert{identity: make(map[string]string, len(r.Identity))}
		for _, name := range r.Identity {
			v, ok := row[name]
			if !ok || v == nil {
				return nil, fmt.Errorf("identity column %q is missing or NULL in a row", name)
			}
			a.identity[name] = plain(v)
		}
		a.fingerprint = churn.Fingerprint(r.Name, a.identity)
		if seen[a.fingerprint] {
			return nil, fmt.Errorf("two rows with one identity (%s): make the query return one row for each, or add a column to identity", describe(a.identity))
		}
		seen[a.fingerprint] = true
		a.accountID, a.contractID = plain(row["account_id"]), plain(row["contract_id"])
		var err error
		if a.value, err = moneyOf(row[r.ValueAtRisk]); err != nil {
			return nil, fmt.Errorf("value_at_risk of %s: %w", describe(a.identity), err)
		}
		if a.value.Known {
			a.currency = plain(row[r.Currency])
		}
		if a.labels, a.notes, err = r.render(row); err != nil {
			return nil, fmt.Errorf("%s: %w", describe(a.identity), err)
		}
		alerts = append(alerts, a)
	}
	return alerts, nil
}

func describe(identity map[string]string) string {
	s := ""
	for _, k := range slices.Sorted(maps.Keys(identity)) {
		if s != "" {
			s += ", "
		}
		s += k + "=" + identity[k]
	}
	return s
}

// plain writes a value as an identity or label holds it.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case churn.OptionalMoney:
		if !v.Known {
			return ""
		}
		return v.Amount.Trim(0).String()
	}
	return fmt.Sprint(v)
}

func moneyOf(v any) (churn.OptionalMoney, error) {
	switch v := v.(type) {
	case nil:
		return churn.OptionalMoney{}, nil
	case churn.OptionalMoney:
		return v, nil
	case float64: // a computed figure; the warehouse's own amounts are exact
		return churn.Money(strconv.FormatFloat(v, 'f', churn.MoneyScale, 64))
	}
	return churn.Money(plain(v))
}
