package consumers

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers/deadletter"
)

// settleAll settles chunks in order until live ends. A chunk that is being stored then may still finish, within the drain
// timeout; the next one is left to whoever reads it again.
func (l *laneOf[E]) settleAll(live context.Context, w *worker, chunks <-chan *chunk[E]) error {
	ctx, cancel := w.draining(live)
	defer cancel()
	for {
		select {
		case <-live.Done():
			return live.Err()
		case c := <-chunks:
			err := l.settle(ctx, live, w, c)
			l.releaseAll(w, c.pieces)
			if err != nil {
				return err
			}
		}
	}
}

// settle stores the events, then has the dead letters acknowledged and recorded, and only then commits.
func (l *laneOf[E]) settle(ctx, live context.Context, w *worker, c *chunk[E]) error {
	refused, err := l.store(ctx, live, w, c.pieces)
	if err != nil {
		return err
	}
	for _, p := range c.pieces {
		refused = append(refused, p.refused...)
	}
	if len(refused) > 0 {
		if err := w.refuse(ctx, live, refused); err != nil {
			return err
		}
	}
	if err := w.commit(c.next); err != nil {
		return err
	}
	w.Metrics.rows.WithLabelValues(w.topic).Add(float64(c.rows - len(refused)))
	for i := range refused {
		w.Metrics.rejected.WithLabelValues(w.topic, string(refused[i].why.Code)).Inc()
	}
	if c.rows > 0 {
		w.Metrics.chunks.WithLabelValues(w.topic).Inc()
		w.Metrics.chunkRows.WithLabelValues(w.topic).Observe(float64(c.rows))
	}
	return nil
}

// store inserts the events of some pieces, and cuts them in two where the store blames the rows, until the guilty ones stand
// alone. An event must not claim to have been known while the store was away, for ticks of that time did not see it: each
// attempt has a stamp of its own, and of two attempts under one token the first that took effect counts.
func (l *laneOf[E]) store(ctx, live context.Context, w *worker, pieces []*piece[E]) (refused []refusal, err error) {
	var blocks []churn.Batch[E]
	rows := 0
	for _, p := range pieces {
		blocks = append(blocks, p.block)
		rows += p.block.Len()
	}
	if rows == 0 {
		return nil, nil
	}
	name := token(pieces)
	err = w.patiently(ctx, live, "storing a chunk", waitStore, func(ctx context.Context) error {
		began := time.Now()
		// gofail: var consumersBeforeInsert struct{}
		err := l.insert(ctx, name, w.Clock().UTC().Truncate(time.Millisecond), blocks)
		// gofail: var consumersAfterInsert struct{}
		if err == nil {
			w.Metrics.insert.WithLabelValues(w.topic).Observe(time.Since(began).Seconds())
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
			if p.block.Len() == 1 {
				return []refusal{refusalOf(p.record(0), churn.Rejection{Code: churn.CodeRefusedByStore, Reason: err.Error()})}, nil
			}
		}
	}
	for _, half := range l.halves(pieces) {
		more, err := l.store(ctx, live, w, half)
		if err != nil {
			return nil, err
		}
		refused = append(refused, more...)
	}
	return refused, nil
}

// halves cuts pieces in two: between pieces where there are several, else by decoding the one's records anew.
func (l *laneOf[E]) halves(pieces []*piece[E]) [2][]*piece[E] {
	if n := len(pieces); n > 1 {
		return [2][]*piece[E]{pieces[:n/2], pieces[n/2:]}
	}
	whole := pieces[0]
	part := func(from, to int) []*piece[E] {
		p := l.piece(whole.tp)
		for i := from; i < to; i++ {
			l.add(p, whole.record(i)) // what could be decoded once can be again
		}
		return []*piece[E]{p}
	}
	n := whole.block.Len()
	return [2][]*piece[E]{part(0, n/2), part(n/2, n)}
}

// refuse has the dead letters acknowledged by the brokers and then recorded in the store.
func (w *worker) refuse(ctx, live context.Context, refused []refusal) error {
	now := w.Clock().UTC().Truncate(time.Millisecond)
	letters := make([]kafka.Message, len(refused))
	rows := make([]churn.Rejected, len(refused))
	for i := range refused {
		letters[i] = deadletter.Message(&refused[i].record, refused[i].why, now)
		rows[i] = deadletter.Rejected(&refused[i].record, refused[i].why, w.source(), now)
	}
	err := w.patiently(ctx, live, "writing dead letters", waitDeadLetter, func(ctx context.Context) (err error) {
		letters, err = w.letters.Write(ctx, letters)
		return err
	})
	if err != nil {
		return err
	}
	// gofail: var consumersAfterDeadLetters struct{}
	return w.recordRejected(ctx, live, rows)
}

// recordRejected keeps the rejections. A row that the store refuses even here is told of and left out: its record is safe in the
// dead-letter topic.
func (w *worker) recordRejected(ctx, live context.Context, rows []churn.Rejected) error {
	err := w.patiently(ctx, live, "recording rejections", waitStore, func(ctx context.Context) error {
		return w.Store.StoreRejected(ctx, rejectedToken(rows), rows)
	})
	if err == nil || !rowRefused(err) {
		return err
	}
	if len(rows) == 1 {
		w.Log.Error("the store refuses to record a rejection; its record is in the dead-letter topic",
			"topic", w.topic, "partition", rows[0].Partition, "offset", rows[0].Offset, "code", rows[0].Code, "error", err)
		return nil
	}
	half := len(rows) / 2
	return errors.Join(w.recordRejected(ctx, live, rows[:half]), w.recordRejected(ctx, live, rows[half:]))
}

// rejectedToken names rows of rejected_events as token does those of events.
func rejectedToken(rows []churn.Rejected) string {
	digest := sha256.New()
	var place []byte
	for i := range rows {
		place = binary.AppendVarint(place[:0], int64(rows[i].Partition))
		place = binary.AppendVarint(place, rows[i].Offset)
		digest.Write(append(place, rows[i].Hash[:]...))
	}
	return rows[0].Topic + "/" + hex.EncodeToString(digest.Sum(nil)[:16]) + "/rejected"
}

// source names what the topic carries, as the warehouse does.
func (w *worker) source() string {
	switch topics := w.Kafka.Topics(); w.topic {
	case topics.Deals:
		return "deals"
	case topics.Feedback:
		return "feedback"
	}
	return "tickets"
}
