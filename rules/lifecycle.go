package rules

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// Reasons of transitions.
const (
	ReasonMet       = "condition_met"       // the row is there, and `for` has passed
	ReasonWaiting   = "waiting_for"         // the row is there, `for` has not passed: pending
	ReasonCleared   = "condition_cleared"   // the row is gone
	ReasonNotHeld   = "condition_not_held"  // the row went before `for` had passed: nobody was told
	ReasonHolding   = "holding"             // the row is gone, keep_firing_for has not passed
	ReasonReturned  = "condition_returned"  // the row came back while holding
	ReasonRemoved   = "rule_removed"        // the rule is gone, or its identity columns changed
	ReasonRepeated  = "repeat_every_passed" // still firing
	ReasonEscalated = "escalated"           // nobody acknowledged it within escalate_after
	ReasonToldLater = "told_later"          // people were not told when it happened, and are now

	ReasonAcknowledged = "acknowledged"     // a person looks after it
	ReasonSnoozed      = "snoozed"          // a person wants to hear of it later
	ReasonSnoozeEnded  = "snooze_ended"     // it still fires
	ReasonClosed       = "closed"           // a person ended it
	ReasonLeft         = "left_after_close" // the row of a closed alert is gone: its return would be a new episode
	ReasonJudged       = "judged"           // a person said what it turned out to be

	ReasonNoData         = "no_data"         // of the rule itself: a source is silent
	ReasonDataReturned   = "data_returned"   // it tells again
	ReasonQueryFailed    = "query_failed"    // of the rule itself
	ReasonQueryRecovered = "query_recovered" // it works again
)

// match is one row of a rule, read.
type match struct {
	fingerprint string
	identity    map[string]string
	accountID   string
	contractID  string
	row         alert.Row // what its texts are filled with, where it comes to that
	value       churn.OptionalMoney
	currency    string
	happenedAt  time.Time
}

// observation is what one evaluation of one rule saw.
type observation struct {
	rule    *Rule
	alerts  []match
	partial bool   // a source was silent: what was seen is true, what was not seen may be so too
	failed  bool   // nothing is known: every alert of the rule holds
	why     string // of either
}

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

// lifecycle is what step needs beside what was seen.
type lifecycle struct {
	at           time.Time
	since        time.Duration // from the instant that was looked from before; 0: there was none
	unattended   bool          // nobody evaluated then, and a later tick is due too: people are told the final state
	zone         *time.Location
	maximum      int // of alerts that an owner is told of in a week; 0: none
	holdoutShare float64
	retired      map[string]int // episodes that fingerprints had in other groups, where their rule stood before
}

// step is the lifecycle: where the alerts stood and what a tick saw give the transitions, in a fixed order. It is pure. It
// fails where the text of an alert that is to be told cannot be filled.
func (l lifecycle) step(before prior, group []*Rule, seen []observation) ([]alert.Transition, error) {
	var out []alert.Transition
	emit := func(t alert.Transition, changed bool) {
		if changed {
			out = append(out, l.made(t))
		}
	}
	present := map[string]bool{}
	quiet := map[string]observation{} // rules whose absent rows mean something
	for _, o := range seen {
		quiet[o.rule.Name] = o
		for _, a := range o.alerts {
			present[a.fingerprint] = true
			was, known := before[a.fingerprint]
			next, changed := l.met(o.rule, was, known, a)
			if changed { // most rows of most ticks change nothing, and filling their texts would cost most of the tick
				var err error
				if next.Labels, next.Annotations, err = o.rule.render(a.row); err != nil {
					return nil, fmt.Errorf("%s: %w", describe(a.identity), err)
				}
			}
			emit(next, changed)
		}
		emit(l.health(before, o))
	}
	rules := map[string]*Rule{}
	for _, r := range group {
		rules[r.Name] = r
	}
	gone := func(was alert.Transition) bool { return unfinished(was) && !present[was.Fingerprint] }
	for _, fingerprint := range before.those(gone) {
		was := before[fingerprint]
		r := rules[was.Rule]
		if r == nil || !ofRule(was) && !sameIdentity(r, was) {
			emit(l.ended(was, ReasonRemoved), true)
			continue
		}
		if o, ok := quiet[was.Rule]; !ok || o.failed || o.partial || ofRule(was) {
			continue // no data is never "no risk"
		}
		emit(l.cleared(r, was))
	}
	out = l.tell(before, out)
	slices.SortStableFunc(out, func(a, b alert.Transition) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return out, nil
}

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

// ofRule reports whether a transition is about the rule itself and not about an alert of it.
func ofRule(t alert.Transition) bool { return len(t.Identity) == 0 }

// next is where a transition goes on from the one before.
func next(was alert.Transition) alert.Transition {
	was.Sequence++
	was.FeedbackID, was.Untold = "", ""
	return was
}

// met decides about an alert whose row is there.
func (l lifecycle) met(r *Rule, was alert.Transition, known bool, a match) (alert.Transition, bool) {
	next := next(was)
	next.Fingerprint, next.Rule, next.RuleVersion, next.Severity, next.Kind = a.fingerprint, r.Name, r.Version, r.Severity, r.Kind
	next.Identity, next.AccountID, next.ContractID = a.identity, a.accountID, a.contractID
	next.ValueAtRisk, next.Currency = a.value, a.currency
	if was.Escalated {
		next.Severity = was.Severity
	}
	if !known {
		next.Episode, next.Sequence = l.retired[a.fingerprint]+1, 1
		next.Arm = l.arm(a.accountID)
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
		spent := max(was.Episode, l.retired[a.fingerprint])
		if known && (!was.StartsAt.IsZero() || spent > was.Episode) { // an episode that fired has ended; one that never fired goes on
			next.Episode, next.Sequence = spent+1, 1
		}
		l.begin(r, a, &next)
		if r.For > 0 {
			next.State, next.Reason = alert.Pending, ReasonWaiting
			return next, true
		}
	}
	next.State, next.Reason, next.StartsAt = alert.Firing, ReasonMet, l.at
	return next, true
}

// begin forgets what belonged to the episode before.
func (l lifecycle) begin(r *Rule, a match, t *alert.Transition) {
	t.StartsAt, t.ResolvedAt, t.HeldSince, t.SnoozedUntil = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	t.Closed, t.Escalated, t.Severity = false, false, r.Severity
	t.By, t.Why, t.Disposition = "", "", ""
	t.HappenedAt = a.happenedAt
	// Where ticks are far apart, or nobody evaluated, a fact is as old as that without being late itself.
	t.Late = r.HappenedAt != "" && !a.happenedAt.IsZero() && l.at.Sub(a.happenedAt) > r.LateAfter+l.since
}

// goesOn decides about an open alert whose row is there, and reports whether that changes it.
func (l lifecycle) goesOn(r *Rule, was alert.Transition, t *alert.Transition) bool {
	told := was.Told.Episode == was.Episode
	waits := was.State == alert.Firing || was.State == alert.Reminder // that somebody takes it up
	switch {
	case !was.HeldSince.IsZero():
		t.Reason, t.HeldSince = ReasonReturned, time.Time{}
	case was.State == alert.Snoozed && !l.at.Before(was.SnoozedUntil):
		t.State, t.Reason = alert.Firing, ReasonSnoozeEnded
	case !told || l.unattended:
		return false
	case waits && r.EscalateAfter > 0 && !was.Escalated && !l.at.Before(was.Told.First.Add(r.EscalateAfter)):
		t.State, t.Reason, t.Escalated, t.Severity = alert.Reminder, ReasonEscalated, true, r.EscalateSeverity
	case waits && r.RepeatEvery > 0 && !l.at.Before(was.Told.Last.Add(r.RepeatEvery)):
		t.State, t.Reason = alert.Reminder, ReasonRepeated
	default:
		return false
	}
	return true
}

// cleared decides about an alert whose row is gone.
func (l lifecycle) cleared(r *Rule, was alert.Transition) (alert.Transition, bool) {
	switch {
	case was.Closed:
		next := next(was)
		next.Closed, next.Reason = false, ReasonLeft
		return next, true
	case was.State == alert.Pending:
		return l.ended(was, ReasonNotHeld), true
	case r.KeepFiringFor > 0 && was.HeldSince.IsZero():
		next := next(was)
		next.Reason, next.HeldSince = ReasonHolding, l.at
		return next, true
	case r.KeepFiringFor > 0 && l.at.Before(was.HeldSince.Add(r.KeepFiringFor)):
		return was, false
	}
	return l.ended(was, ReasonCleared), true
}

func (l lifecycle) ended(was alert.Transition, reason string) alert.Transition {
	next := next(was)
	next.HeldSince = time.Time{}
	if was.Closed { // it has ended before
		next.Closed, next.Reason = false, ReasonLeft
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
	case o.failed:
		next.State, next.Reason = alert.QueryError, ReasonQueryFailed
	case o.partial:
		next.State, next.Reason = alert.NoData, ReasonNoData
	case was.State == alert.NoData:
		return l.ended(was, ReasonDataReturned), true
	case was.State == alert.QueryError:
		return l.ended(was, ReasonQueryRecovered), true
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

func sameIdentity(r *Rule, was alert.Transition) bool {
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
func (r *Rule) read(rows []alert.Row) ([]match, error) {
	seen := make(map[string]bool, len(rows))
	alerts := make([]match, 0, len(rows))
	for _, row := range rows {
		a := match{identity: make(map[string]string, len(r.Identity))}
		for _, name := range r.Identity {
			v, ok := row[name]
			if !ok || v == nil {
				return nil, fmt.Errorf("identity column %q is missing or NULL in a row", name)
			}
			a.identity[name] = plain(v)
		}
		a.fingerprint = alert.Fingerprint(r.Name, a.identity)
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
		if at, ok := row[r.HappenedAt].(time.Time); ok {
			a.happenedAt = at
		}
		a.row = row
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
