package consumers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

// partition is one partition of ours, under one generation of the group.
type partition[E any] struct {
	lane     *laneOf[E]
	tp       churn.TopicPartition
	position int64 // of the next record; negative where the group never committed
	beyond   int   // how often in a row the partition did not hold it
	pieces   chan<- *piece[E]
	current  *piece[E] // the one being filled
}

// fetch reads the partition and hands its records over in pieces, until live ends. A broker that is away is waited for.
func (p *partition[E]) fetch(live context.Context) error {
	c := p.lane.consumers
	reader := c.Kafka.Reader(p.tp, broker.FetchLimits{MinBytes: c.Config.FetchMinBytes, MaxWait: c.Config.FetchMaxWait, MaxBytes: c.Config.FetchMaxBytes, MaxRecord: c.Kafka.Topics().MaxRecordBytes})
	defer reader.Close()
	p.current = p.lane.piece(p.tp)
	defer func() { p.lane.release(p.current) }()
	away, pause := false, c.pause()
	for live.Err() == nil {
		err := p.read(live, reader)
		switch {
		case live.Err() != nil:
		case err == nil:
			if away {
				away = false
				c.addWaiting(waitBroker, -1)
			}
			pause.Reset()
			p.beyond = 0
		case !away:
			away = true
			c.addWaiting(waitBroker, +1)
			c.Log.Warn("reading the partition; trying again", "partition", p.tp.String(), "error", err)
			fallthrough
		default:
			// What was read before the broker went away need not wait for its return.
			if err := p.handOverWhenDue(live); err == nil {
				_ = pause.Wait(live)
			}
		}
	}
	if away {
		c.addWaiting(waitBroker, -1)
	}
	return live.Err()
}

// read does one fetch and takes in what it brought.
func (p *partition[E]) read(live context.Context, reader *broker.PartitionReader) error {
	if p.position < 0 {
		held, err := p.held(live)
		if err != nil {
			return err
		}
		p.position = held.Start
	}
	fetched, err := reader.Fetch(live, p.position, max(p.current.due(time.Now()), time.Millisecond))
	if errors.Is(err, kafka.OffsetOutOfRange) {
		return p.jump(live)
	}
	if err != nil {
		return err
	}
	err = p.take(live, fetched)
	if fetched.Next > p.position {
		p.current.cover(fetched.Next)
	}
	p.position = fetched.Next
	p.lane.consumers.Metrics.partitionLag(p.tp).Set(float64(max(fetched.End-fetched.Next, 0)))
	if err != nil {
		return err
	}
	return p.handOverWhenDue(live)
}

// take puts records into pieces, and hands over those that are full.
func (p *partition[E]) take(live context.Context, fetched *broker.Fetched) error {
	for record, err := range fetched.Records() {
		if err != nil {
			return err
		}
		if err := p.add(live, record); err != nil {
			return err
		}
	}
	return nil
}

func (p *partition[E]) add(live context.Context, record *broker.Record) error {
	for !p.current.add(record) {
		if err := p.makeRoom(live, record); err != nil {
			return err
		}
	}
	if p.current.full() {
		return p.handOver(live)
	}
	return nil
}

// makeRoom is for when memory is short. What is gathered goes off as it is, for only storing makes room; a partition that holds
// nothing waits for the others.
func (p *partition[E]) makeRoom(live context.Context, record *broker.Record) error {
	if p.current.rows() == 0 {
		p.lane.consumers.hurry()
		return p.current.awaitRoom(live, record)
	}
	if err := p.handOver(live); err != nil {
		return err
	}
	p.lane.consumers.hurry()
	return nil
}

func (p *partition[E]) handOverWhenDue(live context.Context) error {
	if p.current.due(time.Now()) > 0 {
		return nil
	}
	return p.handOverIfAny(live)
}

func (p *partition[E]) handOverIfAny(live context.Context) error {
	if p.current.empty() {
		return nil
	}
	return p.handOver(live)
}

func (p *partition[E]) handOver(live context.Context) error {
	select {
	case p.pieces <- p.current:
		p.current = p.lane.piece(p.tp)
		return nil
	case <-live.Done():
		return live.Err()
	}
}

func (p *partition[E]) held(ctx context.Context) (broker.Range, error) {
	ranges, err := p.lane.consumers.Kafka.Ranges(ctx, p.tp.Topic)
	return ranges[p.tp], err
}

// endConfirmations is how often a partition must be seen to end before our position: a broker that has just come to lead it may lag
// for a moment.
const endConfirmations = 3

// jump decides where to go on when the partition does not hold our position, and says loudly what that means. A piece is
// consecutive: what was read before a jump goes off on its own.
func (p *partition[E]) jump(live context.Context) error {
	c := p.lane.consumers
	p.beyond++
	held, err := p.held(live)
	if err != nil {
		return err
	}
	switch {
	case p.position < held.Start:
		c.Metrics.lost.WithLabelValues(p.tp.Topic).Add(float64(held.Start - p.position))
		c.Log.Error("records were deleted before they were consumed: the topic's retention is shorter than our delay",
			"partition", p.tp.String(), "expected", p.position, "first", held.Start, "lost", held.Start-p.position)
	case p.position > held.End && p.beyond >= endConfirmations:
		c.Metrics.rewound.WithLabelValues(p.tp.Topic).Inc()
		c.Log.Error("the partition ends before our offset: the topic was recreated or lost records; reading it from its start, which counts nothing twice",
			"partition", p.tp.String(), "expected", p.position, "end", held.End, "start", held.Start)
	default:
		return fmt.Errorf("%s does not hold offset %d (it holds %d to %d): %w", p.tp, p.position, held.Start, held.End, kafka.OffsetOutOfRange)
	}
	p.position = held.Start
	return p.handOverIfAny(live)
}
