package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/dial"
	"github.com/aftershock/aftershock/rules/engine"
	"github.com/aftershock/aftershock/warehouse"
)

// How long to wait before an attempt at a tick is repeated, at first and at most.
const (
	firstRetry   = 500 * time.Millisecond
	longestRetry = 30 * time.Second
)

// listenEvery is how often feedback is looked for between ticks.
const listenEvery = 250 * time.Millisecond

// answer applies what people did with the alerts of a group, which is locked, and was known by a tick: it counts at that tick.
func (v *evaluation) answer(ctx context.Context, g *ruleGroup, by time.Time) error {
	unapplied, err := v.unapplied(ctx)
	if err != nil {
		return err
	}
	known := slices.DeleteFunc(unapplied, func(f churn.FeedbackEvent) bool { return f.KnownAt.After(by) })
	_, err = v.reply(ctx, []*engine.Ledger{g.Ledger}, known)
	return err
}

func (v *evaluation) unapplied(ctx context.Context) ([]churn.FeedbackEvent, error) {
	unapplied, err := v.feedback.Unapplied(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading feedback: %w", err)
	}
	return unapplied, nil
}

func (v *evaluation) reply(ctx context.Context, ledgers []*engine.Ledger, feedback []churn.FeedbackEvent) (nobodys []churn.FeedbackEvent, err error) {
	began := v.clock()
	entries, nobodys, err := v.engine.Answer(ctx, ledgers, feedback)
	for _, entry := range entries {
		v.appended(entry, began)
	}
	return nobodys, err
}

// listen applies feedback between ticks until the context ends.
func (v *evaluation) listen(ctx context.Context) error {
	for {
		if err := dial.Sleep(ctx, v.listenEvery); err != nil {
			return err
		}
		if err := v.retry(ctx, "feedback", true, func() error { return v.sweep(ctx) }); err != nil {
			return err
		}
	}
}

// sweep answers what people did. A group whose tick is being evaluated is passed by: the others must not wait for it. What is about no
// alert at all is answered too, so that it can be asked for.
func (v *evaluation) sweep(ctx context.Context) error {
	unapplied, err := v.unapplied(ctx)
	if err != nil || len(unapplied) == 0 {
		return err
	}
	var free []*engine.Ledger
	for _, g := range v.groups {
		if g.mu.TryLock() {
			defer g.mu.Unlock()
			free = append(free, g.Ledger)
		}
	}
	nobodys, err := v.reply(ctx, free, unapplied)
	if err != nil || len(free) == 0 {
		return err
	}
	for _, f := range nobodys {
		if _, err := v.engine.Apply(ctx, free[0], f); err != nil {
			return err
		}
	}
	return nil
}

// open reads where every group stands, and ends the alerts of groups that are gone. The patient repeat whatever fails.
func (v *evaluation) open(ctx context.Context, patient bool) error {
	now := v.clock()
	var ledgers []*engine.Ledger
	for _, g := range v.engine.Set.Groups {
		err := v.retry(ctx, g.Name, patient, func() error {
			ledger, err := v.engine.Open(ctx, g, now)
			if err == nil {
				ledgers = append(ledgers, ledger)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, ledger := range ledgers {
		v.groups = append(v.groups, &ruleGroup{Ledger: ledger, since: v.since})
	}
	return v.retry(ctx, "", patient, func() error {
		entries, err := v.engine.Retire(ctx, ledgers, now)
		for _, entry := range entries {
			v.appended(entry, now)
		}
		return err
	})
}

// run evaluates every group at its ticks until the context ends, which is no error. A group never overlaps itself and never waits for
// another. Errors are repeated for ever, but for those that say that another process leads: these are returned.
func (v *evaluation) run(ctx context.Context) error {
	if err := v.open(ctx, true); err != nil {
		return ended(ctx, err)
	}
	all, stop := errgroup.WithContext(ctx)
	if len(v.groups) > 0 {
		all.Go(func() error { return v.listen(stop) })
	}
	for _, g := range v.groups {
		all.Go(func() error { return v.follow(stop, g) })
	}
	err := all.Wait()
	if err == nil {
		<-ctx.Done() // a set without groups waits too
	}
	return ended(ctx, err)
}

// ended drops the error that only says that the caller stopped us.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// catchUp accounts for every tick due at or before until, in the order of time across the groups. Each group's catch_up decides
// which of them are evaluated. Outages are waited out; other errors are returned.
func (v *evaluation) catchUp(ctx context.Context, until time.Time, progress func(done, total int)) error {
	if err := v.open(ctx, false); err != nil {
		return err
	}
	done, total := 0, 0
	for _, g := range v.groups {
		for range g.Schedule.Ticks(g.Last(), until) {
			total++
		}
	}
	for {
		var first *ruleGroup
		for _, g := range v.groups {
			if due := g.Next(); !due.IsZero() && !due.After(until) && (first == nil || due.Before(first.Next())) {
				first = g
			}
		}
		if first == nil {
			return nil
		}
		if err := v.account(ctx, first, first.Next(), until, false); err != nil {
			return err
		}
		if done++; progress != nil {
			progress(done, total)
		}
	}
}

// retry repeats what fails. The patient repeat everything but what says that another process leads; otherwise only outages are.
func (v *evaluation) retry(ctx context.Context, name string, patient bool, attempt func() error) error {
	return dial.Retry(ctx, dial.Pause{First: firstRetry, Longest: longestRetry}, attempt, func(f dial.Failure) bool {
		if deposed(f.Err) || !patient && !v.engine.Outage(f.Err) {
			return false
		}
		slog.Warn("evaluation waits", "group", name, "retry_in", f.Wait, "error", f.Err)
		v.metrics.retries.WithLabelValues(name).Inc()
		return true
	})
}

// deposed reports whether an error says that another process leads.
func deposed(err error) bool {
	return errors.Is(err, engine.ErrTaken) || errors.Is(err, warehouse.ErrAnotherWriter)
}
