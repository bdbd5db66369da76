package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Log is the alert log as a relay needs it.
type Log interface {
	// Published returns, in log order, at most limit entries that have transitions with a topic and whose N is greater than
	// after[group]; a group that is not in after counts from its beginning.
	Published(ctx context.Context, after map[string]int64, limit int) ([]churn.Entry, error)
	// Delivered notes that the destination accepted the transitions.
	Delivered(ctx context.Context, destination string, at time.Time, transitions []churn.Transition) error
}

// Destination takes transitions. It is used by one goroutine at a time.
type Destination interface {
	// Name is how deliveries are noted.
	Name() string
	// Recover forgets what is known of the destination, so that the next Deliver looks afresh at what it already has.
	Recover()
	// Deliver brings the transitions, in their order, to where they are not yet, and returns those that it brought, also beside an
	// error. A repeat of what is there already does no harm.
	Deliver(ctx context.Context, transitions []churn.Transition) (delivered []churn.Transition, err error)
	// Mend looks for what reached the destination out of order and puts it right; it returns how many it mended. Where something
	// can be mended only from the log, again is true.
	Mend(ctx context.Context) (mended int, again bool, err error)
}

const (
	pageEntries = 256
	retryMin    = 200 * time.Millisecond
	retryMax    = 15 * time.Second
)

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

	once      sync.Once
	wake      chan struct{}
	mu        sync.Mutex // held while flushing
	after     map[string]int64
	unnoted   []churn.Transition // delivered, but the log could not be told
	unnotedAt time.Time
}

func (r *Relay) prepare() {
	r.once.Do(func() {
		r.wake = make(chan struct{}, 1)
		r.after = map[string]int64{}
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

// Restart makes the next flush read the destination and the log from the beginning, as a new holder must: another process may
// have published meanwhile.
func (r *Relay) Restart() {
	r.prepare()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.restart()
}

func (r *Relay) restart() {
	r.after = map[string]int64{}
	r.Destination.Recover()
}

// Run relays until the context ends, beginning with a look at what the destination already has. Failures are waited out.
func (r *Relay) Run(ctx context.Context) error {
	r.Restart()
	pause := retryMin
	for {
		_, err := r.Flush(ctx)
		wait := r.Every
		if err != nil && ctx.Err() == nil {
			r.Logger.Warn("publishing; trying again", "destination", r.Destination.Name(), "error", err)
			wait = pause/2 + rand.N(pause/2+1)
			pause = min(2*pause, retryMax)
		} else {
			pause = retryMin
		}
		timer := time.NewTimer(wait)
		wake := r.wake
		if err != nil {
			wake = nil // more to publish does not make the destination well
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Flush delivers everything that the log holds and the destination does not have, and returns how many transitions that were.
// After an error, or with a relay that was used before, it goes on where it was.
func (r *Relay) Flush(ctx context.Context) (n int, err error) {
	r.prepare()
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
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
			return n, nil
		}
		r.after = map[string]int64{}
	}
}

func (r *Relay) flushPages(ctx context.Context) (n int, err error) {
	name := r.Destination.Name()
	for {
		if err := r.note(ctx); err != nil {
			return n, err
		}
		entries, err := r.Log.Published(ctx, r.after, pageEntries)
		if err != nil {
			return n, fmt.Errorf("reading the alert log: %w", err)
		}
		if len(entries) == 0 {
			r.Metrics.backlog.WithLabelValues(name).Set(0)
			return n, nil
		}
		var transitions []churn.Transition
		for _, entry := range entries {
			for _, t := range entry.Transitions {
				if t.Topic != "" {
					transitions = append(transitions, t)
				}
			}
		}
		r.Metrics.backlog.WithLabelValues(name).Set(float64(len(transitions)))
		delivered, err := r.Destination.Deliver(ctx, transitions)
		n += len(delivered)
		r.Metrics.published.WithLabelValues(name).Add(float64(len(delivered)))
		r.unnoted, r.unnotedAt = append(r.unnoted, delivered...), r.Clock()
		if err != nil {
			return n, errors.Join(fmt.Errorf("delivering to %s: %w", name, err), r.note(ctx))
		}
		for _, entry := range entries {
			r.after[entry.Group] = max(r.after[entry.Group], entry.N)
		}
	}
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
