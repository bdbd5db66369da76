package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

const (
	batchBytes   = 512 << 10 // of values, in one request
	batchRecords = 500
)

var readLimits = broker.FetchLimits{MinBytes: 1, MaxWait: 250 * time.Millisecond, MaxBytes: 4 << 20}

// Topics delivers to the Kafka topics that transitions name, one partition each, keyed by fingerprint, with the stored bytes and
// headers. It reads a topic back before it first writes to it, and publishes only what lies above the highest (episode,
// sequence) found there for a fingerprint. What ended long ago is taken off with a tombstone: a record without a value.
type Topics struct {
	Kafka  *broker.Connection
	Logger *slog.Logger // slog.Default() where nil

	topics  map[string]*heads
	brokeAt time.Time
	broken  map[string]error // topics that cannot be written to, and why: what is for them waits in the log, and holds up no other topic
}

// Broken is why topics cannot be written to, by their names.
func (d *Topics) Broken() map[string]error { return d.broken }

// Well reports whether one of those may be written to again: only then is it worth a look at all there is.
func (d *Topics) Well(ctx context.Context) bool {
	for topic, why := range d.broken {
		// Whether we may write shows only when we do.
		if errors.Is(why, kafka.TopicAuthorizationFailed) || errors.Is(why, kafka.PolicyViolation) {
			if time.Since(d.brokeAt) > tryBrokenEvery {
				return true
			}
			continue
		}
		if ranges, err := d.Kafka.Ranges(ctx, topic); err == nil && len(ranges) == 1 {
			return true
		}
	}
	return false
}

const tryBrokenEvery = 2 * time.Minute

// setAside reports whether an error is of this topic alone, and then does without the topic until the next Recover.
func (d *Topics) setAside(topic string, err error) bool {
	if !ofTopic(err) {
		return false
	}
	if d.broken == nil {
		d.broken = map[string]error{}
	}
	d.broken[topic], d.brokeAt = err, time.Now()
	delete(d.topics, topic)
	d.logger().Error("a topic cannot be written to; what is for it waits in the log, the others go on", "topic", topic, "error", err)
	return true
}

// errPartitions says that a topic has another number of partitions than one.
var errPartitions = errors.New("alerts are in order only in one partition")

// ofTopic reports whether an error is of one topic, and not of the brokers.
func ofTopic(err error) bool {
	for _, of := range []error{kafka.UnknownTopicOrPartition, kafka.TopicAuthorizationFailed, kafka.InvalidTopic, kafka.PolicyViolation, errPartitions} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

// Name is kafka.
func (d *Topics) Name() string { return "kafka" }

// Recover reads the topics back.
func (d *Topics) Recover(ctx context.Context, topics []string) error {
	d.topics, d.broken = nil, nil
	for _, topic := range topics {
		if _, err := d.caughtUp(ctx, topic); err != nil && !d.setAside(topic, err) {
			return err
		}
	}
	return nil
}

// Has reports whether the topic has the transition, or one after it, by what was read of the topic.
func (d *Topics) Has(t alert.Transition) bool {
	h, known := d.topics[t.Topic]
	return known && !h.above(t.Key, t.Order())
}

// Deliver publishes the transitions of each topic in their order, each request after the acknowledgement of the one before.
func (d *Topics) Deliver(ctx context.Context, transitions []alert.Transition) (settled []alert.Delivery, err error) {
	for len(transitions) > 0 {
		topic := transitions[0].Topic
		if d.broken[topic] != nil {
			transitions = transitions[1:]
			continue
		}
		h, err := d.caughtUp(ctx, topic)
		if err != nil && d.setAside(topic, err) {
			continue
		}
		if err != nil {
			return settled, err
		}
		var batch []alert.Transition
		bytes, taken := 0, 0
		for _, t := range transitions {
			if t.Topic != topic || len(batch) == batchRecords || bytes > 0 && bytes+len(t.Value) > batchBytes {
				break
			}
			taken++
			if h.above(t.Key, t.Order()) {
				batch, bytes = append(batch, t), bytes+len(t.Value)
			}
		}
		of, err := d.publish(ctx, topic, h, batch)
		settled = append(settled, of...)
		if err != nil && d.setAside(topic, err) {
			continue
		}
		if err != nil {
			return settled, err
		}
		transitions = transitions[taken:]
	}
	return settled, nil
}

// publish sends a batch. Where the broker finds it too large, each half is sent alone, down to the transition that is refused.
func (d *Topics) publish(ctx context.Context, topic string, h *heads, batch []alert.Transition) (settled []alert.Delivery, err error) {
	if len(batch) == 0 {
		return nil, nil
	}
	records := make([]kafka.Record, len(batch))
	for i, t := range batch {
		records[i] = kafka.Record{Key: kafka.NewBytes([]byte(t.Key)), Value: kafka.NewBytes(t.Value)}
		for _, header := range t.Headers {
			records[i].Headers = append(records[i].Headers, kafka.Header{Key: header.Key, Value: []byte(header.Value)})
		}
	}
	// gofail: var publishBeforeWrite struct{}
	offset, err := d.Kafka.Produce(ctx, topic, records)
	// gofail: var publishAfterWrite struct{}
	switch {
	case tooLarge(err) && len(batch) == 1:
		return []alert.Delivery{{Transition: batch[0], Outcome: alert.DeliveryRefused, Detail: fmt.Sprintf("%d bytes: %v", len(batch[0].Value), err)}}, nil
	case tooLarge(err):
		half := len(batch) / 2
		if settled, err = d.publish(ctx, topic, h, batch[:half]); err != nil {
			return settled, err
		}
		more, err := d.publish(ctx, topic, h, batch[half:])
		return append(settled, more...), err
	case err != nil:
		// Whether it arrived is unknown. The topic itself will say.
		delete(d.topics, topic)
		return nil, fmt.Errorf("publishing %d transitions to %s: %w", len(batch), topic, err)
	}
	for i, t := range batch {
		h.put(t.Key, t.Order(), offset+int64(i))
	}
	return accepted(batch), nil
}

// tooLarge reports whether the broker refuses records for their size: as they are, they never fit.
func tooLarge(err error) bool {
	return errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.RecordListTooLarge)
}

// Tombstone takes ended alerts off their topics, where nothing later stands there, and returns those that are off, also the ones
// that were before.
func (d *Topics) Tombstone(ctx context.Context, ended []alert.Transition) (off []alert.Transition, err error) {
	for len(ended) > 0 {
		topic := ended[0].Topic
		if d.broken[topic] != nil {
			ended = ended[1:]
			continue
		}
		h, err := d.caughtUp(ctx, topic)
		if err != nil && d.setAside(topic, err) {
			continue
		}
		if err != nil {
			return off, err
		}
		var batch, already []alert.Transition
		taken := 0
		for _, t := range ended {
			if t.Topic != topic || len(batch) == batchRecords {
				break
			}
			taken++
			switch at, found := h.of[t.Key]; {
			case !found, at.last == t.Order().Tombstoned():
				already = append(already, t)
			case at.last == t.Order() && !at.stale():
				batch = append(batch, t)
			}
		}
		err = d.tombstone(ctx, topic, h, batch)
		if err != nil && d.setAside(topic, err) {
			off, ended = append(off, already...), ended[taken:]
			continue
		}
		if err != nil {
			return append(off, already...), err
		}
		off = append(append(off, already...), batch...)
		ended = ended[taken:]
	}
	return off, nil
}

func (d *Topics) tombstone(ctx context.Context, topic string, h *heads, batch []alert.Transition) error {
	if len(batch) == 0 {
		return nil
	}
	records := make([]kafka.Record, len(batch))
	for i, t := range batch {
		records[i] = kafka.Record{Key: kafka.NewBytes([]byte(t.Key)), Headers: tombstoneHeaders(t.Order())}
	}
	offset, err := d.Kafka.Produce(ctx, topic, records)
	if err != nil {
		delete(d.topics, topic)
		return fmt.Errorf("publishing %d tombstones to %s: %w", len(batch), topic, err)
	}
	for i, t := range batch {
		h.put(t.Key, t.Order().Tombstoned(), offset+int64(i))
	}
	return nil
}

// caughtUp returns the topic's heads, read back from its beginning the first time.
func (d *Topics) caughtUp(ctx context.Context, topic string) (*heads, error) {
	if h, known := d.topics[topic]; known {
		return h, nil
	}
	h := &heads{of: map[string]head{}}
	if _, err := d.readOn(ctx, topic, h); err != nil {
		return nil, err
	}
	if d.topics == nil {
		d.topics = map[string]*heads{}
	}
	d.topics[topic] = h
	return h, nil
}

// readOn reads the topic from where it was read last to its present end. anew is true where the topic was made anew meanwhile.
func (d *Topics) readOn(ctx context.Context, topic string, h *heads) (anew bool, err error) {
	ranges, err := d.Kafka.Ranges(ctx, topic)
	if err != nil {
		return false, fmt.Errorf("reading %s back: %w", topic, err)
	}
	if len(ranges) != 1 {
		return false, fmt.Errorf("reading %s back: it has %d partitions: %w", topic, len(ranges), errPartitions)
	}
	tp := churn.TopicPartition{Topic: topic}
	if anew = ranges[tp].End < h.next; anew {
		d.logger().Warn("the topic ends before what was read of it: it was made anew, and is filled from the log", "topic", topic)
		*h = heads{of: map[string]head{}}
	}
	h.next = max(h.next, ranges[tp].Start)
	foreign := 0
	for record, err := range d.Kafka.Read(ctx, tp, broker.Range{Start: h.next, End: ranges[tp].End}, readLimits) {
		if err != nil {
			return anew, fmt.Errorf("reading %s back: %w", topic, err)
		}
		if !h.see(record) {
			foreign++
		}
	}
	h.next = max(h.next, ranges[tp].End)
	if foreign > 0 {
		d.logger().Warn("records that are not alerts of ours were left out", "topic", topic, "records", foreign)
	}
	return anew, nil
}

// Mend reads what reached the topics since, its own records and those of a leader that woke up too late, and publishes the
// present transition of a fingerprint again where an older one lies over it. The bytes come from the topic itself; where
// compaction has taken them, they must come from the log again.
func (d *Topics) Mend(ctx context.Context) (mended int, again bool, err error) {
	for topic, h := range d.topics {
		anew, err := d.readOn(ctx, topic, h)
		if err != nil && d.setAside(topic, err) {
			continue
		}
		if err != nil {
			return mended, again, err
		}
		again = again || anew
		for fingerprint, at := range h.of {
			if !at.stale() {
				continue
			}
			found, err := d.republish(ctx, topic, h, fingerprint, at)
			if err != nil && d.setAside(topic, err) {
				break
			}
			if err != nil {
				return mended, again, err
			}
			mended++
			again = again || !found
		}
	}
	return mended, again, nil
}

func (d *Topics) republish(ctx context.Context, topic string, h *heads, fingerprint string, at head) (found bool, err error) {
	d.logger().Warn("an older transition lies over the present one; publishing the present one again", "topic", topic,
		"fingerprint", fingerprint, "episode", at.highest.Episode, "sequence", at.highest.Sequence)
	var present *kafka.Record
	for record, err := range d.Kafka.Read(ctx, churn.TopicPartition{Topic: topic}, broker.Range{Start: at.offset, End: at.offset + 1}, readLimits) {
		if err != nil {
			return false, fmt.Errorf("reading offset %d of %s again: %w", at.offset, topic, err)
		}
		present = &kafka.Record{Key: kafka.NewBytes(record.Key), Value: kafka.NewBytes(record.Value)}
		for _, header := range record.Headers {
			present.Headers = append(present.Headers, kafka.Header{Key: header.Key, Value: header.Value})
		}
	}
	if present == nil {
		return false, nil
	}
	offset, err := d.Kafka.Produce(ctx, topic, []kafka.Record{*present})
	if tooLarge(err) { // it was let in by an earlier limit, and will not be by this one
		d.logger().Error("the topic refuses the present transition for its size; an older one stays over it", "topic", topic, "fingerprint", fingerprint, "error", err)
		at.last = at.highest
		h.of[fingerprint] = at
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("publishing offset %d of %s again: %w", at.offset, topic, err)
	}
	h.put(fingerprint, at.highest, offset)
	return true, nil
}

func (d *Topics) logger() *slog.Logger {
	if d.Logger == nil {
		return slog.Default()
	}
	return d.Logger
}
