package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/churn"
)

// pollEvery is how often committed offsets are looked at while they are waited for.
const pollEvery = 50 * time.Millisecond

// ErrBehind says that consumption had not reached the offsets in time.
var ErrBehind = errors.New("consumers are behind")

// Positions tells how far a consumer group is with its topics, whichever process consumes them.
type Positions struct {
	Kafka  *Connection
	Group  string
	Topics []string
}

// Patience bounds a wait.
type Patience struct {
	Timeout time.Duration // 0: no bound but the context's
	// MaxLag is how many records topics may lack, together, to be waited for at all. 0: they are waited for in any case.
	MaxLag int64
	// Exempt are topics that do not count towards MaxLag and are waited for in any case.
	Exempt []string
}

// Progress is how far a group is with its topics. Its methods speak of the topics that they are given, without any of all.
type Progress struct {
	// Ends is the offset behind the last record that was decided when we first looked, for each partition.
	Ends map[churn.TopicPartition]int64
	// Committed is the offset behind what is stored, when we last looked. A partition that was never committed, or whose records below
	// its start were deleted, stands at its start: nothing before it can be waited for.
	Committed map[churn.TopicPartition]int64

	of    *Positions
	began map[churn.TopicPartition]int64 // Committed when we first looked
	err   error                          // why it is not known better
}

// Lag is how many records were not yet stored when we first looked.
func (w *Progress) Lag(topics ...string) int64 { return short(w.Ends, w.began, w.of.these(topics)) }

// Short is how many of those records were not stored when we last looked.
func (w *Progress) Short(topics ...string) int64 {
	return short(w.Ends, w.Committed, w.of.these(topics))
}

// Err is nil where all records are stored, and otherwise an ErrBehind that says how many are not.
func (w *Progress) Err(topics ...string) error {
	n := w.Short(topics...)
	switch {
	case n == 0:
		return nil
	case w.err != nil:
		return errors.Join(ErrBehind, w.err)
	}
	return fmt.Errorf("waiting for group %s: %w: %d records short", w.of.Group, ErrBehind, n)
}

func (p *Positions) these(topics []string) []string {
	if len(topics) == 0 {
		return p.Topics
	}
	return topics
}

func short(ends, committed map[churn.TopicPartition]int64, topics []string) (n int64) {
	for tp, end := range ends {
		if slices.Contains(topics, tp.Topic) {
			n += max(end-committed[tp], 0)
		}
	}
	return n
}

// Now looks once.
func (p *Positions) Now(ctx context.Context) (Progress, error) {
	ranges, committed, err := p.read(ctx)
	if err != nil {
		return Progress{}, err
	}
	ends := make(map[churn.TopicPartition]int64, len(ranges))
	for tp, r := range ranges {
		ends[tp] = r.End
	}
	return Progress{Ends: ends, Committed: committed, of: p, began: committed}, nil
}

// Committed looks once below which offsets everything is stored.
func (p *Positions) Committed(ctx context.Context) (map[churn.TopicPartition]int64, error) {
	_, committed, err := p.read(ctx)
	return committed, err
}

// Wait waits until everything that the topics hold when it is called is stored and committed, or patience ends, which is not an
// error: the answer says how each topic stands. To see all that was stamped at or before an instant, call it at or after the instant.
func (p *Positions) Wait(ctx context.Context, patience Patience) (Progress, error) {
	w, err := p.Now(ctx)
	if err == nil {
		err = w.await(ctx, patience)
	}
	return w, err
}

// await waits until what the first look found to lack is stored and committed.
func (w *Progress) await(ctx context.Context, patience Patience) error {
	p := w.of
	awaited := p.Topics
	counted := slices.DeleteFunc(slices.Clone(p.Topics), func(topic string) bool { return slices.Contains(patience.Exempt, topic) })
	if patience.MaxLag > 0 && short(w.Ends, w.began, counted) > patience.MaxLag {
		awaited = patience.Exempt
	}
	waiting := ctx
	if patience.Timeout > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, patience.Timeout)
		defer cancel()
	}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for short(w.Ends, w.Committed, awaited) > 0 {
		select {
		case <-waiting.Done():
			if ctx.Err() != nil {
				return fmt.Errorf("waiting for group %s: %w", p.Group, context.Cause(ctx))
			}
			return nil
		case <-ticker.C:
		}
		if _, committed, err := p.read(waiting); err == nil {
			w.Committed, w.err = committed, nil
		} else if waiting.Err() == nil {
			w.err = err
		}
	}
	return nil
}

func (p *Positions) read(ctx context.Context) (map[churn.TopicPartition]Range, map[churn.TopicPartition]int64, error) {
	ranges, err := p.Kafka.Ranges(ctx, p.Topics...)
	if err != nil {
		return nil, nil, err
	}
	committed, err := p.Kafka.Committed(ctx, p.Group, p.Topics...)
	if err != nil {
		return nil, nil, err
	}
	for tp, r := range ranges {
		committed[tp] = max(committed[tp], r.Start)
	}
	return ranges, committed, nil
}

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
