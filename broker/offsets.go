package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/churn"
)

// Partitions returns how many partitions each of the topics has; topics that do not exist are left out.
func (c *Connection) Partitions(ctx context.Context, topics ...string) (map[string]int, error) {
	metadata, err := c.Client().Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
	if err != nil {
		return nil, c.explain("reading which topics there are", err)
	}
	partitions := map[string]int{}
	for _, t := range metadata.Topics {
		switch {
		case errors.Is(t.Error, kafka.UnknownTopicOrPartition):
		case t.Error != nil:
			return nil, c.explain("reading the partitions of topic "+t.Name, t.Error)
		default:
			partitions[t.Name] = len(t.Partitions)
		}
	}
	return partitions, nil
}

// Range is what a partition holds: offsets Start up to but not including End.
type Range struct{ Start, End int64 }

// Ranges returns what the partitions of the topics hold. End is the last stable offset: records of open transactions are
// beyond it. A topic that does not exist is an error.
func (c *Connection) Ranges(ctx context.Context, topics ...string) (ranges map[churn.TopicPartition]Range, err error) {
	err = steady(ctx, func() error {
		ranges, err = c.ranges(ctx, topics)
		return err
	})
	return ranges, err
}

// steadyFor bounds how long a moving leader or a loading coordinator is waited for; the brokers settle within a second or two.
const steadyFor = 10 * time.Second

// steady repeats a request while the brokers say that they are not settled yet. A topic that does not exist is an answer.
func steady(ctx context.Context, request func() error) error {
	deadline := time.Now().Add(steadyFor)
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		err := request()
		var code kafka.Error
		if !errors.As(err, &code) || !code.Temporary() || code == kafka.UnknownTopicOrPartition || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func (c *Connection) ranges(ctx context.Context, topics []string) (map[churn.TopicPartition]Range, error) {
	partitions, err := c.Partitions(ctx, topics...)
	if err != nil {
		return nil, err
	}
	request := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{}, IsolationLevel: kafka.ReadCommitted}
	for _, topic := range topics {
		if partitions[topic] == 0 {
			return nil, fmt.Errorf("reading the offsets of topic %s: it does not exist; `aftershock topics create` makes it: %w", topic, kafka.UnknownTopicOrPartition)
		}
		for p := range partitions[topic] {
			request.Topics[topic] = append(request.Topics[topic], kafka.FirstOffsetOf(p), kafka.LastOffsetOf(p))
		}
	}
	response, err := c.Client().ListOffsets(ctx, request)
	if err != nil {
		return nil, c.explain("reading the offsets of topics", err)
	}
	ranges := map[churn.TopicPartition]Range{}
	for topic, list := range response.Topics {
		for _, p := range list {
			if p.Error != nil {
				return nil, fmt.Errorf("reading the offsets of %s/%d: %w", topic, p.Partition, p.Error)
			}
			ranges[churn.TopicPartition{Topic: topic, Partition: p.Partition}] = Range{p.FirstOffset, p.LastOffset}
		}
	}
	return ranges, nil
}

// Committed returns the offsets that the group has committed for the topics; a partition without one is left out.
func (c *Connection) Committed(ctx context.Context, group string, topics ...string) (committed map[churn.TopicPartition]int64, err error) {
	err = steady(ctx, func() error {
		committed, err = c.committed(ctx, group, topics)
		return err
	})
	return committed, err
}

func (c *Connection) committed(ctx context.Context, group string, topics []string) (map[churn.TopicPartition]int64, error) {
	partitions, err := c.Partitions(ctx, topics...)
	if err != nil {
		return nil, err
	}
	request := &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{}}
	for topic, n := range partitions {
		for p := range n {
			request.Topics[topic] = append(request.Topics[topic], p)
		}
	}
	response, err := c.Client().OffsetFetch(ctx, request)
	if err == nil {
		err = response.Error
	}
	if errors.Is(err, kafka.GroupIdNotFound) { // some brokers know no group before it has members or offsets
		return map[churn.TopicPartition]int64{}, nil
	}
	if err != nil {
		return nil, c.explain("reading the committed offsets of group "+group, err)
	}
	committed := map[churn.TopicPartition]int64{}
	for topic, list := range response.Topics {
		for _, p := range list {
			if p.Error != nil {
				return nil, fmt.Errorf("reading the committed offset of group %s for %s/%d: %w", group, topic, p.Partition, p.Error)
			}
			if p.CommittedOffset >= 0 {
				committed[churn.TopicPartition{Topic: topic, Partition: p.Partition}] = p.CommittedOffset
			}
		}
	}
	return committed, nil
}
