package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
)

// Ledger is where a group stands in the alert log. It is for one goroutine at a time.
type Ledger struct {
	Group    *rules.Group
	Schedule rules.Schedule

	n        int64
	last     time.Time // the last tick accounted for
	before   prior
	said     map[string]time.Time // alerts whose latest change stands in a part of a tick -> the instant that the tick looked from
	answered map[string]time.Time // feedback that this process answered, and when
	overload int                  // times that the warehouse answered the tick at hand with "not now"
}

// Last is the last tick that is accounted for.
func (l *Ledger) Last() time.Time { return l.last }

// Next is the tick to account for now; zero where none will ever be due.
func (l *Ledger) Next() time.Time { return l.Schedule.Next(l.last) }

// aheadAtMost is how far the last tick may lie ahead of the clock: clocks of two processes differ by less.
const aheadAtMost = 5 * time.Minute

// Rewind goes on from now where the last tick lies further ahead than clocks differ: it was stored by a clock that was wrong, and nothing would
// be due until then. It returns how far ahead that was; 0: it was not.
func (l *Ledger) Rewind(now time.Time) time.Duration {
	ahead := l.last.Sub(now)
	if ahead <= aheadAtMost || l.n == 0 {
		return 0
	}
	l.last = now
	return ahead
}

// Standing is the latest transition of each alert of the group, by fingerprint. It is not to be changed.
func (l *Ledger) Standing() map[string]alert.Transition { return l.before }

// Open reads where a group stands. The ledger of a group that has none begins: ticks that come due from now on are accounted for,
// also where this process ends before the first of them.
func (e *Engine) Open(ctx context.Context, g *rules.Group, now time.Time) (*Ledger, error) {
	l := &Ledger{Group: g, Schedule: g.Schedule, last: e.From}
	if e.From.IsZero() {
		l.last = now
	}
	if e.Schedule != "" {
		s, err := rules.ParseSchedule(e.Schedule, g.Schedule.Zone)
		if err != nil {
			return nil, err
		}
		l.Schedule = s
	}
	last, err := e.load(ctx, l)
	if err != nil || last.N > 0 || !e.From.IsZero() {
		return l, err
	}
	return l, e.Append(ctx, l, alert.Entry{Group: g.Name, N: 1, Writer: e.attempt(), Tick: now, At: now, Status: alert.TickBegun, Reason: "the group's ledger begins"})
}

// Retire resolves the alerts of groups that the set no longer has, and learns how many episodes were spent elsewhere by
// rules that moved: their alerts would otherwise begin again at episode 1, with ids that are taken. It is called once all
// groups of the set are open, and returns the entries that it appended.
func (e *Engine) Retire(ctx context.Context, ledgers []*Ledger, now time.Time) (entries []alert.Entry, err error) {
	retired := map[string]int{}
	learn := func(l *Ledger) {
		for fingerprint, t := range l.before {
			if l.Group.Rule(t.Rule) == nil {
				retired[fingerprint] = max(retired[fingerprint], t.Episode)
			}
		}
		e.mu.Lock()
		e.retired = maps.Clone(retired)
		e.mu.Unlock()
	}
	current := map[string]bool{}
	for _, l := range ledgers {
		current[l.Group.Name] = true
		learn(l)
	}
	names, err := e.Log.Groups(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the groups of the alert log: %w", err)
	}
	for _, name := range names {
		if current[name] {
			continue
		}
		gone := &Ledger{Group: &rules.Group{Name: name}}
		if _, err := e.load(ctx, gone); err != nil {
			return entries, err
		}
		learn(gone)
		if !gone.open() { // where nothing is open, there is nothing to say
			continue
		}
		for entry, err := range e.Evaluate(ctx, gone, Tick{At: now, Status: alert.TickRun, Reason: "the group was removed"}) {
			if err == nil {
				err = e.Append(ctx, gone, entry)
			}
			if err != nil {
				return entries, err
			}
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

func (l *Ledger) open() bool {
	for _, t := range l.before {
		if t.State.Open() || t.State == alert.Pending {
			return true
		}
	}
	return false
}

// load reads where the group stands; after it the ledger is as the log says.
func (e *Engine) load(ctx context.Context, l *Ledger) (alert.Entry, error) {
	last, transitions, err := e.Log.State(ctx, l.Group.Name)
	if err != nil {
		return last, fmt.Errorf("reading the alert log of group %s: %w", l.Group.Name, err)
	}
	l.n, l.before, l.said = last.N, make(prior, len(transitions)), nil
	if last.N > 0 {
		l.last = last.Tick
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
		l.before[t.Fingerprint] = t
		if delete(l.said, t.Fingerprint); t.Part {
			if l.said == nil {
				l.said = map[string]time.Time{}
			}
			l.said[t.Fingerprint] = t.At
		}
	}
}

// Append claims an entry that Evaluate made, and the ledger goes on from it. Whenever its fate is not plain, the log decides, and
// what it holds is what we remember: an entry of that number and tick by any attempt of ours is ours; one of another writer means
// that we do not lead.
func (e *Engine) Append(ctx context.Context, l *Ledger, entry alert.Entry) (err error) {
	defer func() {
		if err == nil && entry.Status.Accounts() { // the tick at hand is over
			l.overload = 0
		}
	}()
	won, err := e.Log.Append(ctx, entry)
	if err == nil && won {
		l.n, l.last = entry.N, entry.Tick
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
		return errors.New("its number was taken by an entry that cannot be read yet")
	}
	return err
}

// attempt names one attempt to append. Were two attempts of one process named alike, an insert that was given up and took
// effect later would pass for the one after it, and what that one decided would be remembered though it is not in the log.
func (e *Engine) attempt() string { return e.Writer + attemptMark + rand.Text()[:8] }

const attemptMark = "#"
