package warehouse

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aftershock/aftershock/churn"
)

// asking is what is committed, as a test tells it; nothing has to be linked.
type asking func(ctx context.Context) error

func (a asking) Committed(ctx context.Context) (map[churn.TopicPartition]int64, error) {
	return nil, a(ctx)
}

func served(t *testing.T, facts asking) *Keeper {
	k := &Keeper{links: &Links{warehouse: &Warehouse{}}, facts: facts, metrics: NewLinksMetrics(prometheus.NewRegistry())}
	k.Serve()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- k.Run(ctx, time.Hour) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait() // the first update is over, or as far as it gets
	return k
}

// Whoever waits is told at last that links are late, whatever the reason, and goes on; so do the updates.
func TestNobodyWaitsForLinksForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failure error
		block := make(chan struct{})
		k := served(t, func(ctx context.Context) error {
			select {
			case <-block:
			case <-ctx.Done():
			}
			return failure
		})
		expect := func(want string) {
			t.Helper()
			began := time.Now()
			lacking, err := k.Await(t.Context(), time.Minute)
			if lacking != want || err != nil {
				t.Errorf("%q, %v, want %q", lacking, err, want)
			}
			if took := time.Since(began); want != "" && took != time.Minute || took > time.Minute {
				t.Errorf("it waited for %s", took)
			}
		}
		expect("links were not up to date after 1m0s") // an update takes long
		expect("links were not up to date after 1m0s") // and longer
		failure = errors.New("the disk is full")
		close(block)
		expect("links were not up to date after 1m0s: the disk is full")
		failure = nil
		expect("")
	})
}

// An update that began before somebody asked may not have seen what they wait for.
func TestAnUpdateCountsThatBeganAfterItWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := 0
		running := make(chan struct{})
		k := served(t, func(ctx context.Context) error {
			began++
			select {
			case <-running:
			case <-ctx.Done():
			}
			return nil
		})
		ended := make(chan string)
		go func() {
			lacking, _ := k.Await(t.Context(), time.Minute)
			ended <- lacking
		}()
		synctest.Wait()
		running <- struct{}{} // the one that was under way
		synctest.Wait()
		if began != 2 {
			t.Fatalf("%d updates began, want a second one", began)
		}
		select {
		case <-ended:
			t.Fatal("it did not wait for the second one")
		default:
		}
		running <- struct{}{}
		if lacking := <-ended; lacking != "" {
			t.Error(lacking)
		}
	})
}
