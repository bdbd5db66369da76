package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/warehouse"
)

// holder is what the process that holds the control partition does: it keeps links, evaluates and publishes.
type holder struct {
	*pipeline
	positions *consumers.Positions
	upkeep    *warehouse.Links
	looking   sync.Mutex // no upkeep is given older offsets than the one before: it would take the topic for a new one
	settled   time.Time  // everything that was known by then is visible and linked
	waited    time.Time  // what was known by then was waited for, in vain
	why       string     // it was in vain
	heard     time.Time  // feedback that was known by then was waited for
}

func (p *pipeline) holder() *holder { return &holder{pipeline: p, positions: p.consumers.Positions()} }

// open goes on where the holder before ended.
func (h *holder) open(ctx context.Context) (err error) {
	h.upkeep, err = h.warehouse.OpenLinks(ctx, h.writer)
	return err
}

// run holds until the context ends.
func (h *holder) run(ctx context.Context) error {
	if err := h.openPatiently(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.keepLinks(ctx) })
	for _, relay := range h.relays {
		g.Go(func() error { return relay.Run(ctx) })
	}
	for _, digester := range h.digesters {
		g.Go(func() error { return digester.Run(ctx) })
	}
	g.Go(func() error { return h.evaluate(ctx) })
	return g.Wait()
}

// evaluate runs an engine, and another where changed rules come into force. A tick that is cut off by that is repeated: its entry
// stands whole in the log or not at all. Ticks that come due meanwhile were attended.
func (h *holder) evaluate(ctx context.Context) error {
	since := h.clock()
	for ctx.Err() == nil {
		engine, over := h.engine()
		engine.Since = since
		run, stop := context.WithCancel(ctx)
		go func() {
			defer stop()
			select {
			case <-over:
			case <-run.Done():
			}
		}()
		err := engine.Run(run)
		stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// runUntil accounts for every tick due at or before until, publishes, and returns how many transitions that were.
func (h *holder) runUntil(ctx context.Context, until time.Time, progress func(done, total int)) (published int, err error) {
	if err := h.open(ctx); err != nil {
		return 0, err
	}
	for _, relay := range h.relays {
		relay.Restart()
	}
	return h.catchUp(ctx, until, progress)
}

// catchUp is runUntil for a holder that is open already.
func (h *holder) catchUp(ctx context.Context, until time.Time, progress func(done, total int)) (published int, err error) {
	if _, _, err := h.settle(ctx, h.clock()); err != nil {
		return 0, err
	}
	engine, _ := h.engine()
	if err := engine.RunUntil(ctx, until, progress); err != nil {
		return 0, err
	}
	return h.flush(ctx)
}

// openPatiently waits for a warehouse that is away.
func (h *holder) openPatiently(ctx context.Context) error {
	for {
		err := h.open(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		slog.Warn("reading how far upkeep has come; trying again", "error", err)
		if err := pause(ctx, h.config.Evaluate.UpkeepEvery); err != nil {
			return err
		}
	}
}

// keepLinks brings links up to date between ticks, so that analysts see them.
func (h *holder) keepLinks(ctx context.Context) error {
	for ctx.Err() == nil {
		err := h.bringUpToDate(ctx)
		switch {
		case errors.Is(err, warehouse.ErrAnotherWriter):
			return err
		case err != nil && ctx.Err() == nil:
			slog.Warn("bringing links up to date; trying again", "error", err)
		}
		_ = pause(ctx, h.config.Evaluate.UpkeepEvery)
	}
	return nil
}

func (h *holder) bringUpToDate(ctx context.Context) error {
	h.looking.Lock()
	defer h.looking.Unlock()
	committed, err := h.positions.Committed(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	result, err := h.upkeep.Update(ctx, committed)
	for _, tp := range result.Rewound {
		h.watch.rewound.Inc()
		slog.Error("taking a partition in again from its start: its topic was made anew, or the consumers' offsets were set back; nothing is counted twice", "partition", tp.String())
	}
	if err == nil && result.Arrived > 0 {
		h.watch.upkeep.Observe(time.Since(began).Seconds())
		h.watch.accounts.Add(float64(result.Accounts))
	}
	return err
}

// settle waits until every chunk stamped at or before an instant is visible, then brings links up to date. Every record
// that such a chunk can hold lies below the ends as they are now.
func (h *holder) settle(ctx context.Context, at time.Time) (alert.TickStatus, string, error) {
	if !at.After(h.settled) {
		return alert.TickRun, "", nil
	}
	if !at.After(h.waited) { // groups that share a tick wait once, not one after the other
		return alert.TickIncomplete, h.why, nil
	}
	asked := h.clock()
	status, reason, err := h.await(ctx)
	if err != nil {
		return "", "", err
	}
	if err := h.bringUpToDate(ctx); err != nil {
		return "", "", err
	}
	if status == alert.TickRun {
		h.settled = asked
	} else {
		h.waited, h.why = asked, reason
	}
	return status, reason, nil
}

func (h *holder) await(ctx context.Context) (alert.TickStatus, string, error) {
	ends, err := h.positions.Ends(ctx)
	if err != nil {
		return "", "", err
	}
	if most := h.config.Evaluate.MaxLag; most > 0 {
		lag, err := h.positions.Lag(ctx)
		if err != nil {
			return "", "", err
		}
		behind := int64(0)
		for _, n := range lag {
			behind += n
		}
		if behind > most {
			return alert.TickIncomplete, fmt.Sprintf("consumers were %d records behind, more than evaluate.max_lag %d", behind, most), nil
		}
	}
	err = h.positions.Settled(ctx, ends, h.config.Evaluate.MaxWait)
	if errors.Is(err, consumers.ErrBehind) {
		return alert.TickIncomplete, err.Error(), nil
	}
	return alert.TickRun, "", err
}

// settleFeedback waits until what people did by an instant is visible. Where that takes too long it is answered when it is.
func (h *holder) settleFeedback(ctx context.Context, by time.Time) error {
	if !by.After(h.heard) {
		return nil
	}
	asked := h.clock()
	feedback := h.consumers.FeedbackPositions()
	ends, err := feedback.Ends(ctx)
	if err != nil {
		return err
	}
	err = feedback.Settled(ctx, ends, h.config.Evaluate.MaxWait)
	if err != nil && !errors.Is(err, consumers.ErrBehind) {
		return err
	}
	if h.heard = asked; err != nil {
		slog.Warn("a tick does not wait for feedback any longer", "error", err)
	}
	return nil
}

// engine evaluates the rules in force, until the channel is closed.
func (h *holder) engine() (*rules.Engine, <-chan struct{}) {
	set, over := h.rules.current()
	topics, defaults := h.kafka.Topics(), map[string]string{}
	defaults["churn.alerts"], defaults["churn.handoffs"] = topics.Alerts, topics.Handoffs
	from, _ := h.config.Evaluate.from() // Validate has read it
	return &rules.Engine{
		Set: set, Warehouse: h.warehouse, Log: h.warehouse, Settle: h.settle, SettleFeedback: h.settleFeedback, Clock: h.clock, From: from,
		Schedule: h.config.Evaluate.Schedule, HoldoutShare: h.config.Evaluate.HoldoutShare, TellAll: h.tellAll, Topics: defaults,
		Source: "aftershock", Writer: h.writer, Outage: warehouse.Overloaded, Observe: h.watch.observe(h.wake),
	}, over
}

// pause waits, or returns early with the context's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
