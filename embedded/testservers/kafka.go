package testservers

import (
	"context"
	"testing"

	"github.com/aftershock/aftershock/embedded"
)

// Broker starts an empty broker for this test and returns its addresses.
// Topics are not created by themselves.
func Broker(t testing.TB) []string {
	t.Helper()
	return StartBroker(t, embedded.BrokerOptions{}).Addrs()
}

// StartBroker is Broker with a say in how it runs, and the broker itself.
func StartBroker(t testing.TB, options embedded.BrokerOptions) *embedded.Broker {
	t.Helper()
	broker, err := embedded.StartBroker(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), bound)
		defer cancel()
		if err := broker.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return broker
}
