package warehouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// logRow is one row of alert_log: row 0 of an entry is its marker, the others are its transitions in order.
type logRow struct {
	entry    alert.Entry // without its transitions; only the marker has its runs and the feedback that it answers
	i        uint32
	appended time.Time
	t        alert.Transition
}

// logRows are the rows of an entry.
func logRows(e alert.Entry, appended time.Time) []logRow {
	transitions := e.Transitions
	e.Transitions = nil
	rows := make([]logRow, 1, len(transitions)+1)
	rows[0] = logRow{entry: e, appended: appended}
	e.Runs, e.Feedback = nil, nil
	for i, t := range transitions {
		rows = append(rows, logRow{e, uint32(i + 1), appended, t})
	}
	return rows
}

// Append claims the next entry of the group and stores it, all or nothing. It reports whether this writer won: the first
// insert with a token wins, and the entry is read back, so that exactly one of several writers is told that it won.
func (w *Warehouse) Append(ctx context.Context, e alert.Entry) (mine bool, err error) {
	if next, err := w.isNext(ctx, e.Group, e.N); err != nil || !next {
		return false, err
	}
	doing := fmt.Sprintf("appending entry %d of group %s to the alert log", e.N, e.Group)
	token := fmt.Sprintf("%s/%d", e.Group, e.N)
	// gofail: var logBeforeClaim struct{}
	if err := alertLog.insertRows(ctx, w, doing, token, logRows(e, w.clock())); err != nil {
		return false, err
	}
	// gofail: var logAfterClaim struct{}
	winner := ""
	_, err = w.one(ctx, "log_writer", clickhouse.Parameters{"group": e.Group, "n": strconv.FormatInt(e.N, 10)}, &winner)
	if err != nil {
		return false, fmt.Errorf("%s: reading it back: %w", doing, err)
	}
	if winner == e.Writer {
		w.remember(e.Group, e.N)
	}
	return winner == e.Writer, nil
}

// won is an entry that this process appended, and when.
type won struct {
	n  int64
	at time.Time
}

// trusted is for how long this process need not check that its entry is still the last: far less than it takes to append so
// many entries that the server forgets a token.
const trusted = 10 * time.Second

// isNext checks n against the log: beyond the deduplication window the server has forgotten the tokens, and only the log
// itself knows. Right after an append of our own the token alone decides.
func (w *Warehouse) isNext(ctx context.Context, group string, n int64) (bool, error) {
	w.wonLock.Lock()
	mine := w.won[group]
	w.wonLock.Unlock()
	if mine.n == n-1 && n > 1 && time.Since(mine.at) < trusted {
		return true, nil
	}
	last, err := w.lastEntry(ctx, group)
	return last+1 == n, err
}

func (w *Warehouse) remember(group string, n int64) {
	w.wonLock.Lock()
	defer w.wonLock.Unlock()
	w.won[group] = won{n, time.Now()}
}

func (w *Warehouse) lastEntry(ctx context.Context, group string) (int64, error) {
	var n uint64
	_, err := w.one(ctx, "last_entry", clickhouse.Parameters{"group": group}, &n)
	return int64(n), err
}

// State returns the last entry of a group (its N is 0 if there is none) without its transitions, and the state of each of the
// group's alerts: the latest transition of each fingerprint.
func (w *Warehouse) State(ctx context.Context, group string) (alert.Entry, []alert.Transition, error) {
	last, parameters := alert.Entry{Group: group}, clickhouse.Parameters{"group": group}
	for r, err := range each(ctx, w, "last_marker", alertLog.columns, parameters) {
		if err != nil {
			return last, nil, fmt.Errorf("reading the last entry of group %s: %w", group, err)
		}
		last = r.entry
	}
	standing, err := w.transitions(ctx, "reading the alerts of group "+group, "log_state", parameters)
	return last, standing, err
}

// Groups lists every group that has ever appended an entry.
func (w *Warehouse) Groups(ctx context.Context) ([]string, error) {
	return all(ctx, w, "log_groups", lone("group_name"), nil)
}

// Published returns the entries with something to publish, in the order of the log, after the given N of each group.
func (w *Warehouse) Published(ctx context.Context, after map[string]int64, limit int) ([]alert.Entry, error) {
	groups, ns := slices.Sorted(maps.Keys(after)), []int64{}
	for _, group := range groups {
		ns = append(ns, after[group])
	}
	var entries []alert.Entry
	parameters := clickhouse.Parameters{"groups": stringArray(groups), "ns": int64Array(ns), "limit": strconv.Itoa(limit)}
	for r, err := range each(ctx, w, "log_published", alertLog.columns, parameters) {
		if err != nil {
			return nil, fmt.Errorf("reading what is to be published: %w", err)
		}
		if n := len(entries); n == 0 || entries[n-1].Group != r.entry.Group || entries[n-1].N != r.entry.N {
			entries = append(entries, r.entry)
		}
		last := &entries[len(entries)-1]
		last.Transitions = append(last.Transitions, r.transition())
	}
	return entries, nil
}

// Delivered records what became of transitions at a destination.
func (w *Warehouse) Delivered(ctx context.Context, destination string, at time.Time, deliveries []alert.Delivery) error {
	rows := make([]deliveryRow, len(deliveries))
	for i, d := range deliveries {
		rows[i] = deliveryRow{d, destination, at}
	}
	return alertDeliveries.insertRows(ctx, w, "recording deliveries", "", rows)
}

// deliveryRow is one row of alert_deliveries.
type deliveryRow struct {
	alert.Delivery
	destination string
	at          time.Time
}

var alertDeliveries = table[deliveryRow]{"alert_deliveries", []column[deliveryRow]{
	put("destination", words, func(d *deliveryRow) string { return d.destination }),
	put("transition_id", texts, func(d *deliveryRow) string { return d.ID }),
	put("fingerprint", texts, func(d *deliveryRow) string { return d.Fingerprint }),
	put("episode", uint32s, func(d *deliveryRow) int { return d.Episode }),
	put("sequence", uint32s, func(d *deliveryRow) int { return d.Sequence }),
	put("delivered_at", instants, func(d *deliveryRow) time.Time { return d.at }),
	put("outcome", words, func(d *deliveryRow) alert.DeliveryOutcome { return d.Outcome }),
	put("detail", texts, func(d *deliveryRow) string { return d.Detail }),
}}

// transitions reads rows of alert_log, or of a view over it, that have the columns of alertLog.
func (w *Warehouse) transitions(ctx context.Context, doing, name string, p clickhouse.Parameters) (found []alert.Transition, err error) {
	for r, err := range each(ctx, w, name, alertLog.columns, p) {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		found = append(found, r.transition())
	}
	return found, nil
}

// transition is the row's, at the instant of its entry.
func (r *logRow) transition() alert.Transition {
	r.t.At, r.t.Part = r.entry.At, r.entry.Status == alert.TickPart
	return r.t
}

// alertLog has the log's columns: Append and every read go by this one list.
var alertLog = table[logRow]{"alert_log", []column[logRow]{
	both("group_name", words, func(r *logRow) *string { return &r.entry.Group }),
	both("n", uint64s, func(r *logRow) *int64 { return &r.entry.N }),
	both("i", uint32s, func(r *logRow) *uint32 { return &r.i }),
	both("writer", texts, func(r *logRow) *string { return &r.entry.Writer }),
	both("appended_at", instants, func(r *logRow) *time.Time { return &r.appended }),
	both("tick", instants, func(r *logRow) *time.Time { return &r.entry.Tick }),
	both("at", instants, func(r *logRow) *time.Time { return &r.entry.At }),
	both("tick_status", words, func(r *logRow) *alert.TickStatus { return &r.entry.Status }),
	both("tick_reason", texts, func(r *logRow) *string { return &r.entry.Reason }),
	bothEach("run_rules", texts, runs, func(r *alert.Run) *string { return &r.Rule }),
	bothEach("run_started", instants, runs, func(r *alert.Run) *time.Time { return &r.Started }),
	bothEach("run_finished", instants, runs, func(r *alert.Run) *time.Time { return &r.Finished }),
	bothEach("run_rows", uint64s, runs, func(r *alert.Run) *int { return &r.Rows }),
	bothEach("run_status", texts, runs, func(r *alert.Run) *string { return &r.Status }),
	bothEach("run_errors", texts, runs, func(r *alert.Run) *string { return &r.Error }),
	both("transition_id", texts, func(r *logRow) *string { return &r.t.ID }),
	both("fingerprint", texts, func(r *logRow) *string { return &r.t.Fingerprint }),
	both("episode", uint32s, func(r *logRow) *int { return &r.t.Episode }),
	both("sequence", uint32s, func(r *logRow) *int { return &r.t.Sequence }),
	both("rule", words, func(r *logRow) *string { return &r.t.Rule }),
	both("rule_version", words, func(r *logRow) *string { return &r.t.RuleVersion }),
	both("state", words, func(r *logRow) *alert.State { return &r.t.State }),
	both("reason", words, func(r *logRow) *string { return &r.t.Reason }),
	both("severity", words, func(r *logRow) *string { return &r.t.Severity }),
	both("kind", words, func(r *logRow) *string { return &r.t.Kind }),
	both("arm", words, func(r *logRow) *alert.Arm { return &r.t.Arm }),
	both("starts_at", instants, func(r *logRow) *time.Time { return &r.t.StartsAt }),
	both("resolved_at", instantsOrNull, func(r *logRow) *time.Time { return &r.t.ResolvedAt }),
	both("late", bools, func(r *logRow) *bool { return &r.t.Late }),
	both("identity", dictionaries, func(r *logRow) *map[string]string { return &r.t.Identity }),
	both("account_id", texts, func(r *logRow) *string { return &r.t.AccountID }),
	both("contract_id", texts, func(r *logRow) *string { return &r.t.ContractID }),
	both("labels", dictionaries, func(r *logRow) *map[string]string { return &r.t.Labels }),
	both("annotations", dictionaries, func(r *logRow) *map[string]string { return &r.t.Annotations }),
	both("value_at_risk", money, func(r *logRow) *churn.OptionalMoney { return &r.t.ValueAtRisk }),
	both("currency", words, func(r *logRow) *string { return &r.t.Currency }),
	both("topic", words, func(r *logRow) *string { return &r.t.Topic }),
	both("key", texts, func(r *logRow) *string { return &r.t.Key }),
	bothEach("header_keys", texts, headers, func(h *alert.Header) *string { return &h.Key }),
	bothEach("header_values", texts, headers, func(h *alert.Header) *string { return &h.Value }),
	both("value", blobs, func(r *logRow) *[]byte { return &r.t.Value }),
	both("happened_at", instantsOrZero, func(r *logRow) *time.Time { return &r.t.HappenedAt }),
	both("held_since", instantsOrZero, func(r *logRow) *time.Time { return &r.t.HeldSince }),
	both("snoozed_until", instantsOrZero, func(r *logRow) *time.Time { return &r.t.SnoozedUntil }),
	both("closed", bools, func(r *logRow) *bool { return &r.t.Closed }),
	both("escalated", bools, func(r *logRow) *bool { return &r.t.Escalated }),
	both("feedback_id", texts, func(r *logRow) *string { return &r.t.FeedbackID }),
	both("feedback_by", texts, func(r *logRow) *string { return &r.t.By }),
	both("feedback_reason", texts, func(r *logRow) *string { return &r.t.Why }),
	both("disposition", words, func(r *logRow) *churn.Disposition { return &r.t.Disposition }),
	both("told_episode", uint32s, func(r *logRow) *int { return &r.t.Notified.Episode }),
	both("told_state", words, func(r *logRow) *alert.State { return &r.t.Notified.State }),
	both("told_first", instantsOrZero, func(r *logRow) *time.Time { return &r.t.Notified.First }),
	both("told_last", instantsOrZero, func(r *logRow) *time.Time { return &r.t.Notified.Last }),
	both("told_this_week", uint32s, func(r *logRow) *int { return &r.t.Notified.ThisWeek }),
	both("untold", words, func(r *logRow) *alert.Suppressed { return &r.t.Suppressed }),
	bothEach("feedback_ids", texts, answers, func(f *churn.FeedbackOutcome) *string { return &f.EventID }),
	bothEach("feedback_outcomes", texts, answers, func(f *churn.FeedbackOutcome) *string { return &f.Outcome }),
}}

func runs(r *logRow) *[]alert.Run { return &r.entry.Runs }

func headers(r *logRow) *[]alert.Header { return &r.t.Headers }

func answers(r *logRow) *[]churn.FeedbackOutcome { return &r.entry.Feedback }
