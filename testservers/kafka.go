package testservers

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aftershock/aftershock/embedded"
	realkafka "github.com/aftershock/aftershock/testservers/kafka"
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

var sharedKafka = sync.OnceValues(func() ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), firstKafka)
	defer cancel()
	kafka, err := realkafka.Start(ctx, realkafka.Options{})
	if err != nil {
		return nil, err
	}
	atEnd(kafka.Stop)
	return kafka.Addrs(), nil
})

const firstKafka = 10 * time.Minute // Maven fetches it the first time

// Kafka4 returns the addresses of a real Apache Kafka 4 that all tests of this
// binary share, so give topics and groups names of your own (Name helps). It
// starts with the first call and stops in Main.
func Kafka4(t testing.TB) []string {
	t.Helper()
	if ok, reason := realkafka.Available(); !ok {
		missing(t, reason)
	}
	addrs, err := sharedKafka()
	if err != nil {
		t.Fatal(err)
	}
	return addrs
}

var names atomic.Int64

// Name returns a name that no other test of this binary gets, for a topic or a
// group on a shared broker.
func Name(prefix string) string {
	return fmt.Sprintf("%s-%d-%d", prefix, os.Getpid(), names.Add(1))
}
