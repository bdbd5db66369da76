package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/dial"
)

// Log is the alert log as a relay needs it. The transitions of Latest, Unnoted, Noted and Ended say which they are, not what
// they say.
type Log interface {
	// Published returns, in log order, entries that have transitions with a topic and whose N is greater than after[group], until
	// they have limit transitions; a group that is not in after counts from its beginning.
	Published(ctx context.Context, after map[string]int64, limit int) ([]alert.Entry, error)
	// Topics lists every topic that the log has something for.
	Topics(ctx context.Context) ([]string, error)
	// Latest calls do with the latest transition that each group has of each fingerprint, and the number of its entry.
	Latest(ctx context.Context, do func(group string, n int64, t alert.Transition) error) error
	// Unnoted calls do with every transition with a topic of which no delivery to the destination is noted.
	Unnoted(ctx context.Context, destination string, do func(group string, n int64, t alert.Transition) error) error
	// Noted calls do with the latest transition of each fingerprint of which a delivery to the destination is noted.
	Noted(ctx context.Context, destination string, do func(alert.Transition) error) error
	// Refused calls do with every transition that the destination refused for good, but those that somebody asked to be tried again
	// since: these are unnoted, and Again counts them.
	Refused(ctx context.Context, destination string, do func(alert.Transition) error) error
	Again(ctx context.Context, destination string) (n uint64, err error)
	// Ended returns the last published transition of alerts that stand resolved since before an instant and of which no delivery
	// to the destination is noted: at most limit, in the order of fingerprints, after the given one.
	Ended(ctx context.Context, destination string, before time.Time, after string, limit int) ([]alert.Transition, error)
	// Delivered notes what became of transitions at the destination.
	Delivered(ctx context.Context, destination string, at time.Time, deliveries []alert.Delivery) error
	// Begin returns since when the destination is delivered to. One that is new begins at the given instant: what the log took in
	// before is noted as earlier.
	Begin(ctx context.Context, destination string, at time.Time) (since time.Time, err error)
}

// Destination takes transitions. It is used by one goroutine at a time, and its methods return when their context ends.
type Destination interface {
	// Name is how deliveries are noted.
	Name() string
	// Recover forgets what is known of the destination and looks afresh at what it has of the topics.
	Recover(ctx context.Context, topics []string) error
	// Has reports whether the destination has the transition, or one after it, by what is known since Recover.
	Has(t alert.Transition) bool
	// Deliver brings the transitions, in their order, to where they are not yet, and returns what became of them, also beside an
	// error. What is not returned is tried again. A repeat of what is there already does no harm.
	Deliver(ctx context.Context, transitions []alert.Transition) (settled []alert.Delivery, err error)
	// Mend looks for what reached the destination out of order and puts it right; it returns how many it mended. Where something
	// can be mended only from the log, again is true.
	Mend(ctx context.Context) (mended int, again bool, err error)
	// Tombstone takes off what ended with these transitions, unless something later stands there, and returns those that are off.
	Tombstone(ctx context.Context, ended []alert.Transition) (off []alert.Transition, err error)
}

const (
	pageTransitions = 1000
	pageEnded       = 10_000
	tombstonesEvery = time.Hour
	againEvery      = 15 * time.Second
	retryMin        = 200 * time.Millisecond
	retryMax        = 15 * time.Second
)

// tombstones is the name under which deliveries of tombstones to a destination are noted.
func tombstones(destination string) string { return destination + " tombstones" }

// Relay brings what the log says to one destination. Fields may be set until the first call; calls may come from several
// goroutines.
type Relay struct {
	Log         Log
	Destination Destination
	Metrics     *Metrics         // NewMetrics(nil) where nobody looks
	Logger      *slog.Logger     // slog.Default() where nil
	Clock       func() time.Time // time.Now where nil
	// Every is how often the log is looked at without a Wake, and the destination for what is out of order. Defaults to 5s.
	Every time.Duration
	// TombstoneAfter is how long after its resolve an alert is taken off the destination. Zero: never.
	TombstoneAfter time.Duration
	// Page is how many transitions are read at once, and noted at once when they are delivered. Defaults to 1000.
	Page int
	// Since is where a destination begins that was never delivered to. Zero: at the beginning of the log.
	Since time.Time

	once      sync.Once
	wake      chan struct{}
	mu        sync.Mutex // held while flushing
	recovered bool
	after     map[string]int64
	gone      map[string]alert.Order // what was taken off, by fingerprint: the log's transitions up to there are not published again
	refused   map[string]bool        // ids of transitions that the destination refused for good
	lookAgain time.Time              // when to look again for what ended
	askAgain  time.Time              // when to look again for what somebody wants to be tried again, and at what is broken
	unnoted   []alert.Delivery       // settled, but the log could not be told
	unnotedAt time.Time
}

func (r *Relay) prepare() {
	r.once.Do(func() {
		r.wake = make(chan struct{}, 1)
		if r.Metrics == nil {
			r.Metrics = NewMetrics(nil)
		}
		if r.Logger == nil {
			r.Logger = slog.Default()
		}
		if r.Clock == nil {
			r.Clock = time.Now
		}
		if r.Every <= 0 {
			r.Every = 5 * time.Second
		}
		if r.Page <= 0 {
			r.Page = pageTransitions
		}
	})
}

// Wake says that the log has grown. It never blocks.
func (r *Relay) Wake() {
	r.prepare()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Restart makes the next flush look afresh at what the destination has, as a new leader must: another process may have
// published meanwhile.
func (r *Relay) Restart() {
	r.prepare()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recovered = false
}

// Run relays until the context ends, beginning with a look at what the destination already has. Failures are waited out.
func (r *Relay) Run(ctx context.Context) error {
	r.Restart()
	pause := dial.Pause{First: retryMin, Longest: retryMax}
	for ctx.Err() == nil {
		var broken *BrokenError
		if _, err := r.Flush(ctx); err == nil || errors.As(err, &broken) { // that was said when it broke
			pause.Reset()
			r.awaitMore(ctx)
		} else if ctx.Err() == nil {
			r.Logger.Warn("publishing; trying again", "destination", r.Destination.Name(), "error", err)
			_ = pause.Wait(ctx) // no Wake ends it: more to publish does not make the destination well
		}
	}
	return nil
}

// awaitMore waits for a Wake, or until it is time to look without one.
func (r *Relay) awaitMore(ctx context.Context) {
	timer := time.NewTimer(r.Every)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-r.wake:
	case <-timer.C:
	}
}

// Flush delivers everything that the log holds and the destination does not have, and returns how many transitions that were.
// After an error, or with a relay that was used before, it goes on where it was.
func (r *Relay) Flush(ctx context.Context) (n int, err error) {
	r.prepare()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.again(ctx); err != nil {
		return n, err
	}
	for {
		if err := r.recover(ctx); err != nil {
			return n, err
		}
		page, err := r.flushPages(ctx)
		n += page
		if err != nil {
			return n, err
		}
		mended, again, err := r.Destination.Mend(ctx)
		r.Metrics.mended.WithLabelValues(r.Destination.Name()).Add(float64(mended))
		if err != nil {
			return n, fmt.Errorf("mending %s: %w", r.Destination.Name(), err)
		}
		if !again {
			if err := r.tombstone(ctx); err != nil {
				return n, err
			}
			broken := r.broken()
			r.Metrics.broken.WithLabelValues(r.Destination.Name()).Set(float64(len(broken)))
			if len(broken) > 0 {
				return n, &BrokenError{r.Destination.Name(), maps.Clone(broken)}
			}
			r.Metrics.flushed.WithLabelValues(r.Destination.Name()).Set(float64(r.Clock().Unix()))
			return n, nil
		}
		r.recovered = false
	}
}

// BrokenError says that parts of a destination cannot be delivered to. Everything that is for others was delivered; what is for these waits
// in the log, and they are looked at again now and then.
type BrokenError struct {
	Destination string
	Parts       map[string]error
}

func (e *BrokenError) Error() string {
	var said []string
	for _, name := range slices.Sorted(maps.Keys(e.Parts)) {
		said = append(said, e.Parts[name].Error())
	}
	return fmt.Sprintf("delivering to %s: %d topics cannot be written to, the others can: %s", e.Destination, len(said), strings.Join(said, "; "))
}

// inParts is a destination of which parts can be broken.
type inParts interface {
	Broken() map[string]error // the parts that cannot be delivered to, and why
	Well(ctx context.Context) bool
}

func (r *Relay) broken() map[string]error {
	if d, parts := r.Destination.(inParts); parts {
		return d.Broken()
	}
	return nil
}

// again looks now and then whether somebody wants refused deliveries to be tried again, and whether what is broken is well. All that
// is unnoted, so recover finds it.
func (r *Relay) again(ctx context.Context) error {
	now := r.Clock()
	if !r.recovered || now.Before(r.askAgain) {
		return nil
	}
	n, err := r.Log.Again(ctx, r.Destination.Name())
	if err != nil {
		return fmt.Errorf("reading which deliveries to %s are to be tried again: %w", r.Destination.Name(), err)
	}
	d, parts := r.Destination.(inParts)
	well := parts && len(d.Broken()) > 0 && d.Well(ctx)
	r.recovered, r.askAgain = n == 0 && !well, now.Add(againEvery)
	return nil
}

// recover finds out where in the log to go on: before the first transition that the destination cannot be shown to have. What
// it has and nobody noted, because a process died in between, is noted. Of the log only names and places are read.
func (r *Relay) recover(ctx context.Context) error {
	if r.recovered {
		return nil
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	name := r.Destination.Name()
	last, lost, start := map[string]int64{}, map[string]int64{}, map[string]int64{}
	first := func(of map[string]int64, group string, n int64) {
		if known, found := of[group]; !found || n < known {
			of[group] = n
		}
	}
	// What is appended after this look is among the unnoted, or behind the last entry: nothing falls between the two.
	err := r.Log.Latest(ctx, func(group string, n int64, t alert.Transition) error {
		last[group] = max(last[group], n)
		if r.broken()[t.Topic] == nil && !r.has(t) {
			first(lost, group, n)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the alert log: %w", err)
	}
	var found []alert.Transition
	err = r.Log.Unnoted(ctx, name, func(group string, n int64, t alert.Transition) error {
		if r.broken()[t.Topic] != nil {
			return nil
		}
		if !r.has(t) {
			first(start, group, n)
			return nil
		}
		if found = append(found, t); len(found) < pageTransitions {
			return nil
		}
		defer func() { found = found[:0] }()
		return r.noteFound(ctx, found)
	})
	if err == nil {
		err = r.noteFound(ctx, found)
	}
	if err != nil {
		return fmt.Errorf("reading which deliveries to %s are not noted: %w", name, err)
	}
	for group, n := range lost {
		if begin, open := start[group]; !open || n < begin {
			r.Logger.Warn("the destination lacks what was delivered to it; the log is read from its beginning", "destination", name, "group", group)
			start[group] = 1
		}
	}
	for group, n := range start {
		last[group] = n - 1
	}
	r.after, r.recovered = last, true
	return nil
}

// look looks at what the destination has, and reads what is never tried again.
func (r *Relay) look(ctx context.Context) error {
	if err := r.note(ctx); err != nil { // else what was delivered would seem not to be
		return err
	}
	name := r.Destination.Name()
	if !r.Since.IsZero() {
		if _, err := r.Log.Begin(ctx, name, r.Since); err != nil {
			return fmt.Errorf("reading the alert log: %w", err)
		}
	}
	topics, err := r.Log.Topics(ctx)
	if err != nil {
		return fmt.Errorf("reading the alert log: %w", err)
	}
	if err := r.Destination.Recover(ctx, topics); err != nil {
		return fmt.Errorf("looking at what %s has: %w", name, err)
	}
	return r.readOver(ctx)
}

// readOver reads what is never tried again.
func (r *Relay) readOver(ctx context.Context) error {
	name, gone, refused := r.Destination.Name(), map[string]alert.Order{}, map[string]bool{}
	err := r.Log.Noted(ctx, tombstones(name), func(t alert.Transition) error {
		gone[t.Fingerprint] = t.Order()
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading which tombstones were published: %w", err)
	}
	err = r.Log.Refused(ctx, name, func(t alert.Transition) error {
		refused[t.ID] = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading which deliveries %s refused: %w", name, err)
	}
	r.gone, r.refused = gone, refused
	return nil
}

func (r *Relay) has(t alert.Transition) bool { return r.isOver(t) || r.Destination.Has(t) }

// isOver reports whether a transition is never tried again: it was taken off, or refused for good.
func (r *Relay) isOver(t alert.Transition) bool {
	off, found := r.gone[t.Fingerprint]
	return found && t.Order().Compare(off) <= 0 || r.refused[t.ID]
}

// noteFound notes what a process delivered that died before it could say so.
func (r *Relay) noteFound(ctx context.Context, found []alert.Transition) error {
	if len(found) == 0 {
		return nil
	}
	r.Metrics.found.WithLabelValues(r.Destination.Name()).Add(float64(len(found)))
	return r.Log.Delivered(ctx, r.Destination.Name(), r.Clock(), accepted(found))
}

func accepted(transitions []alert.Transition) []alert.Delivery {
	deliveries := make([]alert.Delivery, len(transitions))
	for i, t := range transitions {
		deliveries[i] = alert.Delivery{Transition: t, Outcome: alert.DeliveryAccepted}
	}
	return deliveries
}

// tombstone takes off the destination what ended long ago, now and then.
func (r *Relay) tombstone(ctx context.Context) error {
	now := r.Clock()
	if r.TombstoneAfter <= 0 || now.Before(r.lookAgain) {
		return nil
	}
	name := r.Destination.Name()
	for after := ""; ; {
		ended, err := r.Log.Ended(ctx, tombstones(name), now.Add(-r.TombstoneAfter), after, pageEnded)
		if err != nil {
			return err
		}
		if len(ended) == 0 {
			r.lookAgain = now.Add(tombstonesEvery)
			return nil
		}
		after = ended[len(ended)-1].Fingerprint
		off, err := r.Destination.Tombstone(ctx, ended)
		if err != nil {
			err = fmt.Errorf("taking alerts that ended off %s: %w", name, err)
		}
		r.Metrics.tombstones.WithLabelValues(name).Add(float64(len(off)))
		if len(off) > 0 {
			err = errors.Join(err, r.Log.Delivered(ctx, tombstones(name), now, accepted(off)))
		}
		if err != nil {
			return err
		}
		for _, t := range off {
			r.gone[t.Fingerprint] = t.Order()
		}
	}
}

func (r *Relay) flushPages(ctx context.Context) (n int, err error) {
	name := r.Destination.Name()
	for {
		if err := r.note(ctx); err != nil {
			return n, err
		}
		entries, err := r.Log.Published(ctx, r.after, r.Page)
		if err != nil {
			return n, fmt.Errorf("reading the alert log: %w", err)
		}
		if len(entries) == 0 {
			r.Metrics.backlog.WithLabelValues(name).Set(0)
			return n, nil
		}
		var transitions []alert.Transition
		for _, entry := range entries {
			for _, t := range entry.Transitions {
				if t.Topic != "" && !r.isOver(t) {
					transitions = append(transitions, t)
				}
			}
		}
		r.Metrics.backlog.WithLabelValues(name).Set(float64(len(transitions)))
		settled, err := r.Destination.Deliver(ctx, transitions)
		n += r.count(settled)
		r.unnoted, r.unnotedAt = append(r.unnoted, settled...), r.Clock()
		if err != nil {
			return n, errors.Join(fmt.Errorf("delivering to %s: %w", name, err), r.note(ctx))
		}
		for _, entry := range entries {
			r.after[entry.Group] = max(r.after[entry.Group], entry.N)
		}
	}
}

// count returns how many transitions the destination accepted, and says of each that it was given up.
func (r *Relay) count(settled []alert.Delivery) (accepted int) {
	name := r.Destination.Name()
	for _, d := range settled {
		switch d.Outcome {
		case alert.DeliveryAccepted:
			accepted++
		case alert.DeliveryRefused:
			r.refused[d.ID] = true
			r.Metrics.refused.WithLabelValues(name).Inc()
			r.Logger.Error("the destination refuses a transition; it is given up and noted", "destination", name, "transition", d.ID,
				"rule", d.Rule, "answer", d.Detail)
		}
	}
	r.Metrics.published.WithLabelValues(name).Add(float64(accepted))
	return accepted
}

// note tells the log what was delivered; what it could not be told is told before anything else is delivered.
func (r *Relay) note(ctx context.Context) error {
	if len(r.unnoted) == 0 {
		return nil
	}
	if err := r.Log.Delivered(ctx, r.Destination.Name(), r.unnotedAt, r.unnoted); err != nil {
		return fmt.Errorf("noting %d deliveries to %s: %w", len(r.unnoted), r.Destination.Name(), err)
	}
	r.unnoted = slices.Delete(r.unnoted, 0, len(r.unnoted))
	return nil
}
