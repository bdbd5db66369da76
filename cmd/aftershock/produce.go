package main

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/consumers"
)

// producer writes records of import and simulate to Kafka, in batches that the brokers acknowledge.
type producer struct {
	writer *kafka.Writer
	batch  []kafka.Message
	bytes  int
	sent   int
}

const (
	producerBatch = 2_000
	producerBytes = 4 << 20
)

func newProducer(kafkaConnection *broker.Connection) *producer {
	return &producer{writer: &kafka.Writer{
		Addr: kafkaConnection.Address(), Transport: kafkaConnection.Transport(), RequiredAcks: kafka.RequireAll,
		// Java producers put a key where murmur2 says: records of one account stay in one partition, whoever sends them.
		Balancer: kafka.Murmur2Balancer{Consistent: true}, BatchSize: producerBatch, BatchBytes: 64 << 20,
		BatchTimeout: 5 * time.Millisecond, WriteTimeout: time.Minute,
	}}
}

// add sends a record, sooner or later; flush says when all are acknowledged. A zero knownAt sets no header.
func (p *producer) add(ctx context.Context, topic, key string, value []byte, knownAt time.Time) error {
	m := kafka.Message{Topic: topic, Key: []byte(key), Value: value}
	if !knownAt.IsZero() {
		m.Headers = []kafka.Header{{Key: consumers.HeaderKnownAt, Value: []byte(knownAt.UTC().Format(time.RFC3339Nano))}}
	}
	p.batch = append(p.batch, m)
	if p.bytes += len(value); len(p.batch) < producerBatch && p.bytes < producerBytes {
		return nil
	}
	return p.flush(ctx)
}

func (p *producer) flush(ctx context.Context) error {
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

func (p *producer) close() error { return p.writer.Close() }
