package warehouse

import (
	"runtime"
	"testing"

	"github.com/aftershock/aftershock/churn/alert"
)

// A connection is used again as soon as an insert has ended. The driver watches the context of an insert, and its watch must
// not close the connection under the query after it.
func TestTheConnectionOfAnInsertStaysOpen(t *testing.T) {
	w := open(t)
	stop := make(chan struct{})
	defer close(stop)
	for range 2 * runtime.GOMAXPROCS(0) { // so that the watch is often late
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
	}
	for i := range 100 {
		d := []alert.Delivery{{Transition: alert.Transition{Fingerprint: "f", Episode: i + 1}}}
		if err := w.Delivered(t.Context(), "d", now(), d); err != nil {
			t.Fatalf("insert %d: %v", i, err)
		}
		if err := w.Noted(t.Context(), "d", func(alert.Transition) error { return nil }); err != nil {
			t.Fatalf("the query after insert %d: %v", i, err)
		}
	}
}
