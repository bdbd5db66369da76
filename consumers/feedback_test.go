package consumers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/consumers"
)

func acknowledgement(id string) []byte {
	return fmt.Appendf(nil, `{"event_id":%q,"fingerprint":"f","what":"ack","who":"ada"}`, id)
}

// Feedback is a topic like the others: what is there when consuming begins is stored when it is idle.
func TestFeedbackIsWaitedForUntilIdle(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		topics := conn.Topics()
		var messages []kafka.Message
		for i := range 20 {
			messages = append(messages, kafka.Message{Topic: topics.Feedback, Key: []byte("f"), Value: acknowledgement(fmt.Sprint("a", i))})
		}
		produce(t, conn, messages...)
		store := newMemory()
		c := newConsumers(t, conn, store)
		if err := c.RunUntilIdle(within(t)); err != nil {
			t.Fatal(err)
		}
		if len(store.feedback) != 20 {
			t.Errorf("%d of 20 records of feedback are stored", len(store.feedback))
		}
		committed, err := conn.Committed(within(t), c.Config.Group, topics.Feedback)
		if err != nil {
			t.Fatal(err)
		}
		for tp, offset := range committed {
			if offset != 20 {
				t.Errorf("%s is committed up to %d", tp, offset)
			}
		}
		if len(committed) != 1 {
			t.Errorf("committed are %v", committed)
		}
	})
}

// A rebalance is for partitions that are new, and not for those that were there all along.
func TestTheGroupRebalancesOnlyForNewPartitions(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		store := newMemory()
		c := newConsumers(t, conn, store)
		c.Config.PartitionWatch = time.Second
		registry := prometheus.NewRegistry()
		c.Metrics = consumers.NewMetrics(registry)
		ear := listen(t, c)
		start(t, c)
		feedback := conn.Topics().Feedback
		produce(t, conn, kafka.Message{Topic: feedback, Key: []byte("f"), Value: acknowledgement("before")})
		store.until(t, "the first feedback is stored", func() bool { return len(store.feedback) == 1 })
		ear.until(t, "looked at the partitions", 2)
		if n := metric(t, registry, "generations_total"); n != 1 {
			t.Errorf("the process took part in %g generations, though nothing changed", n)
		}
		response, err := conn.Client().CreatePartitions(within(t), &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: feedback, Count: 2}}})
		if err != nil || response.Errors[feedback] != nil {
			t.Fatal(err, response.Errors)
		}
		fresh := again(t, conn)
		if _, err := fresh.Ranges(within(t), feedback); err != nil { // which waits until it has a leader
			t.Fatal(err)
		}
		produce(t, fresh, kafka.Message{Topic: feedback, Partition: 1, Key: []byte("f"), Value: acknowledgement("after")})
		store.until(t, "the feedback of the new partition is stored", func() bool { return len(store.feedback) == 2 })
	})
}

// again connects anew: a connection remembers for a while which topics and partitions there are.
func again(t testing.TB, conn *broker.Connection) *broker.Connection {
	t.Helper()
	fresh, err := broker.Connect(conn.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fresh.Close)
	return fresh
}

// A topic that is missing when consuming begins is waited for, whichever it is: the group would not learn of it by itself.
func TestEveryTopicIsWaitedFor(t *testing.T) {
	conn := connect(t, servers["embedded"](t), 1)
	feedback := conn.Topics().Feedback
	response, err := conn.Client().DeleteTopics(within(t), &kafka.DeleteTopicsRequest{Topics: []string{feedback}})
	if err != nil || response.Errors[feedback] != nil {
		t.Fatal(err, response.Errors)
	}
	conn = again(t, conn)
	store := newMemory()
	c := newConsumers(t, conn, store)
	ear := listen(t, c)
	start(t, c)
	produce(t, conn, kafka.Message{Topic: conn.Topics().Deals, Value: deal("d")})
	ear.until(t, "waiting for topics; `aftershock topics create` makes them", 1)
	if c.Ready() == nil {
		t.Error("the group is joined before all topics are there")
	}
	if _, err := conn.CreateTopics(within(t), conn.Topics().Wanted()); err != nil {
		t.Fatal(err)
	}
	produce(t, again(t, conn), kafka.Message{Topic: feedback, Key: []byte("f"), Value: acknowledgement("a")})
	store.until(t, "all is stored", func() bool { return len(store.deals) == 1 && len(store.feedback) == 1 })
}
