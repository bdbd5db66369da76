package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
)

// plan says how a due tick is accounted for, and whether it came due while nobody evaluated and another one did so too: then
// people are told only how it stands in the end.
func (l *Ledger) plan(tick, started, now time.Time) (status alert.TickStatus, why string, passed bool) {
	next := l.Schedule.Next(tick)
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
	case l.Group.CatchUp == rules.CatchUpLatest && overtaken:
		return alert.TickMissed, why + "; catch_up: latest", false
	case l.Group.CatchUp == rules.CatchUpNone:
		return alert.TickMissed, why + "; catch_up: none", false
	}
	return alert.TickCaughtUp, why, unattended && overtaken
}

// Open reads where every group stands and ends the alerts of groups that are gone.
func (e *Engine) Open(ctx context.Context, now time.Time, patient bool) ([]*Ledger, error) {
	var ledgers []*Ledger
	for _, g := range e.Set.Groups {
		l := &Ledger{Group: g, Schedule: g.Schedule, Tick: e.From}
		if e.From.IsZero() {
			l.Tick = now
		}
		if e.Schedule != "" {
			s, err := rules.ParseSchedule(e.Schedule, g.Schedule.Zone)
			if err != nil {
				return nil, err
			}
			l.Schedule = s
		}
		err := e.Retry(ctx, g.Name, patient, func() error {
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
	return ledgers, e.Retry(ctx, "", patient, func() error { return e.retire(ctx, ledgers, now) })
}

// retire resolves the alerts of groups that the set no longer has, and learns how many episodes were spent elsewhere by
// rules that moved: their alerts would otherwise begin again at episode 1, with ids that are taken.
func (e *Engine) retire(ctx context.Context, ledgers []*Ledger, now time.Time) error {
	e.retired = map[string]int{}
	learn := func(l *Ledger) {
		for fingerprint, t := range l.Before {
			if l.Group.Rule(t.Rule) == nil {
				e.retired[fingerprint] = max(e.retired[fingerprint], t.Episode)
			}
		}
	}
	current := map[string]bool{}
	for _, l := range ledgers {
		current[l.Group.Name] = true
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
		gone := &Ledger{Group: &rules.Group{Name: name}}
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
func (e *Engine) close(ctx context.Context, gone *Ledger, now time.Time) error {
	for _, t := range gone.Before {
		if t.State.Open() || t.State == alert.Pending {
			return e.Evaluate(ctx, gone, now, alert.TickRun, "the group was removed")
		}
	}
	return nil
}

// Ledger is where a group stands in the alert log.
type Ledger struct {
	Group    *rules.Group
	Schedule rules.Schedule
	n        int64
	Tick     time.Time // the last tick accounted for
	Before   Prior
	mu       sync.Mutex // held while an entry is made

	unattended bool                 // the tick at hand came due while nobody evaluated, and another did so too
	answered   map[string]time.Time // feedback that this process answered, and when
	overload   int                  // times that the warehouse answered the tick at hand with "not now"
}

// load reads where the group stands; after it the ledger is as the log says.
func (e *Engine) load(ctx context.Context, l *Ledger) (alert.Entry, error) {
	last, transitions, err := e.Log.State(ctx, l.Group.Name)
	if err != nil {
		return last, fmt.Errorf("reading the alert log of group %s: %w", l.Group.Name, err)
	}
	l.n, l.Before = last.N, make(Prior, len(transitions))
	if last.N > 0 {
		l.Tick = last.Tick
	}
	l.remember(transitions)
	return last, nil
}

func (l *Ledger) remember(transitions []alert.Transition) {
	for _, t := range transitions {
		if !t.StartsAt.After(time.Unix(0, 0)) { // a warehouse has no zero time
			t.StartsAt = time.Time{}
		}
		t.Value, t.Headers = nil, nil // the log keeps them; here they would only weigh
		l.Before[t.Fingerprint] = t
	}
}

// begin opens the ledger of a group that has none: ticks that come due from now on are accounted for, also where this
// process ends before the first of them.
func (e *Engine) begin(ctx context.Context, l *Ledger, now time.Time) error {
	entry := alert.Entry{Group: l.Group.Name, N: 1, Writer: e.attempt(), Tick: now, At: now, Status: alert.TickBegun, Reason: "the group's ledger begins"}
	return e.commit(ctx, l, entry)
}

// attempt names one attempt to append. Were two attempts of one process named alike, an insert that was given up and took
// effect later would pass for the one after it, and what that one decided would be remembered though it is not in the log.
func (e *Engine) attempt() string { return e.Writer + attemptMark + rand.Text()[:8] }

const attemptMark = "#"

// commit appends the entry. Whenever its fate is not plain, the log decides, and what it holds is what we remember: an entry
// of that number and tick by any attempt of ours is ours; one of another writer means that we are not the holder.
func (e *Engine) commit(ctx context.Context, l *Ledger, entry alert.Entry) error {
	won, err := e.Log.Append(ctx, entry)
	if err == nil && won {
		l.n, l.Tick = entry.N, entry.Tick
		l.remember(entry.Transitions)
		return nil
	}
	last, stateErr := e.load(ctx, l)
	switch {
	case stateErr != nil && err == nil:
		return stateErr
	case stateErr != nil || last.N < entry.N:
		return fmt.Errorf("appending tick %s of group %s: %w", entry.Tick.Format(time.RFC3339), entry.Group, orUnread(err))
	case last.N == entry.N && strings.HasPrefix(last.Writer, e.Writer+attemptMark) && last.Tick.Equal(entry.Tick):
		return nil
	}
	return fmt.Errorf("appending tick %s of group %s: entry %d is by %q: %w",
		entry.Tick.Format(time.RFC3339), entry.Group, last.N, last.Writer, ErrTaken)
}

func orUnread(err error) error {
	if err == nil {
		return fmt.Errorf("its number was taken by an entry that cannot be read yet")
	}
	return err
}
