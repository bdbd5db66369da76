package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// Writer returns kafka-go's writer as everything that we must not lose is written: a write returns when all replicas in sync have
// the records. Where they go, how many make a batch and how often a batch is tried is for the caller to set.
func (c *Connection) Writer() *kafka.Writer {
	return &kafka.Writer{
		Addr: c.Address(), Transport: c.transport, RequiredAcks: kafka.RequireAll,
		BatchTimeout: 5 * time.Millisecond, // a synchronous write waits for it
	}
}

// Produce writes records to a topic's only partition, in one request, and returns the offset of the first when all replicas in
// sync have them.
func (c *Connection) Produce(ctx context.Context, topic string, records []kafka.Record) (offset int64, err error) {
	response, err := c.Client().Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, Partition: 0, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...),
	})
	if err == nil {
		err = response.Error
	}
	if err != nil {
		return 0, err
	}
	return response.BaseOffset, nil
}

// Producer sends records, such as those of an import, in batches of its own making. It is for one goroutine.
type Producer struct {
	writer *kafka.Writer
	batch  []kafka.Message
	bytes  int
	sent   int
}

const (
	producerBatch = 2_000
	producerBytes = 4 << 20
)

// NewProducer returns a producer; nothing is dialled yet.
func NewProducer(c *Connection) *Producer {
	w := c.Writer()
	// Java producers put a key where murmur2 says: records of one account stay in one partition, whoever sends them.
	w.Balancer = kafka.Murmur2Balancer{Consistent: true}
	w.BatchSize, w.BatchBytes, w.WriteTimeout = producerBatch, 64<<20, time.Minute
	return &Producer{writer: w}
}

// Add sends a record, sooner or later; Flush says when all are acknowledged. A zero knownAt sets no header.
func (p *Producer) Add(ctx context.Context, topic, key string, value []byte, knownAt time.Time) error {
	m := kafka.Message{Topic: topic, Key: []byte(key), Value: value}
	if !knownAt.IsZero() {
		m.Headers = []kafka.Header{kafka.Header(KnownAt(knownAt))}
	}
	p.batch = append(p.batch, m)
	if p.bytes += len(value); len(p.batch) < producerBatch && p.bytes < producerBytes {
		return nil
	}
	return p.Flush(ctx)
}

// Flush sends what is gathered and returns when all of it is acknowledged.
func (p *Producer) Flush(ctx context.Context) error {
	if len(p.batch) == 0 {
		return nil
	}
	if err := p.writer.WriteMessages(ctx, p.batch...); err != nil {
		return fmt.Errorf("writing %d records to Kafka: %w", len(p.batch), err)
	}
	p.sent += len(p.batch)
	p.batch, p.bytes = p.batch[:0], 0
	return nil
}

// Sent is how many records are acknowledged.
func (p *Producer) Sent() int { return p.sent }

// Close ends the connections. What was not flushed is not sent.
func (p *Producer) Close() error { return p.writer.Close() }
