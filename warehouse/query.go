package warehouse

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// ask runs queries/name.sql. Rows must be read before done is called.
func (w *Warehouse) ask(ctx context.Context, name string, p clickhouse.Parameters, tables ...*ext.Table) (rows driver.Rows, done func(), err error) {
	ctx, cancel := w.within(ctx)
	rows, err = w.conn.Query(clickhouse.Context(ctx, clickhouse.WithParameters(p), clickhouse.WithExternalTable(tables...)), query(name))
	if err != nil {
		cancel()
		return nil, nil, w.explain("running the query "+name, err)
	}
	return rows, func() { rows.Close(); cancel() }, nil
}

// one runs queries/name.sql, which returns at most one row, of few columns: they are scanned in the order of the file.
func (w *Warehouse) one(ctx context.Context, name string, p clickhouse.Parameters, cells ...any) (found bool, err error) {
	rows, done, err := w.ask(ctx, name, p)
	if err != nil {
		return false, err
	}
	defer done()
	if found = rows.Next(); found {
		if err := rows.Scan(cells...); err != nil {
			return false, fmt.Errorf("reading the row of the query %s: %w", name, err)
		}
	}
	return found, w.explain("reading the row of the query "+name, rows.Err())
}

// each runs queries/name.sql and yields its rows, or the error that ends them. Columns are read by name: the query may return them in any
// order, but must return each of them and no others.
func each[R any](ctx context.Context, w *Warehouse, name string, columns []column[R], p clickhouse.Parameters, tables ...*ext.Table) iter.Seq2[*R, error] {
	return func(yield func(*R, error) bool) {
		rows, done, err := w.ask(ctx, name, p, tables...)
		if err != nil {
			yield(nil, err)
			return
		}
		defer done()
		cells, take, err := byName(columns, rows.Columns())
		if err != nil {
			yield(nil, fmt.Errorf("reading the columns of the query %s: %w", name, err))
			return
		}
		for rows.Next() {
			r := new(R)
			if err = rows.Scan(cells...); err == nil {
				err = take(r)
			}
			if err != nil {
				yield(nil, fmt.Errorf("reading a row of the query %s: %w", name, err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, w.explain("reading the rows of the query "+name, err))
		}
	}
}

// all is each for few rows.
func all[R any](ctx context.Context, w *Warehouse, name string, columns []column[R], p clickhouse.Parameters, tables ...*ext.Table) (rows []R, err error) {
	for r, err := range each(ctx, w, name, columns, p, tables...) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, *r)
	}
	return rows, nil
}

// along is a table that a query is sent with.
func along[R any](name string, rows []R, cells func(R) []any, columns ...func(*ext.Table) error) (*ext.Table, error) {
	table, err := ext.NewTable(name, columns...)
	for _, r := range rows {
		if err == nil {
			err = table.Append(cells(r)...)
		}
	}
	return table, err
}

// amount turns the driver's decimal into money; nil is an unknown amount.
func amount(d *decimal.Decimal) (churn.OptionalMoney, error) {
	if d == nil {
		return churn.OptionalMoney{}, nil
	}
	return churn.Money(d.String())
}

// exec runs the statement queries/name.sql.
func (w *Warehouse) exec(ctx context.Context, name string, p clickhouse.Parameters, options ...clickhouse.QueryOption) error {
	ctx, cancel := w.within(ctx)
	defer cancel()
	return w.explain("running the statement "+name, w.conn.Exec(clickhouse.Context(ctx, append(options, clickhouse.WithParameters(p))...), query(name)))
}

// A rule's query may only read, and must end. The driver derives max_execution_time from the deadline and overwrites what is set here.
// A query that ends by its deadline is no overload that one would wait out.
var (
	ruleSettings = clickhouse.Settings{"readonly": 2}
	ruleTimeout  = time.Minute
)

// Rows runs a rule's query as of an instant, which the query reads as {at:DateTime64(3, 'UTC')}.
func (w *Warehouse) Rows(ctx context.Context, text string, at time.Time) ([]alert.Row, error) {
	w.keeping.RLock()
	defer w.keeping.RUnlock()
	ctx, cancel := w.asRule(ctx, at)
	defer cancel()
	rows, err := w.conn.Query(ctx, flatten().Replace(text))
	if err != nil {
		return nil, w.explain("running the query", tooSlow(err))
	}
	defer rows.Close()
	all, err := rowsOf(rows, rows.ColumnTypes(), w.config.MaxRuleRows)
	return all, w.explain("reading rows", tooSlow(err))
}

// ErrTooManyRows says that a rule's query returned more rows than it may. None of them is used: which are the first is chance.
var ErrTooManyRows = errors.New("too_many_rows")

// rowsOf reads the rows of a rule's query, at most so many, through the driver's own interface or through database/sql.
func rowsOf[C interface {
	Name() string
	ScanType() reflect.Type
}](rows interface {
	Next() bool
	Scan(cells ...any) error
	Err() error
}, columns []C, most int) (all []alert.Row, err error) {
	for rows.Next() {
		if len(all) == most {
			return nil, fmt.Errorf("%w: the query returns more than %d, clickhouse.max_rule_rows: make it narrower", ErrTooManyRows, most)
		}
		cells := make([]any, len(columns))
		for i, c := range columns {
			cells[i] = reflect.New(c.ScanType()).Interface()
		}
		if err := rows.Scan(cells...); err != nil {
			return nil, err
		}
		row := make(alert.Row, len(columns))
		for i, c := range columns {
			row[c.Name()] = plain(reflect.ValueOf(cells[i]).Elem())
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// asRule bounds a rule's query and passes it the instant.
func (w *Warehouse) asRule(ctx context.Context, at time.Time) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, min(ruleTimeout, w.config.QueryTimeout))
	return clickhouse.Context(ctx, clickhouse.WithSettings(ruleSettings), clickhouse.WithParameters(clickhouse.Parameters{"at": timeParameter(at)})), cancel
}

// tooSlow recognises a deadline that ended the reading, which the driver reports as a failing network.
func tooSlow(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("there was no answer within %s: %w", ruleTimeout, context.DeadlineExceeded)
	}
	return err
}

// plain turns what the driver scanned into the few types that alert.Row allows.
func plain(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case decimal.Decimal:
		m, err := churn.Money(x.String())
		if err != nil { // more digits than money has: a computed ratio
			f, _ := x.Float64()
			return f
		}
		return m
	case time.Time:
		return x.UTC()
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return int64(v.Uint())
	case reflect.Float32, reflect.Float64:
		return v.Float()
	case reflect.Bool:
		return v.Bool()
	case reflect.String:
		return v.String()
	case reflect.Slice, reflect.Array:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	}
	return fmt.Sprint(v.Interface())
}

// Columns asks the server which columns a rule's query returns, without running it. A mistake in the query is an error.
func (w *Warehouse) Columns(ctx context.Context, text string) ([]alert.Column, error) {
	ctx, cancel := w.within(ctx)
	defer cancel()
	ctx = clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"at": timeParameter(w.clock())}))
	// The query is the caller's, so the statement around it cannot be whole in its file.
	rows, err := w.conn.Query(ctx, strings.Replace(query("describe"), "-- the query --", text, 1))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var columns []alert.Column
	for rows.Next() {
		var c alert.Column
		var ignored string
		cells := make([]any, len(rows.Columns()))
		for i, name := range rows.Columns() {
			switch name {
			case "name":
				cells[i] = &c.Name
			case "type":
				cells[i] = &c.Type
			default:
				cells[i] = &ignored
			}
		}
		if err := rows.Scan(cells...); err != nil {
			return nil, fmt.Errorf("reading the columns of a query: %w", err)
		}
		columns = append(columns, c)
	}
	return columns, rows.Err()
}

// NewestDeals returns the newest record of each deal; deals that never arrived are left out.
func (w *Warehouse) NewestDeals(ctx context.Context, ids []string) (map[string]churn.DealRecord, error) {
	table, err := along("wanted", ids, func(id string) []any { return []any{id} }, ext.Column("deal_id", "String"))
	if err != nil {
		return nil, err
	}
	rows, err := all(ctx, w, "newest_deals", newestDeal, nil, table)
	if err != nil {
		return nil, err
	}
	deals := make(map[string]churn.DealRecord, len(rows))
	for _, r := range rows {
		deals[r.id] = r.DealRecord
	}
	return deals, nil
}

type dealRecord struct {
	id string
	churn.DealRecord
}

var newestDeal = []column[dealRecord]{
	get("deal_id", texts, func(d *dealRecord) *string { return &d.id }),
	get("account_id", texts, func(d *dealRecord) *string { return &d.AccountID }),
	get("payload", blobs, func(d *dealRecord) *[]byte { return &d.Value }),
}
