package consumers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

// Headers of a dead letter, beside those of the record itself.
const (
	HeaderCode       = "aftershock-code"
	HeaderField      = "aftershock-field"
	HeaderReason     = "aftershock-reason"
	HeaderTopic      = "aftershock-topic"
	HeaderPartition  = "aftershock-partition"
	HeaderOffset     = "aftershock-offset"
	HeaderTimestamp  = "aftershock-timestamp"
	HeaderRejectedAt = "aftershock-rejected-at"
)

// HeaderReplayOf names, as topic/partition/offset, the record that was first refused. A replay sets it, and a dead letter of the
// replay keeps it: however often a record is replayed and refused, it stays one record.
const HeaderReplayOf = "aftershock-replay-of"

var deadLetterHeaders = []string{HeaderCode, HeaderField, HeaderReason, HeaderTopic, HeaderPartition, HeaderOffset, HeaderTimestamp, HeaderRejectedAt}

const (
	instantFormat = "2006-01-02T15:04:05.000Z07:00"
	maxReason     = 1 << 10 // bytes of a reason or a field in a header
	maxExcerpt    = 256     // bytes of the value in rejected_events
	// inflated is how large a record may be that fitted its topic only because it was compressed.
	inflated = 1 << 30
)

// deadLetters writes to the dead-letter topic and returns when the brokers have acknowledged.
type deadLetters struct {
	limit  int // bytes of a batch that the topic accepts uncompressed
	many   *kafka.Writer
	single *kafka.Writer // for records that only compression makes small enough: a batch each
}

func newDeadLetters(conn *broker.Connection) *deadLetters {
	return newLetterWriter(conn, conn.Topics().DeadLetter, &kafka.Hash{})
}

// newLetterWriter writes to one topic, or to the topic that each message names where it is empty.
func newLetterWriter(conn *broker.Connection, topic string, balancer kafka.Balancer) *deadLetters {
	writer := func(bytes, size int) *kafka.Writer {
		w := conn.Writer()
		w.Topic, w.Balancer, w.Compression = topic, balancer, kafka.Zstd
		w.BatchBytes, w.BatchSize = int64(bytes), size
		w.MaxAttempts = 1 // we try again ourselves, for ever
		return w
	}
	limit := conn.Topics().DeadLetterBytes()
	return &deadLetters{limit: limit, many: writer(limit, 1000), single: writer(inflated, 1)}
}

func (d *deadLetters) close() error { return errors.Join(d.many.Close(), d.single.Close()) }

// write returns those messages that are not acknowledged, with the error.
func (d *deadLetters) write(ctx context.Context, messages []kafka.Message) ([]kafka.Message, error) {
	// gofail: var consumersBeforeDeadLetters struct{}
	var small, large []kafka.Message
	for _, m := range messages {
		// The sizes of kafka-go count a little more than ours; half the limit is far from both.
		if messageBytes(&m) < d.limit/2 {
			small = append(small, m)
		} else {
			large = append(large, m)
		}
	}
	left, err := writeTo(ctx, d.many, small)
	leftLarge, errLarge := writeTo(ctx, d.single, large)
	if err = errors.Join(err, errLarge); err != nil {
		return append(left, leftLarge...), fmt.Errorf("writing %d dead letters: %w", len(left)+len(leftLarge), err)
	}
	return nil, nil
}

func writeTo(ctx context.Context, writer *kafka.Writer, messages []kafka.Message) ([]kafka.Message, error) {
	if len(messages) == 0 {
		return nil, nil
	}
	err := writer.WriteMessages(ctx, messages...)
	var each kafka.WriteErrors
	if !errors.As(err, &each) || len(each) != len(messages) {
		if err == nil {
			return nil, nil
		}
		return messages, err
	}
	var left []kafka.Message
	var reason error
	for i, failure := range each {
		if failure != nil {
			left, reason = append(left, messages[i]), failure
		}
	}
	return left, reason
}

func messageBytes(m *kafka.Message) int {
	n := len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		n += len(h.Key) + len(h.Value) + 10
	}
	return n + 100
}

// deadLetter is the record as it goes to the dead-letter topic: key, value and headers as they were, and our headers.
func deadLetter(record *broker.Record, why churn.Rejection, at time.Time) kafka.Message {
	m := kafka.Message{Key: record.Key, Value: record.Value}
	for _, h := range record.Headers {
		// A dead letter that was replayed and refused again says so once.
		if !slices.Contains(deadLetterHeaders, h.Key) {
			m.Headers = append(m.Headers, kafka.Header{Key: h.Key, Value: h.Value})
		}
	}
	add := func(key, value string) {
		m.Headers = append(m.Headers, kafka.Header{Key: key, Value: []byte(shorten(value, maxReason))})
	}
	add(HeaderCode, string(why.Code))
	add(HeaderField, why.Field)
	add(HeaderReason, why.Reason)
	add(HeaderTopic, record.Topic)
	add(HeaderPartition, strconv.Itoa(record.Partition))
	add(HeaderOffset, strconv.FormatInt(record.Offset, 10))
	add(HeaderTimestamp, record.Time.UTC().Format(instantFormat))
	add(HeaderRejectedAt, at.UTC().Format(instantFormat))
	return m
}

// Rejected is a refused record of a source (deals or tickets) as rejected_events keeps it.
func Rejected(record *broker.Record, why churn.Rejection, source string, at time.Time) churn.Rejected {
	why.Field, why.Reason = shorten(why.Field, maxReason), shorten(why.Reason, maxReason)
	_, knownAt, _ := broker.ReadHeaders(record.Headers)
	if knownAt.IsZero() {
		knownAt = at
	}
	value := record.Value
	return churn.Rejected{
		Position:   record.Position,
		Rejection:  why,
		Source:     source,
		ReplayOf:   replayOf(record.Headers),
		KnownAt:    knownAt,
		RejectedAt: at,
		Key:        record.Key,
		Size:       len(value),
		Hash:       sha256.Sum256(value),
		Excerpt:    shorten(string(value[:min(len(value), maxExcerpt)]), maxExcerpt),
	}
}

// replayOf is what the header says; one that is no position is somebody else's.
func replayOf(headers []broker.Header) (path string) {
	for _, h := range headers {
		if h.Key == HeaderReplayOf {
			path = string(h.Value)
		}
	}
	if _, err := churn.ParsePosition(path); err != nil {
		return ""
	}
	return path
}

// shorten cuts at most at limit bytes and leaves valid UTF-8.
func shorten(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	for limit > 0 && s[limit]&0xC0 == 0x80 {
		limit--
	}
	return s[:limit]
}
