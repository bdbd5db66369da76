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

// Store keeps events and rejections. It opens the batches that events are gathered in, and takes them back, with the instant
// that they became known, in one atomic insert; a repeat of a token stores nothing more. An error that has a method
// RowRefused() bool which says true blames the rows: what was to be stored is cut in two until the guilty ones are found. Any other error
// means that the store is away: the same call is made again until it works. What is passed belongs to the caller again when
// a call returns.
type Store interface {
	NewDealBatch() churn.Batch[churn.DealEvent]
	NewTicketBatch() churn.Batch[churn.TicketEvent]
	InsertDeals(ctx context.Context, token string, known time.Time, batches []churn.Batch[churn.DealEvent]) error
	InsertTickets(ctx context.Context, token string, known time.Time, batches []churn.Batch[churn.TicketEvent]) error
	NewFeedbackBatch() churn.Batch[churn.FeedbackEvent]
	InsertFeedback(ctx context.Context, token string, known time.Time, batches []churn.Batch[churn.FeedbackEvent]) error
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
	Wall       func() time.Time // what no stamp may be ahead of, also where Clock is simulated; time.Now where nil

	inFlight *semaphore.Weighted
	letters  *deadletter.Writer
	lanes    map[string]lane

	mu      sync.Mutex
	joined  bool
	waiting map[string]int // what for -> partitions
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
	if c.Wall == nil {
		c.Wall = time.Now
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
	c.lanes = map[string]lane{}
	for _, topic := range Topics(c.Kafka.Topics(), c.Enrichment) {
		c.lanes[topic.Name] = topic.open(c)
	}
	group, err := c.Kafka.Join(broker.GroupOptions{
		Name: c.Config.Group, Topics: c.names(), Session: c.Config.SessionTimeout,
		Rebalance: c.Config.RebalanceTimeout, Request: c.Config.CommitTimeout, Drain: c.Config.DrainTimeout,
	})
	if err != nil {
		return err
	}
	defer group.Leave()
	defer c.setJoined(false)
	for {
		g, err := group.Next(ctx)
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
		c.take(g, counts)
	}
}

// take starts the lane of each topic of which the generation assigns partitions to us. kafka-go asks for the next generation
// only when all of them have returned.
func (c *Consumers) take(g *kafka.Generation, counts map[string]int) {
	held := 0
	for topic, assignments := range g.Assignments {
		if len(assignments) == 0 {
			continue
		}
		held += len(assignments)
		ours := generation{committer: g, partitions: len(assignments)}
		g.Start(func(ctx context.Context) { c.lanes[topic].run(ctx, ours, assignments) })
	}
	g.Start(func(ctx context.Context) { c.watchPartitions(ctx, counts) })
	c.Log.Info("consuming", "group", g.GroupID, "generation", g.ID, "partitions", held)
}

// hurry has what is gathered stored now: memory is short, and only storing makes room.
func (c *Consumers) hurry() {
	for _, l := range c.lanes {
		l.hurry()
	}
}
