package warehouse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/aftershock/aftershock/churn"
	"github.com/shopspring/decimal"
)

// refused says that the server or the driver found fault with the rows themselves: trying again cannot help.
type refused struct{ error }

// RowRefused tells a caller to look for the guilty row instead of waiting.
func (refused) RowRefused() bool { return true }

func (r refused) Unwrap() error { return r.error }

// dataErrors are ClickHouse's codes for rows that it will never take. All others mean: wait and try again.
var dataErrors = map[int32]bool{
	6: true, 27: true, 38: true, 41: true, 53: true, 69: true, 70: true, 72: true, 117: true, 131: true,
	321: true, 349: true, 407: true, 469: true,
}

// StoreDeals inserts one chunk, all or nothing. The token makes a plain retry of the same chunk store nothing twice.
func (w *Warehouse) StoreDeals(ctx context.Context, token string, events []churn.DealEvent) error {
	return w.insert(ctx, fmt.Sprintf("inserting %d deals", len(events)), "insert_deals", token, len(events), dealColumns(events))
}

// StoreTickets inserts one chunk, all or nothing, as StoreDeals does.
func (w *Warehouse) StoreTickets(ctx context.Context, token string, events []churn.TicketEvent) error {
	return w.insert(ctx, fmt.Sprintf("inserting %d tickets", len(events)), "insert_tickets", token, len(events), ticketColumns(events))
}

// StoreRejected inserts what was refused, all or nothing.
func (w *Warehouse) StoreRejected(ctx context.Context, token string, rejected []churn.Rejected) error {
	return w.insert(ctx, fmt.Sprintf("inserting %d rejected records", len(rejected)), "insert_rejected", token, len(rejected), rejectedColumns(rejected))
}

// insert sends whole columns as one block. Unequal lengths are refused here, because the driver may not notice.
func (w *Warehouse) insert(ctx context.Context, doing, name, token string, rows int, columns []any) error {
	if rows == 0 {
		return nil
	}
	ctx, cancel := w.within(ctx)
	defer cancel()
	settings := clickhouse.Settings{
		"async_insert":       0,
		"insert_deduplicate": 1,
		// a retry fills in the tables behind materialised views that a failed first try did not reach
		"deduplicate_blocks_in_dependent_materialized_views": 1,
	}
	if token != "" {
		settings["insert_deduplication_token"] = token
	}
	batch, err := w.conn.PrepareBatch(clickhouse.Context(ctx, clickhouse.WithSettings(settings)), query(name))
	if err != nil {
		return w.explain(doing, err)
	}
	defer batch.Close()
	for i, column := range columns {
		if err := batch.Column(i).Append(column); err != nil {
			return refused{fmt.Errorf("%s: column %d: %w", doing, i, err)}
		}
	}
	for _, column := range batch.Columns() {
		if column.Rows() != rows {
			return fmt.Errorf("%s: column %s has %d of %d rows", doing, column.Name(), column.Rows(), rows)
		}
	}
	return w.sent(doing, batch.Send())
}

// sent tells rows at fault from a server that cannot take rows now.
func (w *Warehouse) sent(doing string, err error) error {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) && dataErrors[exception.Code] {
		return refused{fmt.Errorf("%s: %w", doing, err)}
	}
	return w.explain(doing, err)
}

// column makes one column of a chunk.
func column[E, V any](events []E, value func(*E) V) []V {
	values := make([]V, len(events))
	for i := range events {
		values[i] = value(&events[i])
	}
	return values
}

func amount(m churn.OptionalMoney) *decimal.Decimal {
	if !m.Known {
		return nil
	}
	d := decimal.New(m.Units(), -churn.MoneyScale)
	return &d
}

// each makes a list column out of what every event has several of.
func each[E, X, V any](events []E, list func(*E) []X, value func(*X) V) [][]V {
	return column(events, func(e *E) []V { return column(list(e), value) })
}

func dealColumns(events []churn.DealEvent) []any {
	type D = churn.DealEvent
	type C = churn.Contribution
	contributions := func(e *D) []C { return e.Hardness.Contributions }
	return []any{
		column(events, func(e *D) string { return e.AccountID }),
		column(events, func(e *D) string { return e.DealID }),
		column(events, func(e *D) string { return e.EventID }),
		column(events, func(e *D) int64 { return e.Revision }),
		column(events, func(e *D) time.Time { return e.OccurredAt }),
		column(events, func(e *D) string { return string(e.Hash[:]) }),
		column(events, func(e *D) time.Time { return e.KnownAt }),
		column(events, func(e *D) string { return e.AccountName }),
		column(events, func(e *D) string { return e.Segment }),
		column(events, func(e *D) string { return e.ContractID }),
		column(events, func(e *D) string { return e.RenewalOf }),
		column(events, func(e *D) string { return string(e.Type) }),
		column(events, func(e *D) string { return string(e.Outcome) }),
		column(events, func(e *D) string { return e.Currency }),
		column(events, func(e *D) *decimal.Decimal { return amount(e.SignedPrice) }),
		column(events, func(e *D) *decimal.Decimal { return amount(e.ListPrice) }),
		column(events, func(e *D) *decimal.Decimal { return amount(e.Anticipated) }),
		column(events, func(e *D) *decimal.Decimal { return amount(e.AnnualValue) }),
		column(events, func(e *D) uint16 { return uint16(e.TermMonths) }),
		column(events, func(e *D) time.Time { return e.ClosedAt }),
		column(events, func(e *D) time.Time { return churn.ContractEnd(e.ClosedAt, e.EndsAt, e.TermMonths) }),
		column(events, func(e *D) bool { return !e.EndsAt.IsZero() }),
		column(events, func(e *D) string { return e.Owners.AccountExecutive }),
		column(events, func(e *D) string { return e.Owners.AccountManager }),
		column(events, func(e *D) string { return e.Owners.Team }),
		column(events, func(e *D) bool { return e.Negotiation != nil }),
		column(events, func(e *D) *float64 {
			if e.Hardness.Band == churn.BandUnknown {
				return nil
			}
			return &e.Hardness.Score
		}),
		column(events, func(e *D) string { return string(e.Hardness.Band) }),
		column(events, func(e *D) float64 { return e.Hardness.Coverage }),
		each(events, contributions, func(c *C) string { return c.Component }),
		each(events, contributions, func(c *C) float64 { return c.Value }),
		each(events, contributions, func(c *C) float64 { return c.Points }),
		each(events, contributions, func(c *C) string { return c.Evidence }),
		column(events, func(e *D) []string { return e.Hardness.Missing }),
		column(events, func(e *D) *float64 { return e.Hardness.DiscountDepth }),
		column(events, func(e *D) string { return e.Hardness.ModelVersion }),
		column(events, func(e *D) string { return e.Source.System }),
		column(events, func(e *D) string { return e.Source.URL }),
		column(events, func(e *D) string { return e.Topic }),
		column(events, func(e *D) int32 { return int32(e.Partition) }),
		column(events, func(e *D) int64 { return e.Offset }),
		column(events, func(e *D) time.Time { return e.Time }),
		column(events, func(e *D) string { return string(e.Payload) }),
	}
}

func ticketColumns(events []churn.TicketEvent) []any {
	type T = churn.TicketEvent
	type F = churn.Finding
	findings := func(e *T) []F { return e.Attempt.Findings }
	return []any{
		column(events, func(e *T) string { return e.AccountID }),
		column(events, func(e *T) string { return e.TicketID }),
		column(events, func(e *T) string { return e.EventID }),
		column(events, func(e *T) int64 { return e.Revision }),
		column(events, func(e *T) time.Time { return e.OccurredAt }),
		column(events, func(e *T) string { return string(e.Hash[:]) }),
		column(events, func(e *T) time.Time { return e.KnownAt }),
		column(events, func(e *T) string { return e.ContractID }),
		column(events, func(e *T) time.Time { return e.OpenedAt }),
		column(events, func(e *T) string { return e.Status }),
		column(events, func(e *T) string { return e.Priority }),
		column(events, func(e *T) string { return e.Channel }),
		column(events, func(e *T) string { return e.Subject }),
		column(events, func(e *T) []string { return e.Tags }),
		column(events, func(e *T) string { return e.Category }),
		column(events, func(e *T) *float64 { return e.Satisfaction }),
		column(events, func(e *T) bool { return e.OutageRelated }),
		column(events, func(e *T) bool { return e.VendorError }),
		column(events, func(e *T) string { return e.Assignee }),
		column(events, func(e *T) bool { return len(e.Attempt.Findings) > 0 }),
		column(events, func(e *T) time.Time {
			if len(e.Attempt.Findings) == 0 {
				return e.OpenedAt
			}
			return e.Attempt.At
		}),
		each(events, findings, func(f *F) string { return f.Class }),
		each(events, findings, func(f *F) string { return string(f.Strength) }),
		each(events, findings, func(f *F) float64 { return f.Confidence }),
		each(events, findings, func(f *F) string { return f.Quote }),
		each(events, findings, func(f *F) string { return f.Rule }),
		each(events, findings, func(f *F) bool { return f.Confirmatory }),
		column(events, func(e *T) string { return e.Attempt.ModelVersion }),
		column(events, func(e *T) string { return e.Source.System }),
		column(events, func(e *T) string { return e.Source.URL }),
		column(events, func(e *T) string { return e.Topic }),
		column(events, func(e *T) int32 { return int32(e.Partition) }),
		column(events, func(e *T) int64 { return e.Offset }),
		column(events, func(e *T) time.Time { return e.Time }),
		column(events, func(e *T) string { return string(e.Payload) }),
	}
}

func rejectedColumns(rejected []churn.Rejected) []any {
	type R = churn.Rejected
	return []any{
		column(rejected, func(r *R) time.Time { return r.RejectedAt }),
		column(rejected, func(r *R) string { return r.Topic }),
		column(rejected, func(r *R) int32 { return int32(r.Partition) }),
		column(rejected, func(r *R) int64 { return r.Offset }),
		column(rejected, func(r *R) time.Time { return r.Time }),
		column(rejected, func(r *R) string { return string(r.Code) }),
		column(rejected, func(r *R) string { return r.Field }),
		column(rejected, func(r *R) string { return r.Reason }),
		column(rejected, func(r *R) string { return string(r.Key) }),
		column(rejected, func(r *R) uint64 { return uint64(r.Size) }),
		column(rejected, func(r *R) string { return string(r.Hash[:]) }),
		column(rejected, func(r *R) string { return r.Excerpt }),
	}
}
