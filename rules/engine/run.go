package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"
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
	ledgers, err := e.Open(ctx, now, true)
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
func (e *Engine) live(ctx context.Context, l *Ledger, started time.Time) error {
	for {
		tick := l.Schedule.Next(l.Tick)
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
func (e *Engine) account(ctx context.Context, l *Ledger, tick, started, now time.Time, patient bool) error {
	status, reason, unattended := l.plan(tick, started, now)
	return e.Retry(ctx, l.Group.Name, patient, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.Tick.Before(tick) {
			return nil // stored by the attempt before, whose answer was lost
		}
		l.unattended = unattended && !e.TellAll
		return e.Evaluate(ctx, l, tick, status, reason)
	})
}

// RunUntil accounts for every tick due at or before until, in the order of time across the groups, and returns. Each
// group's catch_up decides which of them are evaluated. Outages are waited out; other errors are returned.
func (e *Engine) RunUntil(ctx context.Context, until time.Time, progress func(done, total int)) error {
	started := e.now()
	ledgers, err := e.Open(ctx, started, false)
	if err != nil {
		return err
	}
	done, total := 0, 0
	for _, l := range ledgers {
		for range l.Schedule.Ticks(l.Tick, until) {
			total++
		}
	}
	for {
		var first *Ledger
		var tick time.Time
		for _, l := range ledgers {
			if t := l.Schedule.Next(l.Tick); !t.IsZero() && !t.After(until) && (first == nil || t.Before(tick)) {
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

// Retry repeats what fails. The patient one, the live loop, repeats everything but ErrTaken; otherwise only outages are.
func (e *Engine) Retry(ctx context.Context, group string, patient bool, do func() error) error {
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
func (e *Engine) unreachable(l *Ledger, err error) bool {
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
