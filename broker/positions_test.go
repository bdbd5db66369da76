package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/testservers"
)

// commit says that a group has stored everything below an offset of a topic's first partition.
func commit(t testing.TB, conn *broker.Connection, group, topic string, offset int64) {
	t.Helper()
	response, err := conn.Client().OffsetCommit(within(t), &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: 0, Offset: offset}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Topics[topic][0].Error; err != nil {
		t.Fatal(err)
	}
}

// fill writes n records to the first partition of a topic.
func fill(t testing.TB, conn *broker.Connection, topic string, n int) {
	t.Helper()
	records := make([]kafka.Record, n)
	for i := range records {
		records[i].Value = kafka.NewBytes(fmt.Append(nil, i))
	}
	if _, err := conn.Produce(within(t), topic, records); err != nil {
		t.Fatal(err)
	}
}

func TestWaitSaysOfEachTopicHowItStands(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		create(t, conn)
		topics := conn.Topics()
		fill(t, conn, topics.Deals, 5)
		fill(t, conn, topics.Tickets, 3)
		fill(t, conn, topics.Feedback, 4)
		positions := &broker.Positions{Kafka: conn, Group: testservers.Name("group"), Topics: []string{topics.Deals, topics.Tickets, topics.Feedback}}
		commit(t, conn, positions.Group, topics.Deals, 2)
		wait := func(patience broker.Patience) broker.Progress {
			t.Helper()
			w, err := positions.Wait(within(t), patience)
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		stands := func(w broker.Progress, want string) {
			t.Helper()
			got := ""
			for _, topic := range positions.Topics {
				got += fmt.Sprintf(" %d of %d", w.Short(topic), w.Lag(topic))
			}
			if got = strings.TrimSpace(got); got != want {
				t.Errorf("short are %s, want %s", got, want)
			}
		}

		w := wait(broker.Patience{Timeout: time.Millisecond})
		stands(w, "3 of 3 3 of 3 4 of 4")
		if err := w.Err(topics.Deals, topics.Tickets); !errors.Is(err, broker.ErrBehind) ||
			err.Error() != "waiting for group "+positions.Group+": consumers are behind: 6 records short" {
			t.Errorf("the error is %v", err)
		}

		// Where deals and tickets lag too far they are not waited for. Feedback is.
		look := func() broker.Progress {
			t.Helper()
			w, err := positions.Now(within(t))
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		await := func(w *broker.Progress, patience broker.Patience) {
			t.Helper()
			if err := w.Await(within(t), patience); err != nil {
				t.Fatal(err)
			}
		}
		w = look()
		commit(t, conn, positions.Group, topics.Feedback, 4)
		await(&w, broker.Patience{Timeout: time.Minute, MaxLag: 5, Exempt: []string{topics.Feedback}})
		stands(w, "3 of 3 3 of 3 0 of 4")
		if err := w.Err(topics.Feedback); err != nil {
			t.Errorf("feedback that arrived gives %v", err)
		}

		// What arrives while it waits is not waited for.
		w = look()
		fill(t, conn, topics.Deals, 1)
		commit(t, conn, positions.Group, topics.Tickets, 3)
		commit(t, conn, positions.Group, topics.Deals, 5)
		await(&w, broker.Patience{MaxLag: 6, Exempt: []string{topics.Feedback}})
		stands(w, "0 of 3 0 of 3 0 of 0")
		for tp, end := range w.Ends {
			if w.Committed[tp] != end {
				t.Errorf("%s is committed up to %d, and ends at %d", tp, w.Committed[tp], end)
			}
		}
		stands(wait(broker.Patience{Timeout: time.Millisecond}), "1 of 1 0 of 0 0 of 0")
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	config := embeddedConfig(t)
	config.Topics = ownTopics()
	conn := connect(t, config)
	create(t, conn)
	fill(t, conn, conn.Topics().Deals, 1)
	positions := &broker.Positions{Kafka: conn, Group: testservers.Name("group"), Topics: []string{conn.Topics().Deals}}
	ctx, cancel := context.WithTimeout(within(t), 100*time.Millisecond)
	defer cancel()
	if _, err := positions.Wait(ctx, broker.Patience{}); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, broker.ErrBehind) {
		t.Errorf("the error is %v", err)
	}
	positions.Topics = []string{"no.such.topic"}
	if _, err := positions.Wait(within(t), broker.Patience{}); !errors.Is(err, kafka.UnknownTopicOrPartition) {
		t.Errorf("a topic that does not exist gives %v", err)
	}
}

func TestWaitSaysWhoIsBehind(t *testing.T) {
	config := embeddedConfig(t)
	config.Topics = ownTopics()
	conn := connect(t, config)
	create(t, conn)
	fill(t, conn, conn.Topics().Deals, 1)
	positions := &broker.Positions{Kafka: conn, Group: testservers.Name("group"), Topics: []string{conn.Topics().Deals, conn.Topics().Tickets}}
	waited, err := positions.Wait(within(t), broker.Patience{Timeout: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := waited.Err(); !errors.Is(err, broker.ErrBehind) {
		t.Errorf("the error is %v", err)
	}
}
