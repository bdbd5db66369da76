package warehouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/dial"
)

// Keeper brings links up to date with what consumers committed, and lets ticks wait for that.
type Keeper struct {
	links   *Links
	facts   Committed
	metrics *LinksMetrics

	updating sync.Mutex      // no update is given older offsets than the one before: it would take the topic for a new one
	asked    chan chan error // who waits for an update that begins after it asked; nil while nobody keeps the links
}

// Committed tells below which offsets everything is stored.
type Committed interface {
	Committed(ctx context.Context) (map[churn.TopicPartition]int64, error)
}

// LinksMetrics are what a keeper tells Prometheus.
type LinksMetrics struct {
	seconds  prometheus.Histogram
	accounts prometheus.Counter
	rewound  prometheus.Counter
	aside    prometheus.Gauge
}

// NewLinksMetrics makes the collectors and registers them.
func NewLinksMetrics(r prometheus.Registerer) *LinksMetrics {
	m := &LinksMetrics{
		seconds:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "aftershock_upkeep_seconds", Help: "Time to bring links up to date for what arrived.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 14)}),
		accounts: prometheus.NewCounter(prometheus.CounterOpts{Name: "aftershock_upkeep_accounts_total", Help: "Accounts whose links were brought up to date."}),
		rewound:  prometheus.NewCounter(prometheus.CounterOpts{Name: "aftershock_upkeep_rewound_total", Help: "Partitions that upkeep took in again from their start."}),
		aside:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "aftershock_upkeep_accounts_set_aside", Help: "Accounts that are too large to be linked: their links stay as they are, their alerts hold."}),
	}
	r.MustRegister(m.seconds, m.accounts, m.rewound, m.aside)
	return m
}

// KeepLinks claims the links for this writer, as OpenLinks does, and continues where the last update ended.
func (w *Warehouse) KeepLinks(ctx context.Context, writer string, facts Committed, metrics *LinksMetrics) (*Keeper, error) {
	links, err := w.OpenLinks(ctx, writer)
	return &Keeper{links: links, facts: facts, metrics: metrics}, err
}

// SetAside returns the accounts whose links are no longer brought up to date. The caller does not change them.
func (k *Keeper) SetAside() map[string]bool { return k.links.SetAside() }

// Serve makes those who wait from now on leave the updates to Run.
func (k *Keeper) Serve() { k.asked = make(chan chan error) }

// Run brings links up to date whenever somebody waits for that, and every so often, so that analysts see them, until the context ends.
func (k *Keeper) Run(ctx context.Context, every time.Duration) error {
	for pause := time.Duration(0); ctx.Err() == nil; pause = every {
		var waiting chan error
		select {
		case waiting = <-k.asked:
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		err := k.update(ctx)
		switch {
		case errors.Is(err, ErrAnotherWriter):
			return err
		case waiting != nil:
			waiting <- err
		case err != nil && ctx.Err() == nil:
			slog.Warn("bringing links up to date; trying again", "error", err)
		}
	}
	return nil
}

// Await waits for an update that begins now or later. It returns what is lacking where that takes longer than most: who waits goes
// on without, and so does the update. While nobody serves, who waits does it.
func (k *Keeper) Await(ctx context.Context, most time.Duration) (lacking string, err error) {
	if k.asked == nil {
		return "", k.update(ctx)
	}
	limit := time.After(most)
	pause := dial.Pause{First: most / 100, Longest: most / 10}
	ended := make(chan error, 1)
	ask := k.asked
	var again <-chan time.Time
	for {
		select {
		case ask <- ended:
			ask = nil
		case err := <-ended:
			if err == nil {
				return "", nil
			}
			slog.Warn("bringing links up to date for a tick; trying again", "error", err)
			lacking, again = ": "+err.Error(), time.After(pause.Next())
		case <-again:
			ask = k.asked
		case <-limit:
			return fmt.Sprintf("links were not up to date after %s%s", most, lacking), nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// update brings links up to date with what is committed.
func (k *Keeper) update(ctx context.Context) error {
	k.updating.Lock()
	defer k.updating.Unlock()
	committed, err := k.facts.Committed(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	result, err := k.links.Update(ctx, committed)
	for _, tp := range result.Rewound {
		k.metrics.rewound.Inc()
		slog.Error("taking a partition in again from its start: its topic was made anew, or the consumers' offsets were set back; nothing is counted twice", "partition", tp.String())
	}
	k.metrics.aside.Set(float64(result.SetAside))
	if err == nil && result.Arrived > 0 {
		k.metrics.seconds.Observe(time.Since(began).Seconds())
		k.metrics.accounts.Add(float64(result.Accounts))
	}
	return err
}
