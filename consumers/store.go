package consumers

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers/deadletter"
	"github.com/aftershock/aftershock/dial"
)

// generation is our share of a topic under one generation of the consumer group.
type generation struct {
	committer
	partitions int // of the topic that are ours
}

// committer is the part of kafka.Generation that storing needs.
type committer interface {
	CommitOffsets(offsets map[string]map[int]int64) error
}

// store stores and commits batches in order until live ends. A batch that is being stored then may still finish, within the drain
// timeout; the next one is left to whoever reads it again.
func (l *laneOf[E]) store(live context.Context, g generation, batches <-chan *batch[E]) error {
	ctx, cancel := draining(live, l.consumers.Config.DrainTimeout)
	defer cancel()
	for {
		select {
		case <-live.Done():
			return live.Err()
		case b := <-batches:
			err := l.storeBatch(ctx, live, g, b)
			l.releaseAll(b.pieces)
			if err != nil {
				return err
			}
		}
	}
}

// storeBatch stores the events, then has the dead letters acknowledged and recorded, and only then commits.
func (l *laneOf[E]) storeBatch(ctx, live context.Context, g generation, b *batch[E]) error {
	refused, err := l.insert(ctx, live, g, b.pieces)
	if err != nil {
		return err
	}
	for _, p := range b.pieces {
		refused = append(refused, p.refused...)
	}
	if err := l.refuse(ctx, live, g, refused); err != nil {
		return err
	}
	if err := l.commit(g, b.next); err != nil {
		return err
	}
	m := l.consumers.Metrics
	m.rows.WithLabelValues(l.name).Add(float64(b.rows - len(refused)))
	for i := range refused {
		m.rejected.WithLabelValues(l.name, string(refused[i].why.Code)).Inc()
	}
	if b.rows > 0 {
		m.batches.WithLabelValues(l.name).Inc()
		m.batchRows.WithLabelValues(l.name).Observe(float64(b.rows))
	}
	return nil
}

// insert stores the events of some pieces, and cuts them in two where the store blames the rows, until the guilty ones stand
// alone. An event must not claim to have been known while the store was away, for ticks of that time did not see it: each
// attempt has a stamp of its own, and of two attempts under one token the first that took effect counts.
func (l *laneOf[E]) insert(ctx, live context.Context, g generation, pieces []*piece[E]) (refused []refusal, err error) {
	var events []churn.Batch[E]
	rows := 0
	for _, p := range pieces {
		events = append(events, p.events)
		rows += p.events.Len()
	}
	if rows == 0 {
		return nil, nil
	}
	c, name := l.consumers, token(pieces)
	err = l.patiently(ctx, live, g, "storing a batch", waitStore, func(ctx context.Context) error {
		began := time.Now()
		// gofail: var consumersBeforeInsert struct{}
		err := l.table.insert(c.Store, ctx, name, c.Clock().UTC().Truncate(time.Millisecond), events)
		// gofail: var consumersAfterInsert struct{}
		if err == nil {
			c.Metrics.insert.WithLabelValues(l.name).Observe(time.Since(began).Seconds())
		}
		return err
	})
	switch {
	case err == nil:
		return nil, nil
	case !rowRefused(err):
		return nil, err
	case rows == 1:
		for _, p := range pieces {
			if p.events.Len() == 1 {
				return []refusal{refusalOf(p.record(0), churn.Rejection{Code: churn.CodeRefusedByStore, Reason: err.Error()})}, nil
			}
		}
	}
	for _, half := range l.halves(pieces) {
		more, err := l.insert(ctx, live, g, half)
		if err != nil {
			return nil, err
		}
		refused = append(refused, more...)
	}
	return refused, nil
}

// halves cuts pieces in two: between pieces where there are several, else by decoding the records of the only one again.
func (l *laneOf[E]) halves(pieces []*piece[E]) [2][]*piece[E] {
	if n := len(pieces); n > 1 {
		return [2][]*piece[E]{pieces[:n/2], pieces[n/2:]}
	}
	whole := pieces[0]
	part := func(from, to int) []*piece[E] {
		p := l.piece(whole.tp)
		for i := from; i < to; i++ {
			p.decode(whole.record(i)) // what could be decoded once can be again
		}
		return []*piece[E]{p}
	}
	n := whole.events.Len()
	return [2][]*piece[E]{part(0, n/2), part(n/2, n)}
}

// refuse has the dead letters acknowledged by the brokers and then recorded in the store.
func (l *laneOf[E]) refuse(ctx, live context.Context, g generation, refused []refusal) error {
	if len(refused) == 0 {
		return nil
	}
	c := l.consumers
	now := c.Clock().UTC().Truncate(time.Millisecond)
	letters := make([]kafka.Message, len(refused))
	rows := make([]churn.Rejected, len(refused))
	for i := range refused {
		letters[i] = deadletter.Message(&refused[i].record, refused[i].why, now)
		rows[i] = deadletter.Rejected(&refused[i].record, refused[i].why, l.source, now)
	}
	err := l.patiently(ctx, live, g, "writing dead letters", waitDeadLetter, func(ctx context.Context) (err error) {
		letters, err = c.letters.Write(ctx, letters)
		return err
	})
	if err != nil {
		return err
	}
	// gofail: var consumersAfterDeadLetters struct{}
	return l.recordRejected(ctx, live, g, rows)
}

// recordRejected keeps the rejections. A row that the store refuses even here is told of and left out: its record is safe in the
// dead-letter topic.
func (l *laneOf[E]) recordRejected(ctx, live context.Context, g generation, rows []churn.Rejected) error {
	c := l.consumers
	err := l.patiently(ctx, live, g, "recording rejections", waitStore, func(ctx context.Context) error {
		return c.Store.StoreRejected(ctx, rejectedToken(rows), rows)
	})
	if err == nil || !rowRefused(err) {
		return err
	}
	if len(rows) == 1 {
		c.Log.Error("the store refuses to record a rejection; its record is in the dead-letter topic",
			"topic", l.name, "partition", rows[0].Partition, "offset", rows[0].Offset, "code", rows[0].Code, "error", err)
		return nil
	}
	half := len(rows) / 2
	return errors.Join(l.recordRejected(ctx, live, g, rows[:half]), l.recordRejected(ctx, live, g, rows[half:]))
}

// rejectedToken names rows of rejected_events as token does those of events.
func rejectedToken(rows []churn.Rejected) string {
	hash := sha256.New()
	var place []byte
	for i := range rows {
		place = binary.AppendVarint(place[:0], int64(rows[i].Partition))
		place = binary.AppendVarint(place, rows[i].Offset)
		hash.Write(append(place, rows[i].Hash[:]...))
	}
	return rows[0].Topic + "/" + hex.EncodeToString(hash.Sum(nil)[:16]) + "/rejected"
}

// commit says that everything below next, by partition, is stored or acknowledged as a dead letter. A generation that has been
// replaced is refused by the broker. kafka-go bounds the request by Config.CommitTimeout.
func (l *laneOf[E]) commit(g generation, next map[int]int64) error {
	// gofail: var consumersBeforeCommit struct{}
	err := g.CommitOffsets(map[string]map[int]int64{l.name: next})
	if err != nil {
		l.consumers.Metrics.commitErrors.Inc()
		return fmt.Errorf("committing %s up to %v: %w", l.name, next, err)
	}
	// gofail: var consumersAfterCommit struct{}
	return nil
}

// errAbandoned ends the work on a batch that is not stored; another generation reads it again.
var errAbandoned = errors.New("the partitions were given up before the batch was stored")

// patiently makes attempts until one succeeds or the rows themselves are at fault. live ends when the partitions are given up:
// then the attempt under way is the last one. ctx ends when even that must stop.
func (l *laneOf[E]) patiently(ctx, live context.Context, g generation, what, waitsFor string, attempt func(context.Context) error) error {
	c := l.consumers
	var err error // of the last attempt
	attempts, waiting := 0, false
	_ = dial.Retry(live, c.pause(), func() error {
		trying, cancel := context.WithTimeout(ctx, c.Config.InsertTimeout)
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
			c.addWaiting(waitsFor, g.partitions)
		}
		if f.Attempt == 1 || f.AtLongest {
			c.Log.Warn("waiting and trying again", "doing", what, "topic", l.name, "attempt", f.Attempt, "error", f.Err)
		}
		return true
	})
	if waiting {
		c.addWaiting(waitsFor, -g.partitions)
	}
	if err != nil && !rowRefused(err) {
		return errors.Join(errAbandoned, err)
	}
	if attempts > 1 {
		c.Log.Info("going on", "doing", what, "topic", l.name, "attempts", attempts)
	}
	return err
}

// rowRefused reports whether the store blames the rows rather than itself.
func rowRefused(err error) bool {
	var refusal interface{ RowRefused() bool }
	return errors.As(err, &refusal) && refusal.RowRefused()
}

// draining returns a context that outlives live by a while, so that what is being stored may finish.
func draining(live context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(live))
	stop := context.AfterFunc(live, func() {
		_ = dial.Sleep(ctx, by)
		cancel()
	})
	return ctx, func() { stop(); cancel() }
}
