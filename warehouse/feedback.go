package warehouse

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftershock/aftershock/churn"
)

// NewFeedbackBatch makes an empty batch of feedback.
func (w *Warehouse) NewFeedbackBatch() churn.Batch[churn.FeedbackEvent] { return feedbackEvents.open() }

// InsertFeedback stores batches of NewFeedbackBatch, as InsertDeals does.
func (w *Warehouse) InsertFeedback(ctx context.Context, token string, known time.Time, batches []churn.Batch[churn.FeedbackEvent]) error {
	return feedbackEvents.insertAll(ctx, w, token, known, batches)
}

var feedbackEvents = events[churn.FeedbackEvent]{
	what: "feedback records", stamp: func(e *churn.FeedbackEvent) *churn.Stamp { return &e.Stamp },
	table: table[churn.FeedbackEvent]{"feedback", slices.Concat(feedbackColumns, stampColumns(func(e *churn.FeedbackEvent) *churn.Stamp { return &e.Stamp }))},
}

// feedbackColumns are the columns of what a person did; feedbackFound adds when it became known, which is read too.
var (
	feedbackColumns = []column[churn.FeedbackEvent]{
		both("event_id", texts, func(f *churn.FeedbackEvent) *string { return &f.EventID }),
		both("fingerprint", texts, func(f *churn.FeedbackEvent) *string { return &f.Fingerprint }),
		both("episode", uint32s, func(f *churn.FeedbackEvent) *int { return &f.Episode }),
		both("action", words, func(f *churn.FeedbackEvent) *churn.Action { return &f.Action }),
		both("by", texts, func(f *churn.FeedbackEvent) *string { return &f.By }),
		both("reason", texts, func(f *churn.FeedbackEvent) *string { return &f.Reason }),
		both("disposition", words, func(f *churn.FeedbackEvent) *churn.Disposition { return &f.Disposition }),
		both("snoozed_until", instantsOrZero, func(f *churn.FeedbackEvent) *time.Time { return &f.Until }),
		both("occurred_at", instantsOrZero, func(f *churn.FeedbackEvent) *time.Time { return &f.OccurredAt }),
	}
	feedbackFound = append(slices.Clip(feedbackColumns), get("known_at", instantsOrZero, func(f *churn.FeedbackEvent) *time.Time { return &f.KnownAt }))
)

// slack is how far apart the clocks of this machine and of the server may be.
const slack = time.Hour

// Unapplied returns the feedback that no entry of the alert log answers yet, in the order in which it became known.
func (w *Warehouse) Unapplied(ctx context.Context) (unapplied []churn.FeedbackEvent, err error) {
	w.heardLock.Lock()
	since := w.heard
	w.heardLock.Unlock()
	asked := time.Now() // the real time, as the server stamps rows, even where our own clock is simulated
	unapplied, err = all(ctx, w, "feedback_unapplied", feedbackFound, clickhouse.Parameters{"since": timeParameter(known(since))})
	if err != nil {
		return nil, fmt.Errorf("reading the feedback to apply: %w", err)
	}
	if len(unapplied) == 0 { // everything until now is answered, and what comes later is stored later
		w.heardLock.Lock()
		w.heard = asked.Add(-slack)
		w.heardLock.Unlock()
	}
	return unapplied, nil
}

// FeedbackKnown returns the feedback that became known after one instant and until another, in that order.
func (w *Warehouse) FeedbackKnown(ctx context.Context, from, to time.Time) ([]churn.FeedbackEvent, error) {
	known, err := all(ctx, w, "feedback_known", feedbackFound, clickhouse.Parameters{"from": timeParameter(from), "to": timeParameter(to)})
	if err != nil {
		return nil, fmt.Errorf("reading feedback of the past: %w", err)
	}
	return known, nil
}
