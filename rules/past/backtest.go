package past

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/rules/engine"
)

// Backtest runs rules over the past: every tick of a span as a process that evaluated then would have, by the same queries and the
// same lifecycle, as known at each instant. Nothing is published.
type Backtest struct {
	Set       *rules.Set
	Compare   *rules.Set // other rules, run over the same past beside them; nil: none
	Warehouse engine.Warehouse
	From, To  time.Time // ticks after From, until To
	Schedule  string    // replaces every group's schedule. Defaults to ""

	HoldoutShare float64               // as of Engine
	Feedback     []churn.FeedbackEvent // what people did, in the order of knowing
	KeepValues   bool                  // keeps the bytes that would have been published
}

// replay is one set's way through the past.
type replay struct {
	engine   *engine.Engine
	ledgers  []*engine.Ledger
	log      *engine.MemoryLog
	feedback []churn.FeedbackEvent // not heard yet
}

// Foreseeing is a Warehouse that is told, before an instant is looked from, what will be asked of it: each query as often as it
// will be. It is told of two instants more while it answers as of one.
type Foreseeing interface {
	Expect(ctx context.Context, at time.Time, queries []string)
}

// ahead is how many moments to come a warehouse is told of: one that costs much is begun before a cheap one is over.
const ahead = 2

// turn is one tick of one group.
type turn struct {
	of   *replay
	l    *engine.Ledger
	tick time.Time
}

// at is the instant that the turn looks from.
func (t turn) at() time.Time { return t.tick.Add(-t.l.Group.EvalDelay) }

// agenda lists every turn in the order in which they come. Of several at once those that look from the same instant follow one
// another, as what is known at an instant is read once.
func (b *Backtest) agenda(replays []*replay) (all []turn) {
	for _, r := range replays {
		for _, l := range r.ledgers {
			for tick := range l.Schedule.Ticks(l.Tick, b.To) {
				all = append(all, turn{r, l, tick})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b turn) int {
		return cmp.Or(a.tick.Compare(b.tick), cmp.Compare(b.l.Group.EvalDelay, a.l.Group.EvalDelay))
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

// expect tells the warehouse what will be asked at a moment.
func (b *Backtest) expect(ctx context.Context, all [][]turn, n int) {
	w, ok := b.Warehouse.(Foreseeing)
	if !ok || n >= len(all) {
		return
	}
	turns := all[n]
	var queries []string
	for _, t := range turns {
		if t.l.Group.NamesSources() {
			queries = append(queries, engine.FreshnessQuery)
		}
		for _, r := range t.l.Group.Rules {
			queries = append(queries, r.Query)
		}
	}
	w.Expect(ctx, turns[0].at(), queries)
}

// Run evaluates every tick and returns the ledgers of Set and of Compare, which is empty where there is none.
func (b *Backtest) Run(ctx context.Context, progress func(done, total int)) (set, compare *engine.MemoryLog, err error) {
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
		b.expect(ctx, all, n)
	}
	for n, now := range all {
		b.expect(ctx, all, n+ahead)
		for _, t := range now {
			if err := t.of.hear(ctx, t.tick); err != nil {
				return nil, nil, err
			}
			err := t.of.engine.Retry(ctx, t.l.Group.Name, false, func() error {
				return t.of.engine.Evaluate(ctx, t.l, t.tick, alert.TickRun, "")
			})
			if err != nil {
				return nil, nil, fmt.Errorf("tick %s of group %s: %w", t.tick.Format(time.RFC3339), t.l.Group.Name, err)
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
	compare = &engine.MemoryLog{}
	if len(replays) > 1 {
		compare = replays[1].log
	}
	return first.log, compare, nil
}

func (b *Backtest) open(ctx context.Context, set *rules.Set) (*replay, error) {
	r := &replay{log: &engine.MemoryLog{Light: !b.KeepValues}, feedback: slices.Clone(b.Feedback)}
	r.engine = &engine.Engine{Set: set, Warehouse: b.Warehouse, Log: r.log, From: b.From, Schedule: b.Schedule, HoldoutShare: b.HoldoutShare,
		Writer: "backtest", Logger: slog.New(slog.DiscardHandler)} // a rule that failed is in the ledger
	r.feedback = slices.DeleteFunc(r.feedback, func(f churn.FeedbackEvent) bool { return !f.KnownAt.After(b.From) })
	var err error
	r.ledgers, err = r.engine.Open(ctx, b.From, false)
	return r, err
}

// hear applies what people did and was known by an instant. What no alert had then changes nothing, as it did then.
func (r *replay) hear(ctx context.Context, by time.Time) error {
	for ; len(r.feedback) > 0 && !r.feedback[0].KnownAt.After(by); r.feedback = r.feedback[1:] {
		for _, l := range r.ledgers {
			taken, err := r.engine.Take(ctx, l, r.feedback[0])
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
