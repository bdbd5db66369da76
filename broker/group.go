package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// GroupOptions say which consumer group to join, and how long things may take there.
type GroupOptions struct {
	Name   string
	Topics []string
	// Session is how long the group waits for a silent member.
	Session time.Duration
	// Rebalance is how long members have to come back when the group changes.
	Rebalance time.Duration
	// Request bounds one request to the group's coordinator, such as a commit.
	Request time.Duration
	// Drain is how long Leave waits for what runs under a generation.
	Drain time.Duration
}

// Group is our membership in a consumer group.
type Group struct {
	group *kafka.ConsumerGroup
	leave time.Duration
}

// Join joins a consumer group through kafka-go's ConsumerGroup, which does so until Leave. kafka-go's group Reader is never used:
// after a rebalance it commits under whichever generation is current, so that a member that lost a partition moves the new owner's
// offsets back.
func (c *Connection) Join(o GroupOptions) (*Group, error) {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                o.Name,
		Brokers:           c.Brokers(),
		Dialer:            c.dialer,
		Topics:            o.Topics,
		HeartbeatInterval: o.Session / 6,
		SessionTimeout:    o.Session,
		RebalanceTimeout:  o.Rebalance,
		JoinGroupBackoff:  time.Second,
		Timeout:           o.Request,
		StartOffset:       kafka.FirstOffset,
	})
	if err != nil {
		return nil, fmt.Errorf("consumer group %s: %w", o.Name, err)
	}
	return &Group{group: group, leave: o.Drain + o.Request}, nil
}

// Next waits until everything that runs under the present generation has returned, and then for the next generation.
func (g *Group) Next(ctx context.Context) (*kafka.Generation, error) { return g.group.Next(ctx) }

// Leave ends our membership, and with it the generation, and waits for what runs under it: at most the time to drain and a last
// commit. A join that hangs on a broker could take the rebalance timeout more; nothing runs then, and it is left to end by itself.
func (g *Group) Leave() {
	left := make(chan struct{})
	go func() {
		defer close(left)
		_ = g.group.Close()
	}()
	timer := time.NewTimer(g.leave)
	defer timer.Stop()
	select {
	case <-left:
	case <-timer.C:
	}
}
