package engine

import (
	"context"
	"fmt"
	"maps"
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
	if Tellable(t) && was.Told.Episode == was.Episode {
		l.told(&t)
	} else if Tellable(t) {
		t.Untold = was.Untold
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

const hearEvery = 250 * time.Millisecond

// listen applies feedback between ticks until the context ends.
func (e *Engine) listen(ctx context.Context, ledgers []*Ledger) error {
	every := e.HearEvery
	if every <= 0 {
		every = hearEvery
	}
	source, ok := e.Log.(Feedback)
	if !ok || len(ledgers) == 0 {
		return nil
	}
	for {
		if err := wait(ctx, every); err != nil {
			return err
		}
		if err := e.Retry(ctx, "feedback", true, func() error { return e.sweep(ctx, source, ledgers) }); err != nil {
			return err
		}
	}
}

// sweep answers what people did. A ledger whose tick is being evaluated is passed by: the others must not wait for it.
func (e *Engine) sweep(ctx context.Context, source Feedback, ledgers []*Ledger) error {
	unapplied, err := source.Unapplied(ctx)
	if err != nil {
		return fmt.Errorf("reading feedback: %w", err)
	}
	for _, f := range unapplied {
		settled := false
		for _, l := range ledgers {
			if !l.mu.TryLock() {
				settled = true // it may be this one's
				continue
			}
			taken, err := e.Take(ctx, l, f)
			l.mu.Unlock()
			if err != nil {
				return err
			}
			if settled = settled || taken; taken {
				break
			}
		}
		if !settled { // what is about no alert at all is answered, too, so that it can be asked for
			l := ledgers[0]
			l.mu.Lock()
			_, err := e.Reply(ctx, l, f)
			l.mu.Unlock()
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// hear answers what people did with the alerts of a ledger and was known at a tick: it counts at that tick. The ledger is locked.
func (e *Engine) hear(ctx context.Context, l *Ledger, tick time.Time) error {
	source, ok := e.Log.(Feedback)
	if !ok {
		return nil
	}
	if e.SettleFeedback != nil {
		if err := e.settleFeedback(ctx, tick); err != nil {
			return fmt.Errorf("waiting for feedback known at %s: %w", tick.Format(time.RFC3339), err)
		}
	}
	unapplied, err := source.Unapplied(ctx)
	if err != nil {
		return fmt.Errorf("reading feedback: %w", err)
	}
	for _, f := range unapplied {
		if f.KnownAt.After(tick) {
			continue
		}
		if _, err := e.Take(ctx, l, f); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) settleFeedback(ctx context.Context, by time.Time) error {
	e.settling.Lock()
	defer e.settling.Unlock()
	return e.SettleFeedback(ctx, by)
}

// Take answers one feedback if it is about an alert of this ledger, which is locked, and reports whether it is. It may have been
// answered since it was read, by a tick or between ticks; and what was known after a tick that is due waits for that tick.
func (e *Engine) Take(ctx context.Context, l *Ledger, f churn.FeedbackEvent) (bool, error) {
	if _, known := l.Before[f.Fingerprint]; !known {
		return false, nil
	}
	if due := l.Schedule.Next(l.Tick); !due.IsZero() && due.Before(f.KnownAt) {
		return true, nil
	}
	if _, answered := l.answered[f.EventID]; answered {
		return true, nil
	}
	_, err := e.Reply(ctx, l, f)
	return true, err
}

// Reply appends the entry that answers one feedback.
func (e *Engine) Reply(ctx context.Context, l *Ledger, f churn.FeedbackEvent) (outcome string, err error) {
	entry := alert.Entry{Group: l.Group.Name, N: l.n + 1, Writer: e.attempt(), Tick: l.Tick, At: f.KnownAt, Status: alert.TickFeedback}
	outcome = "no alert has this fingerprint"
	was, known := l.Before[f.Fingerprint]
	if known {
		var t alert.Transition
		if t, outcome = e.lifecycle(l, f.KnownAt).apply(was, f); outcome == churn.FeedbackApplied {
			entry.Transitions = []alert.Transition{t}
		}
	}
	entry.Feedback = []churn.FeedbackOutcome{{EventID: f.EventID, Outcome: outcome}}
	if err := e.dress(ctx, l, &entry); err != nil {
		return "", err
	}
	if err := e.commit(ctx, l, entry); err != nil {
		return "", err
	}
	l.answer(f.EventID, e.now())
	if e.Observe.Transition != nil {
		for _, t := range entry.Transitions {
			e.Observe.Transition(t)
		}
	}
	return outcome, nil
}

// answered is kept for longer than anybody can hold a reading of what is not answered.
const answeredFor = time.Hour

func (l *Ledger) answer(id string, now time.Time) {
	maps.DeleteFunc(l.answered, func(_ string, at time.Time) bool { return now.Sub(at) > answeredFor })
	if l.answered == nil {
		l.answered = map[string]time.Time{}
	}
	l.answered[id] = now
}
