package publish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/publish"
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
