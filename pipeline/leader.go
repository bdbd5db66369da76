package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/dial"
	"github.com/aftershock/aftershock/rules/engine"
	"github.com/aftershock/aftershock/warehouse"
)

// longestNap bounds how long the clock is not read while a tick is waited for, so that a step of it is noticed.
const longestNap = time.Minute

// evaluation is a leader's work under one set of rules, until others come into force. Read tick first.
type evaluation struct {
	engine   *engine.Engine
	known    known
	feedback interface {
		Unapplied(ctx context.Context) ([]churn.FeedbackEvent, error)
	}
	listenEvery time.Duration
	publish     func()    // wakes what publishes
	since       time.Time // when this process began to lead: ticks due before were unattended
	notifyAll   bool      // people are told of every tick, also of those that nobody attended: time is simulated
	clock       func() time.Time
	metrics     *metrics

	groups []*ruleGroup
}

// known is how the leader sees to it that what was known is there.
type known interface {
	// wait waits until what was known by an instant is stored. It returns what is lacking, where that took too long.
	wait(ctx context.Context, by time.Time) (lacking string, err error)
	// link makes links follow from it. It returns what is lacking, where that took too long.
	link(ctx context.Context) (lacking string, err error)
}

// ruleGroup is one group of rules with its place in the log, which belongs to one tick or one answer at a time.
type ruleGroup struct {
	mu sync.Mutex
	*engine.Ledger
	since time.Time // ticks due before were unattended
}

// follow is the loop of one group.
func (v *evaluation) follow(ctx context.Context, g *ruleGroup) error {
	for {
		due, now := v.due(g)
		switch {
		case due.IsZero():
			<-ctx.Done()
			return ctx.Err()
		case due.After(now):
			if err := dial.Sleep(ctx, min(due.Sub(now), longestNap)); err != nil {
				return err
			}
		default:
			if err := v.account(ctx, g, due, now, true); err != nil {
				return err
			}
		}
	}
}

// due is the tick to account for next, and the time. A ledger that is ahead of the clock goes on from now.
func (v *evaluation) due(g *ruleGroup) (due, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now = v.clock()
	last := g.Last()
	if ahead := g.Rewind(now); ahead > 0 {
		g.since = now
		v.metrics.ahead.WithLabelValues(g.Group.Name).Inc()
		slog.Error("the last tick in the log lies ahead of our clock: one of the two clocks is or was wrong; going on from now",
			"group", g.Group.Name, "last_tick", last, "ahead", ahead.Round(time.Second))
	}
	return g.Next(), now
}

// account evaluates a due tick or records it as missed, by the group's catch_up, until that is stored.
func (v *evaluation) account(ctx context.Context, g *ruleGroup, due, now time.Time, patient bool) error {
	tick := g.Plan(due, g.since, now)
	tick.Unattended = tick.Unattended && !v.notifyAll
	return v.retry(ctx, g.Group.Name, patient, func() error { return v.tick(ctx, g, tick) })
}

// tick accounts for one due tick of one group. Nothing changed where it fails, so it can be repeated.
func (v *evaluation) tick(ctx context.Context, g *ruleGroup, due engine.Tick) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.Last().Before(due.At) {
		return nil // stored by the attempt before, whose answer was lost
	}
	began := v.clock()
	lacking, err := v.known.wait(ctx, due.At)
	if err != nil {
		return fmt.Errorf("waiting for what was known at %s: %w", due.At.Format(time.RFC3339), err)
	}
	late, err := v.known.link(ctx)
	if err != nil {
		return fmt.Errorf("linking what was known at %s: %w", due.At.Format(time.RFC3339), err)
	}
	if err := v.answer(ctx, g, due.At); err != nil {
		return err
	}
	for entry, err := range v.engine.Evaluate(ctx, g.Ledger, due.Incomplete(lacking).Incomplete(late)) {
		if err != nil {
			return err
		}
		if err := v.engine.Append(ctx, g.Ledger, entry); err != nil {
			return err
		}
		v.appended(entry, began)
	}
	return nil
}

// appended wakes what publishes, and counts.
func (v *evaluation) appended(entry alert.Entry, began time.Time) {
	if entry.Publishes() {
		v.publish()
	}
	v.metrics.entry(entry, began, v.clock())
	for _, run := range entry.Runs {
		if run.Status == alert.RunError {
			slog.Error("a rule failed; its alerts hold", "group", entry.Group, "rule", run.Rule, "tick", entry.Tick, "error", run.Error)
		}
	}
}

// leader is what the process does while it holds the control partition: it keeps links, evaluates and publishes.
type leader struct {
	*Pipeline
	positions *broker.Positions // of everything that is consumed
	facts     *broker.Positions // of what links follow from
	links     *warehouse.Keeper

	waiting sync.Mutex // groups that share a tick wait once, not one after the other
	waited  time.Time  // what was known by then was waited for
	lacking string     // and in vain, for this reason
	linked  bool       // links were waited for
	late    string     // and in vain, for this reason
}

func (p *Pipeline) leader() *leader {
	return &leader{Pipeline: p, positions: p.Consumers.AllPositions(), facts: p.Consumers.Positions()}
}

// open goes on where the leader before ended.
func (l *leader) open(ctx context.Context) (err error) {
	l.links, err = l.Warehouse.KeepLinks(ctx, l.writer, l.facts, l.metrics.links)
	return err
}

// run leads until the context ends.
func (l *leader) run(ctx context.Context) error {
	if err := l.openPatiently(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	l.links.Serve()
	g.Go(func() error { return l.links.Run(ctx, l.Config.Evaluate.UpkeepEvery) })
	for _, relay := range l.relays {
		g.Go(func() error { return relay.Run(ctx) })
	}
	for _, digester := range l.digesters {
		g.Go(func() error { return digester.Run(ctx) })
	}
	g.Go(func() error { return l.evaluate(ctx) })
	return g.Wait()
}

// evaluate follows the rules in force, and others where changed ones come into force. A tick that is cut off by that is repeated: its
// entry stands whole in the log or not at all. Ticks that come due meanwhile were attended.
func (l *leader) evaluate(ctx context.Context) error {
	since := l.Clock()
	for ctx.Err() == nil {
		v, over := l.evaluation()
		v.since = since
		running, stop := context.WithCancel(ctx)
		release := context.AfterFunc(over, stop)
		err := v.run(running)
		release()
		stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// runUntil accounts for every tick due at or before until, publishes, and returns how many transitions that were.
func (l *leader) runUntil(ctx context.Context, until time.Time, progress func(done, total int)) (published int, err error) {
	if err := l.open(ctx); err != nil {
		return 0, err
	}
	for _, relay := range l.relays {
		relay.Restart()
	}
	return l.catchUp(ctx, until, progress)
}

// catchUp is runUntil for a leader that is open already.
func (l *leader) catchUp(ctx context.Context, until time.Time, progress func(done, total int)) (published int, err error) {
	if _, err := l.wait(ctx, l.Clock()); err != nil {
		return 0, err
	}
	if _, err := l.link(ctx); err != nil {
		return 0, err
	}
	v, _ := l.evaluation()
	if err := v.catchUp(ctx, until, progress); err != nil {
		return 0, err
	}
	return l.flush(ctx)
}

// wait waits until what was known by an instant is stored. Every record that can have been known by then lies below the ends as they
// are now. What people did counts at its tick too, but a late word of theirs makes no tick incomplete: it is answered when it comes.
func (l *leader) wait(ctx context.Context, by time.Time) (lacking string, err error) {
	l.waiting.Lock()
	defer l.waiting.Unlock()
	if !by.After(l.waited) && !l.waited.After(l.Clock()) { // unless the clock was set back
		return l.lacking, nil
	}
	asked, topics, limits := l.Clock(), l.Kafka.Topics(), l.Config.Evaluate
	waited, err := l.positions.Wait(ctx, broker.Patience{Timeout: limits.MaxWait, MaxLag: limits.MaxLag, Exempt: []string{topics.Feedback}})
	if err != nil {
		return "", err
	}
	if lag := waited.Lag(topics.Deals, topics.Tickets); limits.MaxLag > 0 && lag > limits.MaxLag {
		lacking = fmt.Sprintf("consumers were %d records behind, more than evaluate.max_lag %d", lag, limits.MaxLag)
	} else if behind := waited.Err(topics.Deals, topics.Tickets); behind != nil {
		lacking = behind.Error()
	}
	if behind := waited.Err(topics.Feedback); behind != nil {
		slog.Warn("a tick does not wait for feedback any longer", "error", behind)
	}
	l.waited, l.lacking, l.linked, l.late = asked, lacking, false, ""
	return lacking, nil
}

// link makes links follow from what was waited for. Where they are late, whatever the reason, the tick goes on without.
func (l *leader) link(ctx context.Context) (late string, err error) {
	l.waiting.Lock()
	defer l.waiting.Unlock()
	if l.linked {
		return l.late, nil
	}
	late, err = l.links.Await(ctx, l.Config.Evaluate.MaxWait)
	l.linked, l.late = err == nil, late
	return late, err
}

// openPatiently waits for a warehouse that is away.
func (l *leader) openPatiently(ctx context.Context) error {
	return dial.Retry(ctx, dial.Pause{First: firstRetry, Longest: longestRetry}, func() error { return l.open(ctx) }, func(f dial.Failure) bool {
		slog.Warn("reading how far links have come; trying again", "error", f.Err)
		return true
	})
}

// evaluation is of the rules in force, until the context ends.
func (l *leader) evaluation() (*evaluation, context.Context) {
	set, over := l.rules.current()
	topics := l.Kafka.Topics()
	from, _ := l.Config.Evaluate.from() // Validate has read it
	e := &engine.Engine{
		Set: set, Warehouse: l.Warehouse, Log: l.Warehouse, Clock: l.Clock, From: from, Schedule: l.Config.Evaluate.Schedule,
		HoldoutShare: l.Config.Evaluate.HoldoutShare, Topics: map[string]string{"churn.alerts": topics.Alerts, "churn.handoffs": topics.Handoffs},
		Source: "aftershock", Writer: l.writer, Overloaded: warehouse.Overloaded, SetAside: l.links.SetAside,
	}
	return &evaluation{engine: e, known: l, feedback: l.Warehouse, listenEvery: listenEvery, publish: l.wake, since: l.Clock(), notifyAll: l.NotifyAll, clock: l.Clock, metrics: l.metrics}, over
}
