package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftershock/aftershock/churn/alert"
)

// Topics lists every topic that the log has transitions for.
func (w *Warehouse) Topics(ctx context.Context) ([]string, error) {
	return all(ctx, w, "outbox_topics", lone("topic"), nil)
}

// Latest calls do with the latest transition of each fingerprint that each group has for each topic, and the number of the
// group's last entry about it. The transitions carry only what identifies them and where they go.
func (w *Warehouse) Latest(ctx context.Context, do func(group string, n int64, t alert.Transition) error) error {
	return w.outgoing(ctx, "outbox_latest", nil, do)
}

// Unnoted does the same with every transition that has no recorded delivery to the destination.
func (w *Warehouse) Unnoted(ctx context.Context, destination string, do func(group string, n int64, t alert.Transition) error) error {
	return w.outgoing(ctx, "outbox_unnoted", clickhouse.Parameters{"destination": destination}, do)
}

func (w *Warehouse) outgoing(ctx context.Context, name string, parameters clickhouse.Parameters, do func(string, int64, alert.Transition) error) error {
	for r, err := range each(ctx, w, name, outgoingRow, parameters) {
		if err == nil {
			err = do(r.entry.Group, r.entry.N, r.t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// order says which transition of an alert it is, place also where it goes; outgoingRow adds the entry that brought it.
var (
	order = []column[logRow]{
		get("fingerprint", texts, func(r *logRow) *string { return &r.t.Fingerprint }),
		get("episode", uint32s, func(r *logRow) *int { return &r.t.Episode }),
		get("sequence", uint32s, func(r *logRow) *int { return &r.t.Sequence }),
	}
	place = append(slices.Clip(order),
		get("topic", words, func(r *logRow) *string { return &r.t.Topic }),
		get("key", texts, func(r *logRow) *string { return &r.t.Key }),
		get("transition_id", texts, func(r *logRow) *string { return &r.t.ID }))
	outgoingRow = append(slices.Clip(place),
		get("group_name", words, func(r *logRow) *string { return &r.entry.Group }),
		get("n", uint64s, func(r *logRow) *int64 { return &r.entry.N }))
)

// Noted calls do with the greatest (episode, sequence) of each fingerprint that has a recorded delivery to the destination.
func (w *Warehouse) Noted(ctx context.Context, destination string, do func(alert.Transition) error) error {
	for r, err := range each(ctx, w, "outbox_noted", order, clickhouse.Parameters{"destination": destination}) {
		if err == nil {
			err = do(r.t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Ended returns the last published transition of alerts that were resolved before an instant and that have no recorded delivery to the
// destination: at most limit, in the order of fingerprints, after the given one.
func (w *Warehouse) Ended(ctx context.Context, destination string, before time.Time, after string, limit int) (ended []alert.Transition, err error) {
	for r, err := range each(ctx, w, "outbox_ended", place, clickhouse.Parameters{
		"destination": destination, "before": timeParameter(before), "after": after, "limit": strconv.Itoa(limit),
	}) {
		if err != nil {
			return nil, fmt.Errorf("reading which alerts ended long ago: %w", err)
		}
		ended = append(ended, r.t)
	}
	return ended, nil
}

// Begin returns since when the destination has been delivered to. A new destination begins at the given instant: what the log took in
// before then is recorded as earlier.
func (w *Warehouse) Begin(ctx context.Context, destination string, at time.Time) (since time.Time, err error) {
	parameters := clickhouse.Parameters{"destination": destination, "at": timeParameter(at)}
	_, err = w.one(ctx, "destination_begun", parameters, &since)
	if err != nil || !since.IsZero() {
		return since.UTC(), err
	}
	if err := w.exec(ctx, "note_earlier", parameters); err != nil {
		return since, fmt.Errorf("beginning deliveries to %s: %w", destination, err)
	}
	return at, w.Delivered(ctx, destination, at, []alert.Delivery{{Outcome: alert.DeliveryBegun}})
}

// Standing returns the alerts that were published and are not over: of each fingerprint the latest published transition.
func (w *Warehouse) Standing(ctx context.Context) ([]alert.Transition, error) {
	return w.transitions(ctx, "reading which alerts are open", "log_standing", nil)
}

// Week returns what a digest is made of: the state at `to` of the alerts that were open then or ended since `from`, those with most
// value at risk first.
func (w *Warehouse) Week(ctx context.Context, from, to time.Time) ([]alert.Transition, error) {
	return w.transitions(ctx, "reading the alerts of a week", "alerts_of_week", clickhouse.Parameters{"from": timeParameter(from), "to": timeParameter(to)})
}
