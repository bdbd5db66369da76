package publish_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/publish"
	"github.com/aftershock/aftershock/testservers"
)

// A record that the broker refuses for its size is noted as refused, and holds up nothing: not what follows, not after a restart. It is
// tried again when somebody asks for it.
func TestARefusedRecordHoldsUpNoOther(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		log, topic := &alertLog{}, conn.Topics().Alerts
		large := transition(topic, "large", 1, 1)
		large.Value = append([]byte(`{"fingerprint":"large","episode":1,"sequence":1,"x":"`), strings.Repeat("x", 3<<19)...)
		large.Value = append(large.Value, `"}`...)
		log.append("g", transition(topic, "a", 1, 1), transition(topic, "b", 1, 1), large, transition(topic, "c", 1, 1))
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		relay := newRelay(t, conn, log)
		relay.Clock = func() time.Time { return now }
		flush(t, relay, 3)
		expect(t, on(t, conn, topic), "a-1-1", "b-1-1", "c-1-1")
		if len(log.others) != 1 || !strings.HasPrefix(log.others[0], "kafka large-1-1 refused: ") {
			t.Fatalf("noted: %q", log.others)
		}
		log.append("g", transition(topic, "d", 1, 1))
		flush(t, relay, 1)

		relay = newRelay(t, conn, log)
		relay.Clock = func() time.Time { return now }
		log.read = 0
		flush(t, relay, 0)
		if log.read > 0 {
			t.Errorf("a new relay reads %d entries again", log.read)
		}
		log.append("g", transition(topic, "e", 1, 1))
		flush(t, relay, 1)

		// What it was refused for is mended, and somebody asks for another try.
		log.entries[0].Transitions[2].Value = transition(topic, "large", 1, 1).Value
		log.others = nil
		var left []string
		for _, noted := range log.delivered {
			if noted != "kafka large-1-1" {
				left = append(left, noted)
			}
		}
		log.delivered, log.again = left, 1
		flush(t, relay, 0)
		now = now.Add(time.Minute)
		flush(t, relay, 1)
		expect(t, on(t, conn, topic), "a-1-1", "b-1-1", "c-1-1", "d-1-1", "e-1-1", "large-1-1")
		expect(t, log.others)
		now = now.Add(time.Minute)
		flush(t, relay, 0)
	})
}

var _ publish.Log = (*alertLog)(nil)

// A topic that is not there, because a rule names another one than was meant or somebody deleted it, holds up no other, not over
// restarts either. When it is there, it gets everything, in order.
func TestATopicFailsAlone(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		log, alerts, mistyped := &alertLog{}, conn.Topics().Alerts, testservers.Name("mistyped")
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var relay *publish.Relay
		restart := func() {
			relay = newRelay(t, conn, log)
			relay.Clock = func() time.Time { return now }
		}
		broken := func(want int, topic string) {
			t.Helper()
			n, err := relay.Flush(within(t))
			var broken *publish.BrokenError
			if !errors.As(err, &broken) || len(broken.Parts) != 1 || broken.Parts[topic] == nil {
				t.Fatalf("the error is %v", err)
			}
			if n != want {
				t.Errorf("published %d transitions, want %d", n, want)
			}
		}
		restart()
		log.append("g", transition(alerts, "a", 1, 1), transition(mistyped, "x", 1, 1), transition(alerts, "b", 1, 1))
		broken(2, mistyped)
		log.append("g", transition(mistyped, "x", 1, 2), transition(alerts, "a", 1, 2))
		broken(1, mistyped)
		restart()
		log.append("h", transition(alerts, "c", 1, 1), transition(mistyped, "y", 1, 1))
		broken(1, mistyped)
		now = now.Add(time.Minute)
		broken(0, mistyped)
		expect(t, on(t, conn, alerts), "a-1-1", "b-1-1", "a-1-2", "c-1-1")

		if _, err := conn.CreateTopics(within(t), []broker.Topic{{Name: mistyped, Partitions: 1}}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
		flush(t, relay, 3)
		expect(t, on(t, conn, mistyped), "x-1-1", "x-1-2", "y-1-1")
		expect(t, on(t, conn, alerts), "a-1-1", "b-1-1", "a-1-2", "c-1-1")

		deleted, err := conn.Client().DeleteTopics(within(t), &kafka.DeleteTopicsRequest{Topics: []string{alerts}})
		if err == nil {
			err = deleted.Errors[alerts]
		}
		if err != nil {
			t.Fatal(err)
		}
		log.append("g", transition(alerts, "d", 1, 1), transition(mistyped, "z", 1, 1))
		broken(1, alerts)
		expect(t, on(t, conn, mistyped), "x-1-1", "x-1-2", "y-1-1", "z-1-1")
		if _, err := conn.CreateTopics(within(t), conn.Topics().Wanted()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
		flush(t, relay, 5)
		expect(t, on(t, conn, alerts), "a-1-1", "b-1-1", "a-1-2", "c-1-1", "d-1-1")
	})
}

// Of an alert of which two transitions were refused, the one that is asked for is tried again: neither takes the other's place.
func TestARefusedTransitionIsTriedByItself(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		log, topic := &alertLog{}, conn.Topics().Alerts
		large := func(sequence int) alert.Transition {
			x := transition(topic, "large", 1, sequence)
			x.Value = append([]byte(fmt.Sprintf(`{"fingerprint":"large","episode":1,"sequence":%d,"x":"`, sequence)), strings.Repeat("x", 3<<19)...)
			x.Value = append(x.Value, `"}`...)
			return x
		}
		log.append("g", large(1), large(2), transition(topic, "a", 1, 1))
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		relay := newRelay(t, conn, log)
		relay.Clock = func() time.Time { return now }
		flush(t, relay, 1)
		if len(log.others) != 2 {
			t.Fatalf("noted: %q", log.others)
		}
		log.entries[0].Transitions[0].Value = transition(topic, "large", 1, 1).Value
		log.others, log.again = log.others[1:], 1
		log.delivered = slices.DeleteFunc(log.delivered, func(noted string) bool { return noted == "kafka large-1-1" })
		now = now.Add(time.Minute)
		flush(t, relay, 1)
		expect(t, on(t, conn, topic), "a-1-1", "large-1-1")
	})
}
