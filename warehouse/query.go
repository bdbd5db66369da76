package warehouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// each runs queries/name.sql and calls row for each of its rows. It is for a few columns, which are scanned in the order of the file.
func (w *Warehouse) each(ctx context.Context, name string, option clickhouse.QueryOption, row func(scan func(...any) error) error) error {
	return w.ask(ctx, name, option, func(rows driver.Rows) (func() error, error) {
		return func() error { return row(rows.Scan) }, nil
	})
}

// eachRow runs queries/name.sql and calls row for each of its rows. Columns are read by name: the query may return them in any order,
// but must return each of them and no others.
func eachRow[R any](ctx context.Context, w *Warehouse, name string, option clickhouse.QueryOption, columns []column[R], row func(*R) error) error {
	return w.ask(ctx, name, option, func(rows driver.Rows) (func() error, error) {
		cells, take, err := byName(columns, rows.Columns())
		if err != nil {
			return nil, err
		}
		return func() error {
			if err := rows.Scan(cells...); err != nil {
				return err
			}
			var r R
			if err := take(&r); err != nil {
				return err
			}
			return row(&r)
		}, nil
	})
}

// ask runs queries/name.sql and calls read for each row. Open sees the columns first.
func (w *Warehouse) ask(ctx context.Context, name string, option clickhouse.QueryOption, open func(driver.Rows) (read func() error, err error)) error {
	ctx, cancel := w.within(ctx)
	defer cancel()
	rows, err := w.conn.Query(clickhouse.Context(ctx, option), query(name))
	if err != nil {
		return w.explain("running the query "+name, err)
	}
	defer rows.Close()
	read, err := open(rows)
	if err != nil {
		return fmt.Errorf("reading the columns of the query %s: %w", name, err)
	}
	for rows.Next() {
		if err := read(); err != nil {
			return fmt.Errorf("reading a row of the query %s: %w", name, err)
		}
	}
	return w.explain("reading the rows of the query "+name, rows.Err())
}

// byName returns a cell for each column of an answer, in its order, and a function that fills a row from the cells. The answer must
// have each of the columns once, and no others.
func byName[R any](columns []column[R], answered []string) (cells []any, take func(*R) error, err error) {
	reads := make([]func(*R) error, 0, len(columns))
	left := map[string]column[R]{}
	for _, c := range columns {
		left[c.name] = c
	}
	for i, name := range answered {
		c, wanted := left[name]
		switch {
		case slices.Contains(answered[:i], name):
			return nil, nil, fmt.Errorf("column %s is there twice", name)
		case !wanted:
			return nil, nil, fmt.Errorf("column %s is read by nobody here", name)
		}
		delete(left, name)
		cell, read := c.read()
		cells = append(cells, cell)
		reads = append(reads, func(row *R) error {
			if err := read(row); err != nil {
				return fmt.Errorf("column %s: %w", name, err)
			}
			return nil
		})
	}
	if len(left) > 0 {
		return nil, nil, fmt.Errorf("missing: column %s", strings.Join(slices.Sorted(maps.Keys(left)), ", column "))
	}
	return cells, func(row *R) error {
		for _, read := range reads {
			if err := read(row); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// amount turns the driver's decimal into money; nil is an unknown amount.
func amount(d *decimal.Decimal) (churn.OptionalMoney, error) {
	if d == nil {
		return churn.OptionalMoney{}, nil
	}
	return churn.Money(d.String())
}

// exec runs the statement queries/name.sql.
func (w *Warehouse) exec(ctx context.Context, name string, options ...clickhouse.QueryOption) error {
	ctx, cancel := w.within(ctx)
	defer cancel()
	return w.explain("running the statement "+name, w.conn.Exec(clickhouse.Context(ctx, options...), query(name)))
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
	all, err := rowsOf(rows, rows.ColumnTypes())
	return all, w.explain("reading rows", tooSlow(err))
}

// rowsOf reads the rows of a rule's query, through the driver's own interface or through database/sql.
func rowsOf[C interface {
	Name() string
	ScanType() reflect.Type
}](rows interface {
	Next() bool
	Scan(cells ...any) error
	Err() error
}, columns []C) (all []alert.Row, err error) {
	for rows.Next() {
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
	table, err := ext.NewTable("wanted", ext.Column("deal_id", "String"))
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := table.Append(id); err != nil {
			return nil, err
		}
	}
	deals := make(map[string]churn.DealRecord, len(ids))
	err = w.each(ctx, "newest_deals", clickhouse.WithExternalTable(table), func(scan func(...any) error) error {
		var id, value string
		var d churn.DealRecord
		if err := scan(&id, &d.AccountID, &value); err != nil {
			return err
		}
		d.Value = []byte(value)
		deals[id] = d
		return nil
	})
	return deals, err
}
