package past

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/dial"
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

// life is one set's way through the past.
type life struct {
	engine   *engine.Engine
	ledgers  []*engine.Ledger
	log      *engine.MemoryLog
	feedback []churn.FeedbackEvent // not answered yet
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
	of   *life
	l    *engine.Ledger
	tick time.Time
}

// at is the instant that the turn looks from.
func (t turn) at() time.Time { return t.tick.Add(-t.l.Group.EvalDelay) }

// agenda lists every turn in the order in which they come. Of several at once those that look from the same instant follow one
// another, as what is known at an instant is read once.
func (b *Backtest) agenda(lives []*life) (all []turn) {
	for _, r := range lives {
		for _, l := range r.ledgers {
			for tick := range l.Schedule.Ticks(l.Last(), b.To) {
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

// prefetch tells the warehouse what will be asked at a moment.
func (b *Backtest) prefetch(ctx context.Context, all [][]turn, n int) {
	w, ok := b.Warehouse.(Prefetcher)
	if !ok || n >= len(all) {
		return
	}
	turns := all[n]
	var queries []string
	for _, t := range turns {
		queries = append(queries, engine.Queries(t.l.Group)...)
	}
	w.Prefetch(ctx, turns[0].at(), queries)
}

// Run evaluates every tick and returns the ledgers of Set and of Compare, which is empty where there is none.
func (b *Backtest) Run(ctx context.Context, progress func(done, total int)) (set, compare *engine.MemoryLog, err error) {
	var lives []*life
	for _, set := range []*rules.Set{b.Set, b.Compare} {
		if set == nil {
			continue
		}
		r, err := b.begin(ctx, set)
		if err != nil {
			return nil, nil, err
		}
		lives = append(lives, r)
	}
	agenda := b.agenda(lives)
	done, total := 0, len(agenda)
	all := moments(agenda)
	for n := range ahead {
		b.prefetch(ctx, all, n)
	}
	for n, now := range all {
		b.prefetch(ctx, all, n+ahead)
		for _, t := range now {
			if err := t.of.tick(ctx, t.l, t.tick); err != nil {
				return nil, nil, fmt.Errorf("tick %s of group %s: %w", t.tick.Format(time.RFC3339), t.l.Group.Name, err)
			}
			if done++; progress != nil {
				progress(done, total)
			}
		}
	}
	for _, r := range lives {
		if err := r.answer(ctx, b.To); err != nil {
			return nil, nil, err
		}
	}
	compare = &engine.MemoryLog{}
	if len(lives) > 1 {
		compare = lives[1].log
	}
	return lives[0].log, compare, nil
}

// begin opens a ledger for every group of a set.
func (b *Backtest) begin(ctx context.Context, set *rules.Set) (*life, error) {
	r := &life{log: &engine.MemoryLog{Light: !b.KeepValues}, feedback: slices.Clone(b.Feedback)}
	r.engine = &engine.Engine{Set: set, Warehouse: b.Warehouse, Log: r.log, From: b.From, Schedule: b.Schedule, HoldoutShare: b.HoldoutShare, Writer: "backtest"}
	r.feedback = slices.DeleteFunc(r.feedback, func(f churn.FeedbackEvent) bool { return !f.KnownAt.After(b.From) })
	for _, g := range set.Groups {
		l, err := r.engine.Open(ctx, g, b.From)
		if err != nil {
			return nil, err
		}
		r.ledgers = append(r.ledgers, l)
	}
	_, err := r.engine.Retire(ctx, r.ledgers, b.From)
	return r, err
}

// tick evaluates as the leader would have. Outages are waited out; a rule that failed is in the ledger.
func (r *life) tick(ctx context.Context, l *engine.Ledger, due time.Time) error {
	if err := r.answer(ctx, due); err != nil {
		return err
	}
	return dial.Retry(ctx, dial.Pause{First: time.Second / 2, Longest: 30 * time.Second}, func() error {
		for entry, err := range r.engine.Evaluate(ctx, l, engine.Tick{At: due, Status: alert.TickRun}) {
			if err != nil {
				return err
			}
			if err := r.engine.Append(ctx, l, entry); err != nil {
				return err
			}
		}
		return nil
	}, func(f dial.Failure) bool { return r.engine.Outage(f.Err) })
}

// answer applies what people did and was known by an instant. What no alert had then changes nothing, as it did then.
func (r *life) answer(ctx context.Context, by time.Time) error {
	n := 0
	for n < len(r.feedback) && !r.feedback[n].KnownAt.After(by) {
		n++
	}
	_, _, err := r.engine.Answer(ctx, r.ledgers, r.feedback[:n])
	r.feedback = r.feedback[n:]
	return err
}
