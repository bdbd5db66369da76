package consumers

import (
	"context"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
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
			l.release(w, c)
			if err != nil {
				return err
			}
		}
	}
}

// settle stores the events, then has the dead letters acknowledged and recorded, and only then commits.
func (l *laneOf[E]) settle(ctx, live context.Context, w *worker, c *chunk[E]) error {
	stored := 0
	if len(c.events) > 0 {
		refused, err := l.store(ctx, live, w, c.events, c.origins)
		if err != nil {
			return err
		}
		stored = len(c.events) - len(refused)
		c.refused = append(c.refused, refused...)
	}
	if len(c.refused) > 0 {
		if err := w.refuse(ctx, live, c.refused); err != nil {
			return err
		}
	}
	if err := w.commit(c.next); err != nil {
		return err
	}
	topic := w.tp.Topic
	w.Metrics.rows.WithLabelValues(topic).Add(float64(stored))
	for i := range c.refused {
		w.Metrics.rejected.WithLabelValues(topic, string(c.refused[i].why.Code)).Inc()
	}
	if rows := stored + len(c.refused); rows > 0 {
		w.Metrics.chunks.WithLabelValues(topic).Inc()
		w.Metrics.chunkRows.WithLabelValues(topic).Observe(float64(rows))
	}
	return nil
}

// store inserts the events, and cuts them in two where the store blames the rows, until the guilty ones stand alone.
func (l *laneOf[E]) store(ctx, live context.Context, w *worker, events []E, origins []origin) (refused []refusal, err error) {
	name := token(w.tp, events, l.stamp)
	err = w.patiently(ctx, live, "storing a chunk", waitStore, func(ctx context.Context) error {
		l.date(events, origins, w.Clock())
		began := time.Now()
		// gofail: var consumersBeforeInsert struct{}
		err := l.insert(ctx, name, events)
		// gofail: var consumersAfterInsert struct{}
		if err == nil {
			w.Metrics.insert.WithLabelValues(w.tp.Topic).Observe(time.Since(began).Seconds())
		}
		return err
	})
	switch {
	case err == nil:
		return nil, nil
	case !rowRefused(err):
		return nil, err
	case len(events) == 1:
		return []refusal{l.refusedRow(&events[0], &origins[0], err)}, nil
	}
	half := len(events) / 2
	refused, err = l.store(ctx, live, w, events[:half], origins[:half])
	if err != nil {
		return nil, err
	}
	more, err := l.store(ctx, live, w, events[half:], origins[half:])
	return append(refused, more...), err
}

// date stamps the events that no header dates with the instant of this very attempt: an event must not claim to have been known
// while the store was away, for ticks of that time did not see it. Of two attempts under one token the first that took effect counts.
func (l *laneOf[E]) date(events []E, origins []origin, now time.Time) {
	now = now.UTC().Truncate(time.Millisecond)
	for i := range events {
		if !origins[i].dated {
			l.stamp(&events[i]).KnownAt = now
		}
	}
}

func (l *laneOf[E]) refusedRow(event *E, o *origin, err error) refusal {
	s := l.stamp(event)
	return refusal{
		record: broker.Record{Position: s.Position, Key: o.key, Value: s.Payload, Headers: o.headers},
		why:    churn.Rejection{Code: churn.CodeRefusedByStore, Reason: err.Error()},
	}
}

// refuse has the dead letters acknowledged by the brokers and then recorded in the store.
func (w *worker) refuse(ctx, live context.Context, refused []refusal) error {
	now := w.Clock().UTC().Truncate(time.Millisecond)
	letters := make([]kafka.Message, len(refused))
	rows := make([]churn.Rejected, len(refused))
	for i := range refused {
		letters[i] = deadLetter(&refused[i], now)
		rows[i] = rejected(&refused[i], now)
	}
	err := w.patiently(ctx, live, "writing dead letters", waitDeadLetter, func(ctx context.Context) (err error) {
		letters, err = w.letters.write(ctx, letters)
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
		return w.Store.StoreRejected(ctx, rejectedToken(w.tp, rows), rows)
	})
	if err == nil || !rowRefused(err) {
		return err
	}
	if len(rows) == 1 {
		w.Log.Error("the store refuses to record a rejection; its record is in the dead-letter topic",
			"partition", w.tp.String(), "offset", rows[0].Offset, "code", rows[0].Code, "error", err)
		return nil
	}
	half := len(rows) / 2
	return errors.Join(w.recordRejected(ctx, live, rows[:half]), w.recordRejected(ctx, live, rows[half:]))
}
