package warehouse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/shopspring/decimal"

	"github.com/aftershock/aftershock/churn"
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

// InsertDeals stores blocks of NewDealBlock in one insert, all or nothing, and stamps the events that nothing else dates. The
// token makes a plain retry of the same insert store nothing twice.
func (w *Warehouse) InsertDeals(ctx context.Context, token string, known time.Time, blocks []churn.Batch[churn.DealEvent]) error {
	return insertBlocks(ctx, w, "inserting %d deals", "insert_deals", token, known, blocks)
}

// InsertTickets stores blocks of NewTicketBlock, as InsertDeals does.
func (w *Warehouse) InsertTickets(ctx context.Context, token string, known time.Time, blocks []churn.Batch[churn.TicketEvent]) error {
	return insertBlocks(ctx, w, "inserting %d tickets", "insert_tickets", token, known, blocks)
}

// StoreDeals is InsertDeals for a few events that are there as values.
func (w *Warehouse) StoreDeals(ctx context.Context, token string, events []churn.DealEvent) error {
	return w.InsertDeals(ctx, token, w.clock(), blocksOf(w.NewDealBlock, events))
}

// StoreTickets is InsertTickets for a few events that are there as values.
func (w *Warehouse) StoreTickets(ctx context.Context, token string, events []churn.TicketEvent) error {
	return w.InsertTickets(ctx, token, w.clock(), blocksOf(w.NewTicketBlock, events))
}

func blocksOf[E any](open func() churn.Batch[E], events []E) []churn.Batch[E] {
	b := open()
	for i := range events {
		b.Add(&events[i])
	}
	return []churn.Batch[E]{b}
}

// StoreRejected inserts what was refused, all or nothing.
func (w *Warehouse) StoreRejected(ctx context.Context, token string, rejected []churn.Rejected) error {
	return w.insert(ctx, fmt.Sprintf("inserting %d rejected records", len(rejected)), "insert_rejected", token, len(rejected), rejectedColumns(rejected))
}

// insert sends whole columns as one block. Unequal lengths are refused here, because the driver may not notice.
func (w *Warehouse) insert(ctx context.Context, doing, name, token string, rows int, columns []any) (err error) {
	if rows == 0 {
		return nil
	}
	ctx, end := w.watched(ctx)
	defer func() { end(err) }()
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
		column(rejected, func(r *R) string { return r.Source }),
		column(rejected, func(r *R) time.Time { return r.KnownAt }),
		column(rejected, func(r *R) string { return r.ReplayOf }),
	}
}
