package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/shopspring/decimal"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// logRow is one row of alert_log: row 0 of an entry is its marker, the others are its transitions.
type logRow struct {
	entry *alert.Entry
	i     uint32
	alert.Transition
}

// Append claims the next entry of the group and stores it, all or nothing. It reports whether this writer won: the first
// insert of a token wins, and what stands there is read back, so that exactly one of many writers is told so.
func (w *Warehouse) Append(ctx context.Context, e alert.Entry) (mine bool, err error) {
	if next, err := w.isNext(ctx, e.Group, e.N); err != nil || !next {
		return false, err
	}
	rows := make([]logRow, 1, len(e.Transitions)+1)
	rows[0] = logRow{entry: &e}
	for i, t := range e.Transitions {
		rows = append(rows, logRow{&e, uint32(i + 1), t})
	}
	doing := fmt.Sprintf("appending entry %d of group %s to the alert log", e.N, e.Group)
	token := fmt.Sprintf("%s/%d", e.Group, e.N)
	// gofail: var logBeforeClaim struct{}
	if err := w.insert(ctx, doing, "insert_log", token, len(rows), logColumns(rows, w.clock())); err != nil {
		return false, err
	}
	// gofail: var logAfterClaim struct{}
	winner := ""
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"group": e.Group, "n": strconv.FormatInt(e.N, 10)})
	err = w.each(ctx, "log_writer", parameters, func(scan func(...any) error) error { return scan(&winner) })
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

// trusted is how long this process need not look whether an entry is still the last: far less than it takes to append so
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
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"group": group})
	err := w.each(ctx, "last_entry", parameters, func(scan func(...any) error) error { return scan(&n) })
	return int64(n), err
}

// State returns the last entry of a group (its N is 0 where there is none) without its transitions, and where each of the
// group's alerts stands: the latest transition of each fingerprint.
func (w *Warehouse) State(ctx context.Context, group string) (alert.Entry, []alert.Transition, error) {
	last := alert.Entry{Group: group}
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"group": group})
	err := w.eachLog(ctx, "last_marker", parameters, func(e alert.Entry, _ uint32, _ alert.Transition) {
		last = e
	})
	if err != nil {
		return last, nil, fmt.Errorf("reading the last entry of group %s: %w", group, err)
	}
	var standing []alert.Transition
	err = w.eachLog(ctx, "log_state", parameters, func(_ alert.Entry, _ uint32, t alert.Transition) {
		standing = append(standing, t)
	})
	if err != nil {
		return last, nil, fmt.Errorf("reading the alerts of group %s: %w", group, err)
	}
	return last, standing, nil
}

// Groups lists every group that ever appended an entry.
func (w *Warehouse) Groups(ctx context.Context) ([]string, error) {
	var groups []string
	err := w.each(ctx, "log_groups", clickhouse.WithParameters(nil), func(scan func(...any) error) error {
		var group string
		err := scan(&group)
		groups = append(groups, group)
		return err
	})
	return groups, err
}

// Published lists entries that have something to publish, in the order of the log, after the given N of each group.
func (w *Warehouse) Published(ctx context.Context, after map[string]int64, limit int) ([]alert.Entry, error) {
	groups := make([]string, 0, len(after))
	for group := range after {
		groups = append(groups, group)
	}
	slices.Sort(groups)
	names, ns := []string{}, []int64{}
	for _, group := range groups {
		names, ns = append(names, group), append(ns, after[group])
	}
	parameters := clickhouse.WithParameters(clickhouse.Parameters{
		"groups": stringArray(names), "ns": int64Array(ns), "limit": strconv.Itoa(limit),
	})
	var entries []alert.Entry
	err := w.eachLog(ctx, "log_published", parameters, func(e alert.Entry, _ uint32, t alert.Transition) {
		if n := len(entries); n == 0 || entries[n-1].Group != e.Group || entries[n-1].N != e.N {
			entries = append(entries, e)
		}
		last := &entries[len(entries)-1]
		last.Transitions = append(last.Transitions, t)
	})
	if err != nil {
		return nil, fmt.Errorf("reading what is to be published: %w", err)
	}
	return entries, nil
}

// Delivered notes what became of transitions at a destination.
func (w *Warehouse) Delivered(ctx context.Context, destination string, at time.Time, deliveries []alert.Delivery) error {
	type D = alert.Delivery
	return w.insert(ctx, "noting deliveries", "insert_deliveries", "", len(deliveries), []any{
		column(deliveries, func(*D) string { return destination }),
		column(deliveries, func(d *D) string { return d.ID }),
		column(deliveries, func(d *D) string { return d.Fingerprint }),
		column(deliveries, func(d *D) uint32 { return uint32(d.Episode) }),
		column(deliveries, func(d *D) uint32 { return uint32(d.Sequence) }),
		column(deliveries, func(*D) time.Time { return at }),
		column(deliveries, func(d *D) string { return string(d.Outcome) }),
		column(deliveries, func(d *D) string { return d.Detail }),
	})
}

// eachLog reads rows of alert_log in the column order of queries/log_row.sql.
func (w *Warehouse) eachLog(ctx context.Context, name string, option clickhouse.QueryOption, row func(alert.Entry, uint32, alert.Transition)) error {
	return w.each(ctx, name, option, func(scan func(...any) error) error {
		var e alert.Entry
		var t alert.Transition
		var n uint64
		var i, episode, sequence uint32
		var appended time.Time
		var status, state, arm string
		var rules, statuses, errors, keys, values []string
		var started, finished []time.Time
		var counts []uint64
		var resolved *time.Time
		var atRisk *decimal.Decimal
		var value, disposition, toldState, untold string
		var toldEpisode, toldThisWeek uint32
		var feedback, outcomes []string
		err := scan(&e.Group, &n, &i, &e.Writer, &appended, &e.Tick, &e.At, &status, &e.Reason,
			&rules, &started, &finished, &counts, &statuses, &errors,
			&t.ID, &t.Fingerprint, &episode, &sequence, &t.Rule, &t.RuleVersion, &state, &t.Reason, &t.Severity, &t.Kind, &arm,
			&t.StartsAt, &resolved, &t.Late, &t.Identity, &t.AccountID, &t.ContractID, &t.Labels, &t.Annotations, &atRisk, &t.Currency,
			&t.Topic, &t.Key, &keys, &values, &value,
			&t.HappenedAt, &t.HeldSince, &t.SnoozedUntil, &t.Closed, &t.Escalated, &t.FeedbackID, &t.By, &t.Why, &disposition,
			&toldEpisode, &toldState, &t.Told.First, &t.Told.Last, &toldThisWeek, &untold, &feedback, &outcomes)
		if err != nil {
			return err
		}
		e.N, e.Status, e.Tick, e.At = int64(n), alert.TickStatus(status), e.Tick.UTC(), e.At.UTC()
		for j := range rules {
			e.Runs = append(e.Runs, alert.Run{Rule: rules[j], Started: started[j].UTC(), Finished: finished[j].UTC(), Rows: int(counts[j]), Status: statuses[j], Error: errors[j]})
		}
		t.At, t.StartsAt = e.At, t.StartsAt.UTC()
		t.Episode, t.Sequence, t.State, t.Arm = int(episode), int(sequence), alert.State(state), alert.Arm(arm)
		if resolved != nil {
			t.ResolvedAt = resolved.UTC()
		}
		if atRisk != nil {
			if t.ValueAtRisk, err = churn.Money(atRisk.String()); err != nil {
				return err
			}
		}
		for j := range keys {
			t.Headers = append(t.Headers, alert.Header{Key: keys[j], Value: values[j]})
		}
		t.Value = []byte(value)
		t.Disposition, t.Untold = churn.Disposition(disposition), alert.Untold(untold)
		t.Told.Episode, t.Told.State, t.Told.ThisWeek = int(toldEpisode), alert.State(toldState), int(toldThisWeek)
		told(&t.HappenedAt, &t.HeldSince, &t.SnoozedUntil, &t.Told.First, &t.Told.Last)
		for j := range feedback {
			e.Feedback = append(e.Feedback, churn.FeedbackOutcome{EventID: feedback[j], Outcome: outcomes[j]})
		}
		row(e, i, t)
		return nil
	})
}

func logColumns(rows []logRow, now time.Time) []any {
	type R = logRow
	// The marker alone carries the runs.
	runs := func(r *R) []alert.Run {
		if r.i > 0 {
			return nil
		}
		return r.entry.Runs
	}
	header := func(r *R) []alert.Header { return r.Headers }
	feedback := func(r *R) []churn.FeedbackOutcome {
		if r.i > 0 {
			return nil
		}
		return r.entry.Feedback
	}
	return []any{
		column(rows, func(r *R) string { return r.entry.Group }),
		column(rows, func(r *R) uint64 { return uint64(r.entry.N) }),
		column(rows, func(r *R) uint32 { return r.i }),
		column(rows, func(r *R) string { return r.entry.Writer }),
		column(rows, func(*R) time.Time { return now }),
		column(rows, func(r *R) time.Time { return r.entry.Tick }),
		column(rows, func(r *R) time.Time { return r.entry.At }),
		column(rows, func(r *R) string { return string(r.entry.Status) }),
		column(rows, func(r *R) string { return r.entry.Reason }),
		each(rows, runs, func(r *alert.Run) string { return r.Rule }),
		each(rows, runs, func(r *alert.Run) time.Time { return r.Started }),
		each(rows, runs, func(r *alert.Run) time.Time { return r.Finished }),
		each(rows, runs, func(r *alert.Run) uint64 { return uint64(r.Rows) }),
		each(rows, runs, func(r *alert.Run) string { return r.Status }),
		each(rows, runs, func(r *alert.Run) string { return r.Error }),
		column(rows, func(r *R) string { return r.ID }),
		column(rows, func(r *R) string { return r.Fingerprint }),
		column(rows, func(r *R) uint32 { return uint32(r.Episode) }),
		column(rows, func(r *R) uint32 { return uint32(r.Sequence) }),
		column(rows, func(r *R) string { return r.Rule }),
		column(rows, func(r *R) string { return r.RuleVersion }),
		column(rows, func(r *R) string { return string(r.State) }),
		column(rows, func(r *R) string { return r.Reason }),
		column(rows, func(r *R) string { return r.Severity }),
		column(rows, func(r *R) string { return r.Kind }),
		column(rows, func(r *R) string { return string(r.Arm) }),
		column(rows, func(r *R) time.Time { return known(r.StartsAt) }),
		column(rows, func(r *R) *time.Time {
			if r.ResolvedAt.IsZero() {
				return nil
			}
			return &r.ResolvedAt
		}),
		column(rows, func(r *R) bool { return r.Late }),
		column(rows, func(r *R) map[string]string { return orEmpty(r.Identity) }),
		column(rows, func(r *R) string { return r.AccountID }),
		column(rows, func(r *R) string { return r.ContractID }),
		column(rows, func(r *R) map[string]string { return orEmpty(r.Labels) }),
		column(rows, func(r *R) map[string]string { return orEmpty(r.Annotations) }),
		column(rows, func(r *R) *decimal.Decimal { return amount(r.ValueAtRisk) }),
		column(rows, func(r *R) string { return r.Currency }),
		column(rows, func(r *R) string { return r.Topic }),
		column(rows, func(r *R) string { return r.Key }),
		each(rows, header, func(h *alert.Header) string { return h.Key }),
		each(rows, header, func(h *alert.Header) string { return h.Value }),
		column(rows, func(r *R) string { return string(r.Value) }),
		column(rows, func(r *R) time.Time { return known(r.HappenedAt) }),
		column(rows, func(r *R) time.Time { return known(r.HeldSince) }),
		column(rows, func(r *R) time.Time { return known(r.SnoozedUntil) }),
		column(rows, func(r *R) bool { return r.Closed }),
		column(rows, func(r *R) bool { return r.Escalated }),
		column(rows, func(r *R) string { return r.FeedbackID }),
		column(rows, func(r *R) string { return r.By }),
		column(rows, func(r *R) string { return r.Why }),
		column(rows, func(r *R) string { return string(r.Disposition) }),
		column(rows, func(r *R) uint32 { return uint32(r.Told.Episode) }),
		column(rows, func(r *R) string { return string(r.Told.State) }),
		column(rows, func(r *R) time.Time { return known(r.Told.First) }),
		column(rows, func(r *R) time.Time { return known(r.Told.Last) }),
		column(rows, func(r *R) uint32 { return uint32(r.Told.ThisWeek) }),
		column(rows, func(r *R) string { return string(r.Untold) }),
		each(rows, feedback, func(f *churn.FeedbackOutcome) string { return f.EventID }),
		each(rows, feedback, func(f *churn.FeedbackOutcome) string { return f.Outcome }),
	}
}

// known keeps the zero time of a marker inside what DateTime64 can hold.
func known(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return t
}

// told reads what known wrote.
func told(instants ...*time.Time) {
	for _, t := range instants {
		if *t = t.UTC(); t.Unix() <= 0 {
			*t = time.Time{}
		}
	}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
