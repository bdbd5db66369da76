package publish_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/publish"
)

// What a process published that died before it could say so is noted by the next, and not published again.
func TestANewRelayNotesWhatADeadOnePublished(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		alerts := conn.Topics().Alerts
		log := &alertLog{}
		log.append("g", transition(alerts, "a", 1, 1), transition(alerts, "b", 1, 1))
		flush(t, newRelay(t, conn, log), 2)
		log.append("g", transition(alerts, "a", 1, 2))
		log.fail = errors.New("killed")
		if _, err := newRelay(t, conn, log).Flush(within(t)); err == nil {
			t.Fatal("Flush hides that it could not note a delivery")
		}
		expect(t, log.delivered, "kafka a-1-1", "kafka b-1-1")
		log.fail = nil
		flush(t, newRelay(t, conn, log), 0)
		expect(t, log.delivered, "kafka a-1-1", "kafka b-1-1", "kafka a-1-2")
		expect(t, on(t, conn, alerts), "a-1-1", "b-1-1", "a-1-2")
	})
}

// A new relay reads of the log only what the topics cannot be shown to have, however long the log is.
func TestANewRelayReadsOnlyWhatIsNotProven(t *testing.T) {
	conn := onlyEmbedded(t)
	alerts := conn.Topics().Alerts
	log := &alertLog{}
	for i := range 500 {
		log.append("g", transition(alerts, fmt.Sprintf("a%d", i), 1, 1))
		log.append("other", transition(alerts, fmt.Sprintf("o%d", i), 1, 1))
	}
	flush(t, newRelay(t, conn, log), 1000)
	for _, c := range []struct {
		why       string
		grow      func()
		published int
		read      int
	}{
		{"nothing new", func() {}, 0, 0},
		{"two entries of one group", func() {
			log.append("g", transition(alerts, "a1", 1, 2))
			log.append("g", transition(alerts, "new", 1, 1))
		}, 2, 2},
		{"found, not noted", func() { log.delivered = log.delivered[:len(log.delivered)-10] }, 0, 0},
		{"a group of its own", func() { log.append("third", transition(alerts, "t", 1, 1)) }, 1, 1},
	} {
		log.read = 0
		c.grow()
		flush(t, newRelay(t, conn, log), c.published)
		if log.read != c.read {
			t.Errorf("%s: %d entries were read, want %d", c.why, log.read, c.read)
		}
	}
	if len(log.delivered) != 1003 {
		t.Errorf("%d deliveries are noted, of 1003", len(log.delivered))
	}
}

// A topic that was lost with all that was noted as delivered is filled again, but for what was taken off it.
func TestALostTopicIsFilledAgain(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		alerts := conn.Topics().Alerts
		log := &alertLog{}
		log.append("g", transition(alerts, "a", 1, 1), ended(alerts, "gone", 1, 1))
		log.append("g", transition(alerts, "a", 1, 2), transition(alerts, "b", 1, 1))
		relay := tombstoning(t, conn, log)
		flush(t, relay, 4)
		expect(t, on(t, conn, alerts), "a-1-1", "gone-1-1", "a-1-2", "b-1-1", "-gone-1-1")
		remake := func() {
			t.Helper()
			if _, err := conn.Client().DeleteTopics(within(t), &kafka.DeleteTopicsRequest{Topics: []string{alerts}}); err != nil {
				t.Fatal(err)
			}
			for bound := within(t); ; {
				if _, err := conn.CreateTopics(bound, conn.Topics().Wanted()); err != nil {
					t.Fatal(err)
				}
				if ranges, err := conn.Ranges(bound, alerts); err == nil && ranges[churn.TopicPartition{Topic: alerts}].End == 0 {
					return
				} else if bound.Err() != nil {
					t.Fatal(bound.Err(), err)
				}
			}
		}
		remake()
		flush(t, tombstoning(t, conn, log), 3) // found empty at a start
		expect(t, on(t, conn, alerts), "a-1-1", "a-1-2", "b-1-1")
		remake()
		flush(t, relay, 3) // found empty by the one that was there all along
		expect(t, on(t, conn, alerts), "a-1-1", "a-1-2", "b-1-1")
	})
}

const month = 30 * 24 * time.Hour

var today = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// ended is a transition that resolved its alert long ago.
func ended(topic, fingerprint string, episode, sequence int) alert.Transition {
	t := transition(topic, fingerprint, episode, sequence)
	t.State, t.ResolvedAt = alert.Resolved, today.Add(-month-time.Second)
	return t
}

func tombstoning(t *testing.T, conn *broker.Connection, log *alertLog) *publish.Relay {
	r := newRelay(t, conn, log)
	r.TombstoneAfter, r.Clock = month, func() time.Time { return today }
	return r
}

// An alert that ended long ago is taken off its topic once, whoever is asked and whatever a tombstone leaves of the topic; a new
// episode of it is published as any other.
func TestEndedAlertsAreTakenOffOnce(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		alerts, handoffs := conn.Topics().Alerts, conn.Topics().Handoffs
		log := &alertLog{}
		young := ended(alerts, "young", 1, 2)
		young.ResolvedAt = today.Add(-month)
		log.append("g", transition(alerts, "a", 1, 1), transition(alerts, "fires", 1, 1), transition(handoffs, "h", 1, 1), transition(alerts, "young", 1, 1))
		log.append("g", ended(alerts, "a", 1, 2), ended(handoffs, "h", 1, 2), young)
		relay := tombstoning(t, conn, log)
		flush(t, relay, 7)
		want := []string{"a-1-1", "fires-1-1", "young-1-1", "a-1-2", "young-1-2", "-a-1-2"}
		expect(t, on(t, conn, alerts), want...)
		expect(t, on(t, conn, handoffs), "h-1-1", "h-1-2", "-h-1-2")
		for range 2 {
			flush(t, relay, 0)
			flush(t, tombstoning(t, conn, log), 0)
		}
		// A process that died before it noted the tombstones.
		noted := slices.IndexFunc(log.delivered, func(s string) bool { return s == "kafka tombstones a-1-2" })
		if noted < 0 {
			t.Fatalf("no tombstone is noted: %v", log.delivered)
		}
		log.delivered = log.delivered[:noted]
		flush(t, tombstoning(t, conn, log), 0)
		expect(t, on(t, conn, alerts), want...)
		if !slices.Contains(log.delivered, "kafka tombstones a-1-2") || !slices.Contains(log.delivered, "kafka tombstones h-1-2") {
			t.Errorf("what was found off the topic is not noted: %v", log.delivered)
		}
		log.append("g", transition(alerts, "a", 2, 1))
		flush(t, relay, 1)
		flush(t, tombstoning(t, conn, log), 0)
		expect(t, on(t, conn, alerts), append(want, "a-2-1")...)
	})
}

// Where the topic knows of something later, for the log was restored from a backup, nothing is taken off.
func TestWhatStandsLaterIsNotTakenOff(t *testing.T) {
	conn := onlyEmbedded(t)
	alerts := conn.Topics().Alerts
	log := &alertLog{}
	log.append("g", transition(alerts, "a", 1, 1), ended(alerts, "a", 1, 2))
	produce(t, conn, transition(alerts, "a", 2, 1))
	flush(t, tombstoning(t, conn, log), 0)
	expect(t, on(t, conn, alerts), "a-2-1")
	if slices.Contains(log.delivered, "kafka tombstones a-1-2") {
		t.Error("a tombstone is noted that was not published")
	}
}

// A leader that was paused wakes up and takes off what ended by what it knows, though it fires again: the leader sees it.
func TestATombstoneThatComesLateIsMended(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		alerts := conn.Topics().Alerts
		log := &alertLog{}
		log.append("g", transition(alerts, "a", 1, 1), ended(alerts, "a", 1, 2))
		paused := &publish.Topics{Kafka: conn}
		if err := paused.Recover(within(t), []string{alerts}); err != nil {
			t.Fatal(err)
		}
		if _, err := paused.Deliver(within(t), log.entries[0].Transitions); err != nil {
			t.Fatal(err)
		}
		log.append("g", transition(alerts, "a", 2, 1))
		leader := tombstoning(t, conn, log)
		flush(t, leader, 1)
		takeOff := func() {
			t.Helper()
			if off, err := paused.Tombstone(within(t), log.entries[0].Transitions[1:]); err != nil || len(off) != 1 {
				t.Fatal(off, err)
			}
		}
		takeOff()
		want := []string{"a-1-1", "a-1-2", "a-2-1", "-a-1-2", "a-2-1"}
		flush(t, leader, 0)
		expect(t, on(t, conn, alerts), want...)
		// The same, found at the start of another.
		late := transition(alerts, "a", 1, 2)
		late.Value, late.Headers = nil, []alert.Header{{Key: "aftershock-episode", Value: "1"}, {Key: "aftershock-sequence", Value: "2"}}
		produce(t, conn, late)
		flush(t, tombstoning(t, conn, log), 0)
		expect(t, on(t, conn, alerts), append(want, "-a-1-2", "a-2-1")...)
		// A resolve that comes late, over its tombstone: the tombstone is the present.
		log.append("g", ended(alerts, "a", 2, 2))
		flush(t, leader, 1)
		produce(t, conn, ended(alerts, "a", 2, 2))
		flush(t, tombstoning(t, conn, log), 0)
		expect(t, on(t, conn, alerts), append(want, "-a-1-2", "a-2-1", "a-2-2", "a-2-2", "-a-2-2")...)
	})
}

// listed is a destination in memory, which hangs where told to.
type listed struct {
	name  string
	hangs bool
	ids   []string
}

func (d *listed) Name() string                            { return d.name }
func (d *listed) Recover(context.Context, []string) error { return nil }
func (d *listed) Mend(context.Context) (int, bool, error) { return 0, false, nil }
func (d *listed) Has(t alert.Transition) bool             { return slices.Contains(d.ids, t.ID) }
func (d *listed) Tombstone(_ context.Context, ended []alert.Transition) ([]alert.Transition, error) {
	return ended, nil
}

func (d *listed) Deliver(ctx context.Context, transitions []alert.Transition) (settled []alert.Delivery, err error) {
	if d.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, t := range transitions {
		d.ids = append(d.ids, t.ID)
		settled = append(settled, alert.Delivery{Transition: t, Outcome: alert.DeliveryAccepted})
	}
	return settled, nil
}

// Each destination has a relay of its own, with a place of its own in the log: one that hangs holds up neither the other nor
// the end of both.
func TestADestinationThatHangsHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &alertLog{}
		well, ill := &listed{name: "well"}, &listed{name: "ill", hangs: true}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		var relays []*publish.Relay
		for _, d := range []*listed{ill, well} {
			r := &publish.Relay{Log: log, Destination: d, Logger: slog.New(slog.DiscardHandler)}
			relays = append(relays, r)
			go func() { ended <- r.Run(ctx) }()
		}
		var want []string
		for i := range 50 {
			x := transition("t", fmt.Sprintf("a%d", i), 1, 1)
			want = append(want, x.ID)
			log.append("g", x)
			for _, r := range relays {
				r.Wake()
			}
			synctest.Wait()
		}
		expect(t, well.ids, want...)
		before := time.Now()
		cancel()
		for range relays {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if waited := time.Since(before); waited != 0 {
			t.Errorf("they ended %s after they were told to", waited)
		}
		// The ill one recovers: a new relay brings it everything, in order.
		ill.hangs = false
		r := &publish.Relay{Log: log, Destination: ill}
		flush(t, r, 50)
		expect(t, ill.ids, want...)
	})
}
