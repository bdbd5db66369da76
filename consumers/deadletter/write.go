package deadletter

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
)

// inflated is how large a record may be that fitted its topic only because it was compressed.
const inflated = 1 << 30

// Writer writes dead letters, and returns when the brokers have acknowledged them.
type Writer struct {
	limit  int // bytes of a batch that the topic accepts uncompressed
	many   *kafka.Writer
	single *kafka.Writer // for records that only compression makes small enough: a batch each
}

// NewWriter writes to the dead-letter topic; nothing is dialled yet.
func NewWriter(conn *broker.Connection) *Writer {
	return newWriter(conn, conn.Topics().DeadLetter, &kafka.Hash{})
}

// newWriter writes to one topic, or to the topic that each message names where it is empty.
func newWriter(conn *broker.Connection, topic string, balancer kafka.Balancer) *Writer {
	writer := func(bytes, size int) *kafka.Writer {
		w := conn.Writer()
		w.Topic, w.Balancer, w.Compression = topic, balancer, kafka.Zstd
		w.BatchBytes, w.BatchSize = int64(bytes), size
		w.MaxAttempts = 1 // we try again ourselves, forever
		return w
	}
	limit := conn.Topics().DeadLetterBytes()
	return &Writer{limit: limit, many: writer(limit, 1000), single: writer(inflated, 1)}
}

// Close ends the connections.
func (w *Writer) Close() error { return errors.Join(w.many.Close(), w.single.Close()) }

// Write returns those messages that are not acknowledged, with the error.
func (w *Writer) Write(ctx context.Context, messages []kafka.Message) ([]kafka.Message, error) {
	// gofail: var consumersBeforeDeadLetters struct{}
	var small, large []kafka.Message
	for _, m := range messages {
		// The sizes of kafka-go count a little more than ours; half the limit is far from both.
		if messageBytes(&m) < w.limit/2 {
			small = append(small, m)
		} else {
			large = append(large, m)
		}
	}
	left, err := writeTo(ctx, w.many, small)
	leftLarge, errLarge := writeTo(ctx, w.single, large)
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
