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

// worker is one partition under one generation.
type worker struct {
	*Consumers
	tp         churn.TopicPartition
	start      int64 // where the generation begins; negative where the group never committed
	generation committer
}

// committer is the part of kafka.Generation that a worker needs.
type committer interface {
	CommitOffsets(offsets map[string]map[int]int64) error
}

// commit says that everything below next is stored or acknowledged as a dead letter. A generation that has been replaced is refused
// by the broker. kafka-go bounds the request by Config.CommitTimeout.
func (w *worker) commit(next int64) error {
	// gofail: var consumersBeforeCommit struct{}
	err := w.generation.CommitOffsets(map[string]map[int]int64{w.tp.Topic: {w.tp.Partition: next}})
	if err != nil {
		w.Metrics.commitErrors.Inc()
		return fmt.Errorf("committing %s up to offset %d: %w", w.tp, next, err)
	}
	// gofail: var consumersAfterCommit struct{}
	return nil
}

// errAbandoned ends the work on a chunk that is not stored; another generation reads it again.
var errAbandoned = errors.New("the partition was given up before the chunk was stored")

// patiently makes attempts until one succeeds or the rows themselves are at fault. live ends when the partition is given up:
// then the attempt under way is the last one. ctx ends when even that must stop.
func (w *worker) patiently(ctx, live context.Context, what, waitsFor string, attempt func(context.Context) error) error {
	pause := w.pause()
	for n := 1; ; n++ {
		trying, cancel := context.WithTimeout(ctx, w.Config.InsertTimeout)
		err := attempt(trying)
		cancel()
		if n > 1 && (err == nil || rowRefused(err)) {
			w.addWaiting(waitsFor, -1)
			w.Log.Info("going on", "doing", what, "partition", w.tp.String(), "attempts", n)
		}
		if err == nil || rowRefused(err) {
			return err
		}
		if n == 1 {
			w.addWaiting(waitsFor, +1)
		}
		if live.Err() != nil || ctx.Err() != nil {
			w.addWaiting(waitsFor, -1)
			return errors.Join(errAbandoned, err)
		}
		if n == 1 || pause.next == pause.most {
			w.Log.Warn("waiting and trying again", "doing", what, "partition", w.tp.String(), "attempt", n, "error", err)
		}
		if !pause.wait(live) {
			w.addWaiting(waitsFor, -1)
			return errors.Join(errAbandoned, err)
		}
	}
}

// rowRefused reports whether the store blames the rows rather than itself.
func rowRefused(err error) bool {
	var refusal interface{ RowRefused() bool }
	return errors.As(err, &refusal) && refusal.RowRefused()
}

// startAt turns the assignment into an offset.
func (w *worker) startAt(ctx context.Context) (int64, error) {
	if w.start >= 0 {
		return w.start, nil
	}
	held, err := w.held(ctx)
	return held.Start, err
}

func (w *worker) held(ctx context.Context) (broker.Range, error) {
	ranges, err := w.Kafka.Ranges(ctx, w.tp.Topic)
	return ranges[w.tp], err
}

// endConfirmations is how often a partition must be seen to end before our offset: a new leader may lag for a moment.
const endConfirmations = 3

// outOfRange decides where to go on when the partition does not hold the offset, and says loudly what that means.
func (w *worker) outOfRange(ctx context.Context, offset int64, seen int) (int64, error) {
	held, err := w.held(ctx)
	if err != nil {
		return offset, err
	}
	switch {
	case offset < held.Start:
		w.Metrics.lost.WithLabelValues(w.tp.Topic).Add(float64(held.Start - offset))
		w.Log.Error("records were deleted before they were consumed: the topic's retention is shorter than our delay",
			"partition", w.tp.String(), "expected", offset, "first", held.Start, "lost", held.Start-offset)
		return held.Start, nil
	case offset > held.End && seen >= endConfirmations:
		w.Metrics.rewound.WithLabelValues(w.tp.Topic).Inc()
		w.Log.Error("the partition ends before our offset: the topic was made anew or lost records; reading it from its start, which counts nothing twice",
			"partition", w.tp.String(), "expected", offset, "end", held.End, "start", held.Start)
		return held.Start, nil
	}
	return offset, fmt.Errorf("%s does not hold offset %d (it holds %d to %d): %w", w.tp, offset, held.Start, held.End, kafka.OffsetOutOfRange)
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
