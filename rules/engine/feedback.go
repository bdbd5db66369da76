package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// apply is what a person's feedback makes of an alert; where it changes nothing, the outcome says why. It is pure.
func (l lifecycle) apply(was alert.Transition, f churn.FeedbackEvent) (t alert.Transition, outcome string) {
	if outcome := refusal(was, f); outcome != "" {
		return was, outcome
	}
	t = next(was)
	t.FeedbackID, t.By, t.Why = f.EventID, f.By, f.Reason
	if f.Disposition != "" {
		t.Disposition = f.Disposition
	}
	switch f.Action {
	case churn.Acknowledge:
		t.State, t.Reason = alert.Acknowledged, alert.ReasonAcknowledged
	case churn.Snooze:
		t.State, t.Reason, t.SnoozedUntil = alert.Snoozed, alert.ReasonSnoozed, f.Until
	case churn.Close:
		// The row may stay for long: until it goes, it is the same trouble, and nobody is told of it anew.
		t.State, t.Reason, t.ResolvedAt, t.Closed, t.HeldSince = alert.Resolved, alert.ReasonClosed, l.at, true, time.Time{}
	case churn.Judge:
		t.Reason = alert.ReasonJudged
	}
	t = l.made(t)
	if Notifies(t) && was.Notified.Episode == was.Episode {
		l.notified(&t)
	} else if Notifies(t) {
		t.Suppressed = was.Suppressed
	} else {
		t.Suppressed = stillOwed(was)
	}
	return t, churn.FeedbackApplied
}

// refusal says why feedback cannot change an alert, or "".
func refusal(was alert.Transition, f churn.FeedbackEvent) string {
	switch {
	case was.StartsAt.IsZero():
		return "the alert has not fired"
	case f.Episode > was.Episode:
		return fmt.Sprintf("there is no episode %d yet: the last one is %d", f.Episode, was.Episode)
	case f.Episode != 0 && f.Episode < was.Episode:
		return fmt.Sprintf("episode %d is over; it has fired anew since", f.Episode)
	case f.Episode == 0 && !f.OccurredAt.IsZero() && f.OccurredAt.Before(was.StartsAt):
		return fmt.Sprintf("it is older than episode %d", was.Episode)
	case f.Action == churn.Judge:
		return ""
	case !was.State.Open():
		return "the alert is resolved"
	case f.Action == churn.Acknowledge && was.State == alert.Acknowledged:
		return "it was acknowledged before, by " + was.By
	case f.Action == churn.Snooze && !f.Until.After(f.KnownAt):
		return "the snooze had ended when it arrived"
	}
	return ""
}

// Answer applies what people did to the ledger that has the alert, each in an entry of its own, and returns those entries and what is
// about no alert of any group: every group was asked, these ledgers now and the others in earlier calls. Feedback may have been
// answered since it was read, by a tick or between ticks; and what was known after a tick that is due waits for that tick.
func (e *Engine) Answer(ctx context.Context, ledgers []*Ledger, feedback []churn.FeedbackEvent) (entries []alert.Entry, nobodys []churn.FeedbackEvent, err error) {
	for _, f := range feedback {
		i := slices.IndexFunc(ledgers, func(l *Ledger) bool { _, known := l.before[f.Fingerprint]; return known })
		if i < 0 {
			if e.deny(f, ledgers) {
				nobodys = append(nobodys, f)
			}
			continue
		}
		l := ledgers[i]
		due := l.Next()
		_, answered := l.answered[f.EventID]
		if answered || !due.IsZero() && due.Before(f.KnownAt) {
			continue
		}
		entry, err := e.Apply(ctx, l, f)
		if err != nil {
			return entries, nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nobodys, nil
}

// deny notes that feedback is about no alert of these ledgers, and reports whether that holds for every group. Groups that evaluate
// without a pause are never all free at once: each says so when it is.
func (e *Engine) deny(f churn.FeedbackEvent, ledgers []*Ledger) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	by := e.denied[f.EventID]
	if by == nil {
		by = map[string]bool{}
		if e.denied == nil {
			e.denied = map[string]map[string]bool{}
		}
		e.denied[f.EventID] = by
	}
	for _, l := range ledgers {
		by[l.Group.Name] = true
	}
	return len(by) >= len(e.Set.Groups)
}

// Apply appends the entry that answers one feedback, whatever it is about: what changes nothing is answered too, with the reason,
// so that it can be asked for.
func (e *Engine) Apply(ctx context.Context, l *Ledger, f churn.FeedbackEvent) (alert.Entry, error) {
	entry := alert.Entry{Group: l.Group.Name, N: l.n + 1, Writer: e.attempt(), Tick: l.last, At: f.KnownAt, Status: alert.TickFeedback}
	outcome := "no alert has this fingerprint"
	if was, known := l.before[f.Fingerprint]; known {
		if entry.At.Before(was.At) { // by a header: nobody can have said it of what was not there yet
			entry.At = was.At
		}
		var t alert.Transition
		if t, outcome = e.lifecycle(l, entry.At).apply(was, f); outcome == churn.FeedbackApplied {
			entry.Transitions = []alert.Transition{t}
		}
	}
	entry.Feedback = []churn.FeedbackOutcome{{EventID: f.EventID, Outcome: outcome}}
	faults, bad, err := e.encode(ctx, l, &entry)
	for _, fault := range faults {
		err = errors.Join(err, fault)
	}
	for _, rows := range bad {
		err = errors.Join(err, rows)
	}
	if err == nil {
		err = e.Append(ctx, l, entry)
	}
	if err != nil {
		return entry, fmt.Errorf("answering feedback %s: %w", f.EventID, err)
	}
	e.mu.Lock()
	delete(e.denied, f.EventID)
	e.mu.Unlock()
	l.answer(f.EventID, e.now())
	return entry, nil
}

// answeredFor is longer than anybody can hold a reading of what is not answered.
const answeredFor = time.Hour

func (l *Ledger) answer(id string, now time.Time) {
	maps.DeleteFunc(l.answered, func(_ string, at time.Time) bool { return now.Sub(at) > answeredFor })
	if l.answered == nil {
		l.answered = map[string]time.Time{}
	}
	l.answered[id] = now
}
