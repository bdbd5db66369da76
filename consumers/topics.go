package consumers

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

// Topic is a topic that is consumed. Everything that is done for each topic goes over one list of them: joining the group, carrying
// records to their table, waiting until the topics exist and are read, watching their partitions, and replaying dead letters.
type Topic struct {
	Name   string // in Kafka
	Source string // what the warehouse calls its events: deals, tickets or feedback
	// Decode tells which event a record would become, or why it cannot be one.
	Decode func(*broker.Record) (churn.EventKey, *churn.Rejection)

	open func(*Consumers) lane
}

// Topics lists what is consumed: where it comes from, what its records become, and where those go.
func Topics(names broker.Topics, e Enrichment) []Topic {
	return []Topic{
		newTopic(names.Deals, "deals", e.deal, (*churn.DealEvent).Key, func(e *churn.DealEvent) *churn.Stamp { return &e.Stamp },
			table[churn.DealEvent]{Store.NewDealBatch, Store.InsertDeals}),
		newTopic(names.Tickets, "tickets", e.ticket, (*churn.TicketEvent).Key, func(e *churn.TicketEvent) *churn.Stamp { return &e.Stamp },
			table[churn.TicketEvent]{Store.NewTicketBatch, Store.InsertTickets}),
		newTopic(names.Feedback, "feedback", feedback, (*churn.FeedbackEvent).Key, func(e *churn.FeedbackEvent) *churn.Stamp { return &e.Stamp },
			table[churn.FeedbackEvent]{Store.NewFeedbackBatch, Store.InsertFeedback}),
	}
}

// table is where the store keeps one type of event.
type table[E any] struct {
	open   func(Store) churn.Batch[E]
	insert func(s Store, ctx context.Context, token string, known time.Time, events []churn.Batch[E]) error
}

func newTopic[E any](name, source string, decode func(*broker.Record, *E) *churn.Rejection, key func(*E) churn.EventKey, stamp func(*E) *churn.Stamp, table table[E]) Topic {
	return Topic{
		Name: name, Source: source,
		Decode: func(record *broker.Record) (churn.EventKey, *churn.Rejection) {
			var event E
			why := decode(record, &event)
			return key(&event), why
		},
		open: func(c *Consumers) lane {
			return &laneOf[E]{consumers: c, name: name, source: source, decode: decode, key: key, stamp: stamp, table: table, short: make(chan struct{}, 1)}
		},
	}
}

// lane is what carries the records of one topic to their table.
type lane interface {
	// run consumes the partitions until the context ends or their generation is refused.
	run(ctx context.Context, g generation, assigned []kafka.PartitionAssignment)
	// hurry asks for what is gathered to be stored now: memory is short.
	hurry()
}

// laneOf is the lane of one type of event. Its partitions are fetched and decoded side by side; their pieces are gathered into
// batches, and a batch is stored and committed while the next is gathered:
//
//	fetch, fetch, ... -> pieces -> gather -> batches -> store
type laneOf[E any] struct {
	consumers *Consumers
	name      string
	source    string
	decode    func(*broker.Record, *E) *churn.Rejection
	key       func(*E) churn.EventKey
	stamp     func(*E) *churn.Stamp
	table     table[E]
	spare     sync.Pool // of emptied pieces, for their memory
	short     chan struct{}
}

func (l *laneOf[E]) run(ctx context.Context, g generation, assigned []kafka.PartitionAssignment) {
	group, live := errgroup.WithContext(ctx)
	pieces, batches := make(chan *piece[E]), make(chan *batch[E])
	for _, a := range assigned {
		p := &partition[E]{lane: l, tp: churn.TopicPartition{Topic: l.name, Partition: a.ID}, position: a.Offset, pieces: pieces}
		defer l.consumers.Metrics.forget(p.tp)
		group.Go(func() error { return p.fetch(live) })
	}
	group.Go(func() error { return l.gather(live, pieces, batches) })
	group.Go(func() error { return l.store(live, g, batches) })
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		l.consumers.Log.Warn("giving up the partitions; the group will assign them again", "topic", l.name, "error", err)
	}
}

func (l *laneOf[E]) hurry() {
	select {
	case l.short <- struct{}{}:
	default: // it has been asked for
	}
}

// AllPositions tells how far the group is with everything that is consumed.
func (c *Consumers) AllPositions() *broker.Positions {
	return &broker.Positions{Kafka: c.Kafka, Group: c.Config.Group, Topics: c.names()}
}

// Positions tells how far the group is with deals and tickets, which links follow from.
func (c *Consumers) Positions() *broker.Positions {
	topics := c.Kafka.Topics()
	return &broker.Positions{Kafka: c.Kafka, Group: c.Config.Group, Topics: []string{topics.Deals, topics.Tickets}}
}

// names are those of all topics.
func (c *Consumers) names() []string {
	var names []string
	for _, t := range Topics(c.Kafka.Topics(), c.Enrichment) {
		names = append(names, t.Name)
	}
	return names
}

// awaitTopics waits until all topics exist, and counts their partitions: a group that is joined before has none, and nothing would
// tell it of new ones.
func (c *Consumers) awaitTopics(ctx context.Context) (counts map[string]int, ok bool) {
	topics := c.names()
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
		now, err := c.Kafka.Partitions(ctx, c.names()...)
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
		c.Log.Debug("looked at the partitions", "changed", changed)
		if changed {
			return
		}
	}
}

// RunUntilIdle consumes what the topics hold when it starts, and what arrives meanwhile, and returns when all of it is committed.
func (c *Consumers) RunUntilIdle(ctx context.Context) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(running) }()
	idle := make(chan error, 1)
	go func() { idle <- c.untilIdle(running) }()
	select {
	case err := <-ended:
		stop()
		<-idle
		if ctx.Err() == nil {
			err = errors.Join(errors.New("consuming ended before the topics were read"), err)
		}
		return errors.Join(err, ctx.Err())
	case err := <-idle:
		stop()
		return errors.Join(err, <-ended, ctx.Err())
	}
}

// untilIdle waits until everything is committed and nothing more has arrived meanwhile.
func (c *Consumers) untilIdle(ctx context.Context) error {
	positions := c.AllPositions()
	for ends := map[churn.TopicPartition]int64(nil); ; {
		waited, err := positions.Wait(ctx, broker.Patience{})
		if err != nil || maps.Equal(waited.Ends, ends) {
			return err
		}
		ends = waited.Ends
	}
}
