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
	return w.outgoing(ctx, "outbox_latest", outgoingRow, nil, func(r *logRow) error { return do(r.entry.Group, r.entry.N, r.t) })
}

// Unnoted does the same with every transition that has no recorded delivery to the destination.
func (w *Warehouse) Unnoted(ctx context.Context, destination string, do func(group string, n int64, t alert.Transition) error) error {
	return w.outgoing(ctx, "outbox_unnoted", outgoingRow, clickhouse.Parameters{"destination": destination}, func(r *logRow) error {
		return do(r.entry.Group, r.entry.N, r.t)
	})
}

// outgoing calls do with each row of a query.
func (w *Warehouse) outgoing(ctx context.Context, name string, columns []column[logRow], p clickhouse.Parameters, do func(*logRow) error) error {
	for r, err := range each(ctx, w, name, columns, p) {
		if err == nil {
			err = do(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// order says which transition of an alert it is, named also its id, place also where it goes; outgoingRow adds the entry that brought it.
var (
	order = []column[logRow]{
		get("fingerprint", texts, func(r *logRow) *string { return &r.t.Fingerprint }),
		get("episode", uint32s, func(r *logRow) *int { return &r.t.Episode }),
		get("sequence", uint32s, func(r *logRow) *int { return &r.t.Sequence }),
	}
	named = append(slices.Clip(order), get("transition_id", texts, func(r *logRow) *string { return &r.t.ID }))
	place = append(slices.Clip(named),
		get("topic", words, func(r *logRow) *string { return &r.t.Topic }),
		get("key", texts, func(r *logRow) *string { return &r.t.Key }))
	outgoingRow = append(slices.Clip(place),
		get("group_name", words, func(r *logRow) *string { return &r.entry.Group }),
		get("n", uint64s, func(r *logRow) *int64 { return &r.entry.N }))
)

// Noted calls do with the greatest (episode, sequence) of each fingerprint that has a recorded delivery to the destination.
func (w *Warehouse) Noted(ctx context.Context, destination string, do func(alert.Transition) error) error {
	return w.outgoing(ctx, "outbox_noted", order, clickhouse.Parameters{"destination": destination}, func(r *logRow) error { return do(r.t) })
}

// Refused calls do with every transition that the destination refused for good.
func (w *Warehouse) Refused(ctx context.Context, destination string, do func(alert.Transition) error) error {
	return w.outgoing(ctx, "outbox_refused", named, clickhouse.Parameters{"destination": destination}, func(r *logRow) error { return do(r.t) })
}

// Again returns how many refused deliveries somebody asked to be tried again.
func (w *Warehouse) Again(ctx context.Context, destination string) (n uint64, err error) {
	_, err = w.one(ctx, "outbox_again", clickhouse.Parameters{"destination": destination}, &n)
	return n, err
}

// DeliveryFilter says which deliveries to list; what is empty does not count.
type DeliveryFilter struct {
	Destination string
	Refused     bool     // only those that the destination refused
	IDs         []string // of transitions
	Limit       int      // of the latest; 0: all
}

// FoundDelivery is a delivery with what was to be delivered.
type FoundDelivery struct {
	Destination string                `json:"destination"`
	At          time.Time             `json:"at"`
	Outcome     alert.DeliveryOutcome `json:"outcome"`
	Detail      string                `json:"detail"` // of a refusal: what the destination answered
	ID          string                `json:"transition_id"`
	Fingerprint string                `json:"fingerprint"`
	Episode     int                   `json:"episode"`
	Sequence    int                   `json:"sequence"`
	Rule        string                `json:"rule"`
	State       alert.State           `json:"state"`
	AccountID   string                `json:"account_id"`
	Topic       string                `json:"topic"`
	Superseded  bool                  `json:"superseded"` // a later transition of the alert was published since
}

// Deliveries lists deliveries, the latest first.
func (w *Warehouse) Deliveries(ctx context.Context, f DeliveryFilter) ([]FoundDelivery, error) {
	if f.Limit <= 0 {
		f.Limit = 1 << 40
	}
	found, err := all(ctx, w, "deliveries_found", foundDelivery, clickhouse.Parameters{
		"destination": f.Destination, "refused": strconv.FormatBool(f.Refused), "ids": stringArray(f.IDs), "limit": strconv.Itoa(f.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing deliveries: %w", err)
	}
	return found, nil
}

var foundDelivery = []column[FoundDelivery]{
	get("destination", words, func(d *FoundDelivery) *string { return &d.Destination }),
	get("transition_id", texts, func(d *FoundDelivery) *string { return &d.ID }),
	get("fingerprint", texts, func(d *FoundDelivery) *string { return &d.Fingerprint }),
	get("episode", uint32s, func(d *FoundDelivery) *int { return &d.Episode }),
	get("sequence", uint32s, func(d *FoundDelivery) *int { return &d.Sequence }),
	get("delivered_at", instants, func(d *FoundDelivery) *time.Time { return &d.At }),
	get("outcome", words, func(d *FoundDelivery) *alert.DeliveryOutcome { return &d.Outcome }),
	get("detail", texts, func(d *FoundDelivery) *string { return &d.Detail }),
	get("rule", words, func(d *FoundDelivery) *string { return &d.Rule }),
	get("state", words, func(d *FoundDelivery) *alert.State { return &d.State }),
	get("account_id", texts, func(d *FoundDelivery) *string { return &d.AccountID }),
	get("topic", words, func(d *FoundDelivery) *string { return &d.Topic }),
	get("superseded", bools, func(d *FoundDelivery) *bool { return &d.Superseded }),
}

// SendAgain asks for another try of refused deliveries. The process that leads makes it within half a minute. The request stands right
// behind the refusal, whatever this machine's clock says, so that whatever comes of the try stands behind the request.
func (w *Warehouse) SendAgain(ctx context.Context, refused []FoundDelivery) error {
	rows := make([]deliveryRow, len(refused))
	for i, d := range refused {
		t := alert.Transition{ID: d.ID, Fingerprint: d.Fingerprint, Episode: d.Episode, Sequence: d.Sequence}
		rows[i] = deliveryRow{alert.Delivery{Transition: t, Outcome: alert.DeliveryAgain, Detail: d.Detail}, d.Destination, d.At.Add(time.Millisecond)}
	}
	return alertDeliveries.insertRows(ctx, w, "asking for deliveries to be tried again", "", rows)
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
