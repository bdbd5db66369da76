package rules

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Backtest runs rules over the past: every tick of a span as a process that evaluated then would have, by the same queries and the
// same lifecycle, as known at each instant. Nothing is published.
type Backtest struct {
	Set       *Set
	Compare   *Set // other rules, run over the same past beside them; nil: none
	Warehouse Warehouse
	From, To  time.Time // ticks after From, until To
	Schedule  string    // replaces every group's schedule. Defaults to ""

	HoldoutShare float64               // as of Engine
	Feedback     []churn.FeedbackEvent // what people did, in the order of knowing
	KeepValues   bool                  // keeps the bytes that would have been published
}

// replay is one set's way through the past.
type replay struct {
	engine   *Engine
	ledgers  []*ledger
	log      *MemoryLog
	feedback []churn.FeedbackEvent // not heard yet
}

// Queries are the texts that the rules of a set ask the warehouse.
func (s *Set) Queries() []string {
	queries := []string{freshnessQuery}
	for _, g := range s.Groups {
		for _, r := range g.Rules {
			queries = append(queries, r.Query)
		}
	}
	return queries
}

// Run evaluates every tick and returns the ledgers of Set and of Compare, which is empty where there is none.
func (b *Backtest) Run(ctx context.Context, progress func(done, total int)) (set, compare *MemoryLog, err error) {
	first, err := b.open(ctx, b.Set)
	if err != nil {
		return nil, nil, err
	}
	replays := []*replay{first}
	if b.Compare != nil {
		second, err := b.open(ctx, b.Compare)
		if err != nil {
			return nil, nil, err
		}
		replays = append(replays, second)
	}
	done, total := 0, 0
	for _, r := range replays {
		for _, l := range r.ledgers {
			for range l.schedule.Ticks(l.tick, b.To) {
				total++
			}
		}
	}
	for {
		r, l, tick := b.next(replays)
		if l == nil {
			break
		}
		if err := r.hear(ctx, tick); err != nil {
			return nil, nil, err
		}
		err := r.engine.retry(ctx, l.group.Name, false, func() error {
			return r.engine.evaluate(ctx, l, tick, churn.TickRun, "")
		})
		if err != nil {
			return nil, nil, fmt.Errorf("tick %s of group %s: %w", tick.Format(time.RFC3339), l.group.Name, err)
		}
		if done++; progress != nil {
			progress(done, total)
		}
	}
	for _, r := range replays {
		if err := r.hear(ctx, b.To); err != nil {
			return nil, nil, err
		}
	}
	compare = &MemoryLog{}
	if len(replays) > 1 {
		compare = replays[1].log
	}
	return first.log, compare, nil
}

func (b *Backtest) open(ctx context.Context, set *Set) (*replay, error) {
	r := &replay{log: &MemoryLog{light: !b.KeepValues}, feedback: slices.Clone(b.Feedback)}
	r.engine = &Engine{Set: set, Warehouse: b.Warehouse, Log: r.log, From: b.From, Schedule: b.Schedule, HoldoutShare: b.HoldoutShare,
		Writer: "backtest", Logger: slog.New(slog.DiscardHandler)} // a rule that failed is in the ledger
	r.feedback = slices.DeleteFunc(r.feedback, func(f churn.FeedbackEvent) bool { return !f.KnownAt.After(b.From) })
	var err error
	r.ledgers, err = r.engine.open(ctx, b.From, false)
	return r, err
}

// next is the tick that comes first; of several at once those that look from the same instant follow one another, as what is
// known at an instant is read once.
func (b *Backtest) next(replays []*replay) (first *replay, of *ledger, tick time.Time) {
	for _, r := range replays {
		for _, l := range r.ledgers {
			t := l.schedule.Next(l.tick)
			if t.IsZero() || t.After(b.To) {
				continue
			}
			if of == nil || t.Before(tick) || t.Equal(tick) && l.group.EvalDelay > of.group.EvalDelay {
				first, of, tick = r, l, t
			}
		}
	}
	return first, of, tick
}

// hear applies what people did and was known by an instant. What no alert had then changes nothing, as it did then.
func (r *replay) hear(ctx context.Context, by time.Time) error {
	for ; len(r.feedback) > 0 && !r.feedback[0].KnownAt.After(by); r.feedback = r.feedback[1:] {
		for _, l := range r.ledgers {
			taken, err := r.engine.take(ctx, l, r.feedback[0])
			if err != nil {
				return fmt.Errorf("applying feedback %s: %w", r.feedback[0].EventID, err)
			}
			if taken {
				break
			}
		}
	}
	return nil
}
