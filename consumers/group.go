package consumers

import (
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
)

// newGroup joins a consumer group through kafka-go's ConsumerGroup. Its group Reader is never used: after a rebalance it
// commits under whichever generation is current, so that a member that lost a partition moves the new owner's offsets back.
func newGroup(conn *broker.Connection, config Config, id string, session time.Duration, topics []string) (*kafka.ConsumerGroup, error) {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                id,
		Brokers:           conn.Brokers(),
		Dialer:            conn.Dialer(),
		Topics:            topics,
		HeartbeatInterval: session / 6,
		SessionTimeout:    session,
		RebalanceTimeout:  config.RebalanceTimeout,
		JoinGroupBackoff:  time.Second,
		Timeout:           config.CommitTimeout,
		StartOffset:       kafka.FirstOffset,
	})
	if err != nil {
		return nil, fmt.Errorf("consumer group %s: %w", id, err)
	}
	return group, nil
}

// leave ends our membership, and with it the generation, and waits for the workers: at most the drain timeout and a last commit.
// A join that hangs on a broker could take the rebalance timeout more; nothing runs then, and it is left to end by itself.
func leave(group *kafka.ConsumerGroup, config Config) {
	left := make(chan struct{})
	go func() {
		defer close(left)
		_ = group.Close()
	}()
	timer := time.NewTimer(config.DrainTimeout + config.CommitTimeout)
	defer timer.Stop()
	select {
	case <-left:
	case <-timer.C:
	}
}
