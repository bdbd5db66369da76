package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
// timeout (0: no limit but the context's). To see everything that was stamped at or before an instant, take Ends at or after it.
func (p *Positions) Settled(ctx context.Context, ends map[churn.TopicPartition]int64, timeout time.Duration) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, ErrBehind)
		defer cancel()
	}
	ticker := time.NewTicker(pollEvery)
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

// Patience bounds a wait.
type Patience struct {
	Timeout time.Duration // 0: no bound but the context's
	// MaxLag is how many records topics may lack, together, to be waited for at all. 0: they are waited for in any case.
	MaxLag int64
	// Exempt are topics that do not count towards MaxLag and are waited for in any case.
	Exempt []string
}

// Waited is how far a group was when the waiting for it ended.
type Waited struct {
	Ends      map[churn.TopicPartition]int64 // behind the last record that was decided when the waiting began
	Committed map[churn.TopicPartition]int64 // behind what is stored, when the waiting ended

	group string
	began map[churn.TopicPartition]int64 // behind what was stored when the waiting began
	err   error                          // why it is not known better
}

// Lag is how many records of the topics were not yet stored when the waiting began.
func (w *Waited) Lag(topics ...string) int64 { return short(w.Ends, w.began, topics) }

// Short is how many of those records are not stored even now.
func (w *Waited) Short(topics ...string) int64 { return short(w.Ends, w.Committed, topics) }

// Err is nil where all of the topics' records are stored, and otherwise an ErrBehind that says how many are not.
func (w *Waited) Err(topics ...string) error {
	n := w.Short(topics...)
	switch {
	case n == 0:
		return nil
	case w.err != nil:
		return errors.Join(ErrBehind, w.err)
	}
	return fmt.Errorf("waiting for group %s: %w: %d records short", w.group, ErrBehind, n)
}

func short(ends, committed map[churn.TopicPartition]int64, topics []string) (n int64) {
	for tp, end := range ends {
		if slices.Contains(topics, tp.Topic) {
			n += max(end-committed[tp], 0)
		}
	}
	return n
}

// Wait waits until everything that the topics hold when it is called is stored and committed, or patience ends, which is not an
// error: the answer says how each topic stands. To see all that was stamped at or before an instant, call it at or after the instant.
func (p *Positions) Wait(ctx context.Context, patience Patience) (Waited, error) {
	committed, ranges, err := p.read(ctx)
	if err != nil {
		return Waited{}, err
	}
	w := Waited{Ends: make(map[churn.TopicPartition]int64, len(ranges)), Committed: committed, group: p.Group, began: committed}
	for tp, r := range ranges {
		w.Ends[tp] = r.End
	}
	awaited := p.Topics
	counted := slices.DeleteFunc(slices.Clone(p.Topics), func(topic string) bool { return slices.Contains(patience.Exempt, topic) })
	if patience.MaxLag > 0 && w.Lag(counted...) > patience.MaxLag {
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
	for w.Short(awaited...) > 0 {
		select {
		case <-waiting.Done():
			if ctx.Err() != nil {
				return w, fmt.Errorf("waiting for group %s: %w", p.Group, context.Cause(ctx))
			}
			return w, nil
		case <-ticker.C:
		}
		if committed, _, err := p.read(waiting); err == nil {
			w.Committed, w.err = committed, nil
		} else if waiting.Err() == nil {
			w.err = err
		}
	}
	return w, nil
}

func (p *Positions) read(ctx context.Context) (map[churn.TopicPartition]int64, map[churn.TopicPartition]Range, error) {
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
