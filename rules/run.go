package rules

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/aftershock/aftershock/churn/alert"
)

// How long to wait before an attempt is repeated: doubled from first to longest, each time between half and the whole.
const (
	firstBackoff   = 500 * time.Millisecond
	longestBackoff = 30 * time.Second
)

// overloads is how often a server may answer a tick with "not now" before that counts as the fault of the rule that asked: its
// query may be what the server has no time or memory for.
const overloads = 8

// The clock is read again at least this often while waiting for a tick, so that a step of it is noticed.
const longestWait = time.Minute

// Run evaluates every group at its ticks until the context ends, which is no error. A group never overlaps itself and
// never waits for another. Errors are repeated for ever with backoff, but for ErrTaken, which is returned.
func (e *Engine) Run(ctx context.Context) error {
	now := e.now()
	ledgers, err := e.open(ctx, now, true)
	if err != nil {
		return ended(ctx, err)
	}
	started := e.Since
	if started.IsZero() {
		started = now
	}
	groups, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.listen(groups, ledgers); err != nil && groups.Err() == nil {
			cancel(err)
		}
	})
	for _, l := range ledgers {
		wg.Go(func() {
			if err := e.live(groups, l, started); err != nil && groups.Err() == nil {
				cancel(err) // the first error stops all
			}
		})
	}
	wg.Wait()
	<-groups.Done() // a set without groups waits too
	return ended(ctx, context.Cause(groups))
}

// ended drops the error that only says that the caller stopped us.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// live is the loop of one group.
func (e *Engine) live(ctx context.Context, l *ledger, started time.Time) error {
	for {
		tick := l.schedule.Next(l.tick)
		if tick.IsZero() {
			<-ctx.Done()
			return ctx.Err()
		}
		now := e.now()
		if tick.After(now) {
			if err := wait(ctx, min(tick.Sub(now), longestWait)); err != nil {
				return err
			}
			continue
		}
		if err := e.account(ctx, l, tick, started, now, true); err != nil {
			return err
		}
	}
}

// account evaluates a due tick or records it as missed, by the group's catch_up, until that is stored.
func (e *Engine) account(ctx context.Context, l *ledger, tick, started, now time.Time, patient bool) error {
	status, reason, unattended := l.plan(tick, started, now)
	return e.retry(ctx, l.group.Name, patient, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.tick.Before(tick) {
			return nil // stored by the attempt before, whose answer was lost
		}
		l.unattended = unattended && !e.TellAll
		return e.evaluate(ctx, l, tick, status, reason)
	})
}

// plan says how a due tick is accounted for, and whether it came due while nobody evaluated and another one did so too: then
// people are told only how it stands in the end.
func (l *ledger) plan(tick, started, now time.Time) (status alert.TickStatus, why string, passed bool) {
	next := l.schedule.Next(tick)
	overtaken := !next.IsZero() && !next.After(now)
	unattended := tick.Before(started)
	if !overtaken && !unattended {
		return alert.TickRun, "", false
	}
	why = "the evaluation before took longer than the schedule allows"
	if unattended {
		why = "nobody evaluated"
	}
	switch {
	case l.group.CatchUp == CatchUpLatest && overtaken:
		return alert.TickMissed, why + "; catch_up: latest", false
	case l.group.CatchUp == CatchUpNone:
		return alert.TickMissed, why + "; catch_up: none", false
	}
	return alert.TickCaughtUp, why, unattended && overtaken
}

// RunUntil accounts for every tick due at or before until, in the order of time across the groups, and returns. Each
// group's catch_up decides which of them are evaluated. Outages are waited out; other errors are returned.
func (e *Engine) RunUntil(ctx context.Context, until time.Time, progress func(done, total int)) error {
	started := e.now()
	ledgers, err := e.open(ctx, started, false)
	if err != nil {
		return err
	}
	done, total := 0, 0
	for _, l := range ledgers {
		for range l.schedule.Ticks(l.tick, until) {
			total++
		}
	}
	for {
		var first *ledger
		var tick time.Time
		for _, l := range ledgers {
			if t := l.schedule.Next(l.tick); !t.IsZero() && !t.After(until) && (first == nil || t.Before(tick)) {
				first, tick = l, t
			}
		}
		if first == nil {
			return nil
		}
		if err := e.account(ctx, first, tick, started, until, false); err != nil {
			return err
		}
		if done++; progress != nil {
			progress(done, total)
		}
	}
}

// open reads where every group stands and ends the alerts of groups that are gone.
func (e *Engine) open(ctx context.Context, now time.Time, patient bool) ([]*ledger, error) {
	var ledgers []*ledger
	for _, g := range e.Set.Groups {
		l := &ledger{group: g, schedule: g.Schedule, tick: e.From}
		if e.From.IsZero() {
			l.tick = now
		}
		if e.Schedule != "" {
			s, err := ParseSchedule(e.Schedule, g.Schedule.Zone)
			if err != nil {
				return nil, err
			}
			l.schedule = s
		}
		err := e.retry(ctx, g.Name, patient, func() error {
			last, err := e.load(ctx, l)
			if err == nil && last.N == 0 && e.From.IsZero() {
				err = e.begin(ctx, l, now)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		ledgers = append(ledgers, l)
	}
	return ledgers, e.retry(ctx, "", patient, func() error { return e.retire(ctx, ledgers, now) })
}

// retire resolves the alerts of groups that the set no longer has, and learns how many episodes were spent elsewhere by
// rules that moved: their alerts would otherwise begin again at episode 1, with ids that are taken.
func (e *Engine) retire(ctx context.Context, ledgers []*ledger, now time.Time) error {
	e.retired = map[string]int{}
	learn := func(l *ledger) {
		for fingerprint, t := range l.before {
			if l.group.Rule(t.Rule) == nil {
				e.retired[fingerprint] = max(e.retired[fingerprint], t.Episode)
			}
		}
	}
	current := map[string]bool{}
	for _, l := range ledgers {
		current[l.group.Name] = true
		learn(l)
	}
	log, ok := e.Log.(Groups)
	if !ok {
		return nil
	}
	names, err := log.Groups(ctx)
	if err != nil {
		return fmt.Errorf("listing the groups of the alert log: %w", err)
	}
	for _, name := range names {
		if current[name] {
			continue
		}
		gone := &ledger{group: &Group{Name: name}}
		if _, err := e.load(ctx, gone); err != nil {
			return err
		}
		learn(gone)
		if err := e.close(ctx, gone, now); err != nil {
			return err
		}
	}
	return nil
}

// close resolves what is open in a group that is gone; a group where nothing is open gets no entry.
func (e *Engine) close(ctx context.Context, gone *ledger, now time.Time) error {
	for _, t := range gone.before {
		if t.State.Open() || t.State == alert.Pending {
			return e.evaluate(ctx, gone, now, alert.TickRun, "the group was removed")
		}
	}
	return nil
}

// retry repeats what fails. The patient one, the live loop, repeats everything but ErrTaken; otherwise only outages are.
func (e *Engine) retry(ctx context.Context, group string, patient bool, do func() error) error {
	for backoff := firstBackoff; ; backoff = min(2*backoff, longestBackoff) {
		err := do()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrTaken), !patient && !e.outage(err):
			return err
		}
		pause := backoff/2 + rand.N(backoff/2)
		e.log().Warn("evaluation waits", "group", group, "retry_in", pause, "error", err)
		if e.Observe.Retry != nil {
			e.Observe.Retry(group, err)
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Engine) outage(err error) bool {
	if e.Outage != nil && e.Outage(err) {
		return true
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// unreachable tells an outage from a query that is only too slow or asks for too much, which must not stop its group for ever.
// Where the warehouse answers nothing in time, or takes nothing, the append fails too and the tick is repeated.
func (e *Engine) unreachable(l *ledger, err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || !e.outage(err) {
		return false
	}
	if e.Outage == nil || !e.Outage(err) {
		return true
	}
	l.overload++
	return l.overload < overloads
}

func (e *Engine) now() time.Time {
	if e.Clock != nil {
		return e.Clock()
	}
	return time.Now()
}

func (e *Engine) log() *slog.Logger {
	if e.Logger != nil {
		return e.Logger
	}
	return slog.Default()
}

func (e *Engine) parallel() int {
	if e.Parallel > 0 {
		return e.Parallel
	}
	return runtime.GOMAXPROCS(0)
}

func (e *Engine) source() string {
	if e.Source != "" {
		return e.Source
	}
	return "aftershock"
}
