package consumers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

// settledPoll is how often committed offsets are looked at while waiting for them.
const settledPoll = 50 * time.Millisecond

// ErrBehind says that consumption had not reached the offsets in time.
var ErrBehind = errors.New("consumers are behind")

// Positions tells how far a consumer group is with its topics, whichever process consumes them.
type Positions struct {
	Kafka  *broker.Connection
	Group  string
	Topics []string
}

// Committed returns the offset behind what is stored, for each partition. A partition that was never committed, or whose records
// below its start were deleted, stands at its start: nothing before it can be waited for.
func (p *Positions) Committed(ctx context.Context) (map[churn.TopicPartition]int64, error) {
	committed, _, err := p.read(ctx)
	return committed, err
}

// Ends returns the offset behind the last decided record, for each partition.
func (p *Positions) Ends(ctx context.Context) (map[churn.TopicPartition]int64, error) {
	ranges, err := p.Kafka.Ranges(ctx, p.Topics...)
	if err != nil {
		return nil, err
	}
	ends := make(map[churn.TopicPartition]int64, len(ranges))
	for tp, r := range ranges {
		ends[tp] = r.End
	}
	return ends, nil
}

// Lag returns how many offsets are not yet stored, for each partition.
func (p *Positions) Lag(ctx context.Context) (map[churn.TopicPartition]int64, error) {
	committed, ranges, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	lag := make(map[churn.TopicPartition]int64, len(ranges))
	for tp, r := range ranges {
		lag[tp] = max(r.End-committed[tp], 0)
	}
	return lag, nil
}

// Settled waits until everything below the ends is stored and committed; ErrBehind where that takes longer than the
// timeout (0: no limit but the context's). To see every chunk that was stamped at or before an instant, take Ends at or after it.
func (p *Positions) Settled(ctx context.Context, ends map[churn.TopicPartition]int64, timeout time.Duration) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, ErrBehind)
		defer cancel()
	}
	ticker := time.NewTicker(settledPoll)
	defer ticker.Stop()
	for {
		committed, _, err := p.read(ctx)
		behind := int64(0)
		if err == nil {
			for tp, end := range ends {
				behind += max(end-committed[tp], 0)
			}
			if behind == 0 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return errors.Join(context.Cause(ctx), err)
			}
			return fmt.Errorf("waiting for group %s: %w: %d records short", p.Group, context.Cause(ctx), behind)
		case <-ticker.C:
		}
	}
}

func (p *Positions) read(ctx context.Context) (map[churn.TopicPartition]int64, map[churn.TopicPartition]broker.Range, error) {
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
	return committed, ranges, nil
}
