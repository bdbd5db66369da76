package rules

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
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

// Prefetcher is a Warehouse that is told in advance which queries an instant will be asked, each as often as it will be asked. It
// prefetches two more instants while it answers as of one.
type Prefetcher interface {
	Prefetch(ctx context.Context, at time.Time, queries []string)
}

// ahead is how many moments to come a warehouse is told of: one that costs much is begun before a cheap one is over.
const ahead = 2

// turn is one tick of one group.
type turn struct {
	of   *replay
	l    *ledger
	tick time.Time
}

// at is the instant that the turn looks from.
func (t turn) at() time.Time { return t.tick.Add(-t.l.group.EvalDelay) }

// agenda lists every turn in the order in which they come. Of several at once those that look from the same instant follow one
// another, as what is known at an instant is read once.
func (b *Backtest) agenda(replays []*replay) (all []turn) {
	for _, r := range replays {
		for _, l := range r.ledgers {
			for tick := range l.schedule.Ticks(l.tick, b.To) {
				all = append(all, turn{r, l, tick})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b turn) int {
		return cmp.Or(a.tick.Compare(b.tick), cmp.Compare(b.l.group.EvalDelay, a.l.group.EvalDelay))
	})
	return all
}

// moments cuts an agenda into runs of turns that look from the same instant.
func moments(agenda []turn) (all [][]turn) {
	for len(agenda) > 0 {
		n := 1
		for n < len(agenda) && agenda[n].at().Equal(agenda[0].at()) {
			n++
		}
		all, agenda = append(all, agenda[:n]), agenda[n:]
	}
	return all
}

// prefetch tells the warehouse what will be asked at a moment.
func (b *Backtest) prefetch(ctx context.Context, all [][]turn, n int) {
	w, ok := b.Warehouse.(Prefetcher)
	if !ok || n >= len(all) {
		return
	}
	turns := all[n]
	var queries []string
	for _, t := range turns {
		if t.l.group.namesSources() {
			queries = append(queries, freshnessQuery)
		}
		for _, r := range t.l.group.Rules {
			queries = append(queries, r.Query)
		}
	}
	w.Prefetch(ctx, turns[0].at(), queries)
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
	agenda := b.agenda(replays)
	done, total := 0, len(agenda)
	all := moments(agenda)
	for n := range ahead {
		b.prefetch(ctx, all, n)
	}
	for n, now := range all {
		b.prefetch(ctx, all, n+ahead)
		for _, t := range now {
			if err := t.of.hear(ctx, t.tick); err != nil {
				return nil, nil, err
			}
			err := t.of.engine.retry(ctx, t.l.group.Name, false, func() error {
				return t.of.engine.evaluate(ctx, t.l, t.tick, alert.TickRun, "")
			})
			if err != nil {
				return nil, nil, fmt.Errorf("tick %s of group %s: %w", t.tick.Format(time.RFC3339), t.l.group.Name, err)
			}
			if done++; progress != nil {
				progress(done, total)
			}
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
