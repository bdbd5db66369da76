package consumers_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/testservers"
)

// The marker of a transaction takes an offset at which there is nothing to store; it must be committed all the same, or a tick
// would wait for it for ever.
func TestTransactionsAreReadToTheirEnd(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		client, err := kgo.NewClient(kgo.SeedBrokers(conn.Brokers()...), kgo.TransactionalID(testservers.Name("tx")),
			kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for id, end := range map[string]kgo.TransactionEndTry{"committed": kgo.TryCommit, "aborted": kgo.TryAbort} {
			if err := client.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := client.ProduceSync(within(t), &kgo.Record{Topic: conn.Topics().Deals, Value: deal(id)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if err := client.EndTransaction(within(t), end); err != nil {
				t.Fatal(err)
			}
		}
		store := newMemory()
		c := newConsumers(t, conn, store)
		if err := c.RunUntilIdle(within(t)); err != nil {
			t.Fatal(err)
		}
		if len(store.deals) != 1 || len(store.rejected) != 0 {
			t.Errorf("stored %d deals and %d rejections, want the committed deal alone", len(store.deals), len(store.rejected))
		}
		progress, err := c.Positions().Now(within(t))
		if err != nil {
			t.Fatal(err)
		}
		for tp, end := range progress.Ends {
			if n := end - progress.Committed[tp]; n != 0 {
				t.Errorf("%s lags by %d", tp, n)
			}
		}
	})
}
