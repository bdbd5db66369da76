package consumers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/dial"
)

// worker is what the partitions of one topic share under one generation.
type worker struct {
	*Consumers
	topic      string
	partitions int // that are ours
	generation committer
}

// partition is one partition under one generation.
type partition struct {
	*worker
	tp    churn.TopicPartition
	start int64 // where the generation begins; negative where the group never committed
}

// committer is the part of kafka.Generation that a worker needs.
type committer interface {
	CommitOffsets(offsets map[string]map[int]int64) error
}

// commit says that everything below next, by partition, is stored or acknowledged as a dead letter. A generation that has been
// replaced is refused by the broker. kafka-go bounds the request by Config.CommitTimeout.
func (w *worker) commit(next map[int]int64) error {
	// gofail: var consumersBeforeCommit struct{}
	err := w.generation.CommitOffsets(map[string]map[int]int64{w.topic: next})
	if err != nil {
		w.Metrics.commitErrors.Inc()
		return fmt.Errorf("committing %s up to %v: %w", w.topic, next, err)
	}
	// gofail: var consumersAfterCommit struct{}
	return nil
}

// errAbandoned ends the work on a chunk that is not stored; another generation reads it again.
var errAbandoned = errors.New("the partitions were given up before the chunk was stored")

// patiently makes attempts until one succeeds or the rows themselves are at fault. live ends when the partitions are given up:
// then the attempt under way is the last one. ctx ends when even that must stop.
func (w *worker) patiently(ctx, live context.Context, what, waitsFor string, attempt func(context.Context) error) error {
	var err error // of the last attempt
	attempts, waiting := 0, false
	_ = dial.Retry(live, w.pause(), func() error {
		trying, cancel := context.WithTimeout(ctx, w.Config.InsertTimeout)
		defer cancel()
		attempts++
		err = attempt(trying)
		return err
	}, func(f dial.Failure) bool {
		if rowRefused(f.Err) {
			return false
		}
		if !waiting {
			waiting = true
			w.addWaiting(waitsFor, w.partitions)
		}
		if f.Attempt == 1 || f.AtLongest {
			w.Log.Warn("waiting and trying again", "doing", what, "topic", w.topic, "attempt", f.Attempt, "error", f.Err)
		}
		return true
	})
	if waiting {
		w.addWaiting(waitsFor, -w.partitions)
	}
	if err != nil && !rowRefused(err) {
		return errors.Join(errAbandoned, err)
	}
	if attempts > 1 {
		w.Log.Info("going on", "doing", what, "topic", w.topic, "attempts", attempts)
	}
	return err
}

// rowRefused reports whether the store blames the rows rather than itself.
func rowRefused(err error) bool {
	var refusal interface{ RowRefused() bool }
	return errors.As(err, &refusal) && refusal.RowRefused()
}

// startAt turns the assignment into an offset.
func (p *partition) startAt(ctx context.Context) (int64, error) {
	if p.start >= 0 {
		return p.start, nil
	}
	held, err := p.held(ctx)
	return held.Start, err
}

func (p *partition) held(ctx context.Context) (broker.Range, error) {
	ranges, err := p.Kafka.Ranges(ctx, p.tp.Topic)
	return ranges[p.tp], err
}

// endConfirmations is how often a partition must be seen to end before our offset: a new leader may lag for a moment.
const endConfirmations = 3

// outOfRange decides where to go on when the partition does not hold the offset, and says loudly what that means.
func (p *partition) outOfRange(ctx context.Context, offset int64, seen int) (int64, error) {
	held, err := p.held(ctx)
	if err != nil {
		return offset, err
	}
	switch {
	case offset < held.Start:
		p.Metrics.lost.WithLabelValues(p.tp.Topic).Add(float64(held.Start - offset))
		p.Log.Error("records were deleted before they were consumed: the topic's retention is shorter than our delay",
			"partition", p.tp.String(), "expected", offset, "first", held.Start, "lost", held.Start-offset)
		return held.Start, nil
	case offset > held.End && seen >= endConfirmations:
		p.Metrics.rewound.WithLabelValues(p.tp.Topic).Inc()
		p.Log.Error("the partition ends before our offset: the topic was made anew or lost records; reading it from its start, which counts nothing twice",
			"partition", p.tp.String(), "expected", offset, "end", held.End, "start", held.Start)
		return held.Start, nil
	}
	return offset, fmt.Errorf("%s does not hold offset %d (it holds %d to %d): %w", p.tp, offset, held.Start, held.End, kafka.OffsetOutOfRange)
}

// draining returns a context that outlives live by the drain timeout, so that what is being stored may finish.
func (w *worker) draining(live context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(live))
	stop := context.AfterFunc(live, func() {
		timer := time.NewTimer(w.Config.DrainTimeout)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { stop(); cancel() }
}
