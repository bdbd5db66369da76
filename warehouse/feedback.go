package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftershock/aftershock/churn"
)

// NewFeedbackBlock makes an empty block of feedback.
func (w *Warehouse) NewFeedbackBlock() churn.Batch[churn.FeedbackEvent] { return newFeedbackBlock() }

// InsertFeedback stores blocks of NewFeedbackBlock, as InsertDeals does.
func (w *Warehouse) InsertFeedback(ctx context.Context, token string, known time.Time, blocks []churn.Batch[churn.FeedbackEvent]) error {
	return insertBlocks(ctx, w, "inserting %d feedback records", "insert_feedback", token, known, blocks)
}

// newFeedbackBlock has the columns of insert_feedback.sql.
func newFeedbackBlock() *block[churn.FeedbackEvent] {
	type F = churn.FeedbackEvent
	b := &block[F]{}
	b.text("event_id", func(e *F) string { return e.EventID })
	b.text("fingerprint", func(e *F) string { return e.Fingerprint })
	b.uint32("episode", func(e *F) uint32 { return uint32(e.Episode) })
	b.word("action", func(e *F) string { return string(e.Action) })
	b.text("by", func(e *F) string { return e.By })
	b.text("reason", func(e *F) string { return e.Reason })
	b.word("disposition", func(e *F) string { return string(e.Disposition) })
	b.time("snoozed_until", func(e *F) time.Time { return known(e.Until) })
	b.time("occurred_at", func(e *F) time.Time { return known(e.OccurredAt) })
	b.stamp(func(e *F) *churn.Stamp { return &e.Stamp })
	return b
}

// slack is what the clocks of this machine and of the server may differ by.
const slack = time.Hour

// Unapplied returns the feedback that no entry of the alert log answers, in the order of knowing.
func (w *Warehouse) Unapplied(ctx context.Context) (unapplied []churn.FeedbackEvent, err error) {
	w.heardLock.Lock()
	since := w.heard
	w.heardLock.Unlock()
	asked := time.Now() // as the server stamps what it stores, also where our own clock is simulated
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"since": timeParameter(known(since))})
	unapplied, err = w.feedback(ctx, "feedback_unapplied", parameters)
	if err != nil {
		return nil, fmt.Errorf("reading what feedback is to be applied: %w", err)
	}
	if len(unapplied) == 0 { // all before is done with: what comes later is stored later
		w.heardLock.Lock()
		w.heard = asked.Add(-slack)
		w.heardLock.Unlock()
	}
	return unapplied, nil
}

// FeedbackKnown returns what people did and was known after an instant and until another, in the order of knowing.
func (w *Warehouse) FeedbackKnown(ctx context.Context, from, to time.Time) ([]churn.FeedbackEvent, error) {
	known, err := w.feedback(ctx, "feedback_known", clickhouse.WithParameters(clickhouse.Parameters{"from": timeParameter(from), "to": timeParameter(to)}))
	if err != nil {
		return nil, fmt.Errorf("reading feedback of the past: %w", err)
	}
	return known, nil
}

func (w *Warehouse) feedback(ctx context.Context, name string, parameters clickhouse.QueryOption) (all []churn.FeedbackEvent, err error) {
	err = w.each(ctx, name, parameters, func(scan func(...any) error) error {
		var f churn.FeedbackEvent
		var action, disposition string
		var episode uint32
		err := scan(&f.EventID, &f.Fingerprint, &episode, &action, &f.By, &f.Reason, &disposition, &f.Until, &f.OccurredAt, &f.KnownAt)
		f.Episode, f.Action, f.Disposition = int(episode), churn.Action(action), churn.Disposition(disposition)
		told(&f.Until, &f.OccurredAt, &f.KnownAt)
		all = append(all, f)
		return err
	})
	return all, err
}
