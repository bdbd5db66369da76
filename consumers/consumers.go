package consumers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/semaphore"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers/deadletter"
	"github.com/aftershock/aftershock/dial"
)

// Store keeps events and rejections. It opens the blocks that events are gathered in, and takes them back, with the instant
// that they became known, in one atomic insert; a repeat of a token stores nothing more. An error that has a method
// RowRefused() bool which says true blames the rows: the chunk is cut in two until the guilty ones are found. Any other error
// means that the store is away: the same call is made again until it works. What is passed belongs to the caller again when
// a call returns.
type Store interface {
	NewDealBlock() churn.Batch[churn.DealEvent]
	NewTicketBlock() churn.Batch[churn.TicketEvent]
	InsertDeals(ctx context.Context, token string, known time.Time, blocks []churn.Batch[churn.DealEvent]) error
	InsertTickets(ctx context.Context, token string, known time.Time, blocks []churn.Batch[churn.TicketEvent]) error
	NewFeedbackBlock() churn.Batch[churn.FeedbackEvent]
	InsertFeedback(ctx context.Context, token string, known time.Time, blocks []churn.Batch[churn.FeedbackEvent]) error
	StoreRejected(ctx context.Context, token string, rejected []churn.Rejected) error
}

// Consumers carries deals, tickets and feedback from Kafka into the store. Fields may be set until Run.
type Consumers struct {
	Config     Config
	Kafka      *broker.Connection
	Store      Store
	Enrichment Enrichment
	Metrics    *Metrics         // NewMetrics(nil) where nobody looks
	Log        *slog.Logger     // slog.Default() where nil
	Clock      func() time.Time // for stamps; time.Now where nil

	inFlight *semaphore.Weighted
	letters  *deadletter.Writer
	lanes    map[string]lane

	mu      sync.Mutex
	joined  bool
	waiting map[string]int // what for -> partitions
}

// newLanes makes the lanes of the three topics with what differs between them.
func (c *Consumers) newLanes() map[string]lane {
	topics := c.Kafka.Topics()
	return map[string]lane{
		topics.Deals: newLane(c.Enrichment.deal, func(e *churn.DealEvent) *churn.Stamp { return &e.Stamp },
			c.Store.NewDealBlock, c.Store.InsertDeals),
		topics.Tickets: newLane(c.Enrichment.ticket, func(e *churn.TicketEvent) *churn.Stamp { return &e.Stamp },
			c.Store.NewTicketBlock, c.Store.InsertTickets),
		topics.Feedback: newLane(feedback, func(e *churn.FeedbackEvent) *churn.Stamp { return &e.Stamp },
			c.Store.NewFeedbackBlock, c.Store.InsertFeedback),
	}
}

// Positions tells how far the group is with deals and tickets, which links follow from.
func (c *Consumers) Positions() *broker.Positions {
	topics := c.Kafka.Topics()
	return &broker.Positions{Kafka: c.Kafka, Group: c.Config.Group, Topics: []string{topics.Deals, topics.Tickets}}
}

// FeedbackPositions tells how far the group is with feedback.
func (c *Consumers) FeedbackPositions() *broker.Positions {
	return &broker.Positions{Kafka: c.Kafka, Group: c.Config.Group, Topics: []string{c.Kafka.Topics().Feedback}}
}

func (c *Consumers) topics() []string {
	return append(c.Positions().Topics, c.FeedbackPositions().Topics...)
}

// Ready is nil while this process is a member of the group and waits for nothing that is away.
func (c *Consumers) Ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.joined {
		return errors.New("consumers: not a member of the consumer group")
	}
	for what, partitions := range c.waiting {
		if partitions > 0 {
			return fmt.Errorf("consumers: %d partitions wait for the %s", partitions, what)
		}
	}
	return nil
}

// pause is what lies between attempts at something that is away.
func (c *Consumers) pause() dial.Pause {
	return dial.Pause{First: c.Config.RetryMin, Longest: c.Config.RetryMax}
}

func (c *Consumers) setJoined(joined bool) {
	c.mu.Lock()
	c.joined = joined
	c.mu.Unlock()
}

func (c *Consumers) addWaiting(what string, n int) {
	c.mu.Lock()
	c.waiting[what] += n
	c.mu.Unlock()
	c.Metrics.waiting.WithLabelValues(what).Add(float64(n))
}

func (c *Consumers) prepare() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	c.inFlight = semaphore.NewWeighted(c.Config.MaxBytesInFlight)
	c.letters = deadletter.NewWriter(c.Kafka)
	c.waiting = map[string]int{}
	return nil
}

// Run consumes until the context ends, then drains within Config.DrainTimeout and leaves the group. It returns an error only
// for a bad config; everything else it waits out. Run it once at a time.
func (c *Consumers) Run(ctx context.Context) error {
	if err := c.prepare(); err != nil {
		return err
	}
	defer func() {
		if err := c.letters.Close(); err != nil {
			c.Log.Warn("closing the dead-letter writers", "error", err)
		}
	}()
	counts, ok := c.awaitTopics(ctx)
	if !ok {
		return nil
	}
	c.lanes = c.newLanes()
	group, err := c.Kafka.Join(broker.GroupOptions{
		Name: c.Config.Group, Topics: c.topics(), Session: c.Config.SessionTimeout,
		Rebalance: c.Config.RebalanceTimeout, Request: c.Config.CommitTimeout, Drain: c.Config.DrainTimeout,
	})
	if err != nil {
		return err
	}
	defer group.Leave()
	defer c.setJoined(false)
	for {
		generation, err := group.Next(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, kafka.ErrGroupClosed):
			return nil
		case err != nil:
			c.setJoined(false)
			c.Log.Warn("joining the consumer group; trying again", "group", c.Config.Group, "error", err)
			continue
		}
		c.setJoined(true)
		c.Metrics.generations.Inc()
		c.take(generation, counts)
	}
}

// take starts the lane of each topic of which the generation assigns partitions to us. kafka-go asks for the next generation
// only when all of them have returned.
func (c *Consumers) take(generation *kafka.Generation, counts map[string]int) {
	held := 0
	for topic, assignments := range generation.Assignments {
		if len(assignments) == 0 {
			continue
		}
		held += len(assignments)
		w := &worker{Consumers: c, topic: topic, partitions: len(assignments), generation: generation}
		var partitions []*partition
		for _, a := range assignments {
			partitions = append(partitions, &partition{worker: w, tp: churn.TopicPartition{Topic: topic, Partition: a.ID}, start: a.Offset})
		}
		generation.Start(func(ctx context.Context) { c.lanes[topic].run(ctx, w, partitions) })
	}
	generation.Start(func(ctx context.Context) { c.watchPartitions(ctx, counts) })
	c.Log.Info("consuming", "group", generation.GroupID, "generation", generation.ID, "partitions", held)
}

// hurry has what is gathered stored now: memory is short, and only storing makes room.
func (c *Consumers) hurry() {
	for _, l := range c.lanes {
		l.hurry()
	}
}

// watchPartitions returns, and so ends the generation, when a topic has another number of partitions than before. Unlike
// kafka-go's own watch it stays quiet while the broker is away.
func (c *Consumers) watchPartitions(ctx context.Context, counts map[string]int) {
	ticker := time.NewTicker(c.Config.PartitionWatch)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now, err := c.Kafka.Partitions(ctx, c.topics()...)
		if err != nil {
			continue
		}
		changed := false
		for topic, n := range now {
			if counts[topic] != n {
				c.Log.Info("the number of partitions changed", "topic", topic, "was", counts[topic], "is", n)
				counts[topic], changed = n, true
			}
		}
		if changed {
			return
		}
	}
}

// awaitTopics waits until both topics exist: a group that is joined before has no partitions, and nothing would tell it of new ones.
func (c *Consumers) awaitTopics(ctx context.Context) (counts map[string]int, ok bool) {
	topics := c.Positions().Topics
	pause := c.pause()
	for told := false; ; {
		counts, err := c.Kafka.Partitions(ctx, topics...)
		if err == nil && len(counts) == len(topics) {
			return counts, true
		}
		if ctx.Err() != nil {
			return nil, false
		}
		if !told {
			told = true
			if err != nil {
				c.Log.Warn("waiting for the broker", "error", err)
			} else {
				c.Log.Warn("waiting for topics; `aftershock topics create` makes them", "wanted", topics, "there", len(counts))
			}
		}
		if pause.Wait(ctx) != nil {
			return nil, false
		}
	}
}

// RunUntilIdle consumes what the topics hold when it starts, and what arrives meanwhile, and returns when all of it is committed.
func (c *Consumers) RunUntilIdle(ctx context.Context) error {
	positions := c.Positions()
	ends, err := positions.Ends(ctx)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- c.Run(running) }()
	err = c.untilIdle(running, positions, ends, failed)
	stop()
	if err == nil || ctx.Err() != nil {
		err = errors.Join(<-failed, ctx.Err())
	}
	return err
}

func (c *Consumers) untilIdle(ctx context.Context, positions *broker.Positions, ends map[churn.TopicPartition]int64, failed <-chan error) error {
	for {
		settled := make(chan error, 1)
		waiting, stop := context.WithCancel(ctx)
		go func() { settled <- positions.Settled(waiting, ends, 0) }()
		select {
		case err := <-failed:
			stop()
			<-settled
			return errors.Join(errors.New("consuming ended before the topics were read"), err)
		case err := <-settled:
			stop()
			if err != nil {
				return err
			}
		}
		now, err := positions.Ends(ctx)
		if err != nil {
			return err
		}
		grown := false
		for tp, end := range now {
			grown = grown || end > ends[tp]
		}
		if !grown {
			return nil
		}
		ends = now
	}
}
