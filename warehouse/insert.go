package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/chpool"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// table is a table of rows of type R: its columns, by name.
type table[R any] struct {
	name    string
	columns []column[R]
}

// names lists the columns as an INSERT or a SELECT does.
func (t *table[R]) names() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// batch gathers rows of a table as columns of the native protocol, in which form they are sent. What is added is copied. Why
// clickhouse-go does not do this: docs/adr/0011.
type batch[R any] struct {
	columns []values
	add     []func(*R)
	input   proto.Input // the columns with their names
	rows    int
}

// batch makes an empty batch. Which column a value goes to is decided here, once, not for each row.
func (t *table[R]) batch() *batch[R] {
	b := &batch[R]{}
	for _, c := range t.columns {
		data, add := c.write()
		b.columns = append(b.columns, data)
		b.add = append(b.add, add)
		b.input = append(b.input, proto.InputColumn{Name: c.name, Data: data})
	}
	return b
}

// Add adds a row.
func (b *batch[R]) Add(row *R) {
	for _, add := range b.add {
		add(row)
	}
	b.rows++
}

// Len is how many rows were added.
func (b *batch[R]) Len() int { return b.rows }

// Reset empties the batch and keeps its memory.
func (b *batch[R]) Reset() {
	for _, c := range b.columns {
		c.Reset()
	}
	b.rows = 0
}

// column finds a column by its name.
func (b *batch[R]) column(name string) values {
	for i, c := range b.input {
		if c.Name == name {
			return b.columns[i]
		}
	}
	return nil
}

// check refuses columns of unequal lengths: the server would blame the column after the odd one.
func (b *batch[R]) check() error {
	for i, c := range b.columns {
		if c.Rows() != b.rows {
			return fmt.Errorf("column %s has %d values for %d rows", b.input[i].Name, c.Rows(), b.rows)
		}
	}
	return nil
}

// insertRows inserts rows, all or nothing.
func (t *table[R]) insertRows(ctx context.Context, w *Warehouse, doing, token string, rows []R) error {
	b := t.batch()
	for i := range rows {
		b.Add(&rows[i])
	}
	return t.insert(ctx, w, doing, token, b)
}

// insert sends batches one after another in one INSERT. The server puts them together and stores them as one part once the last
// has arrived: the settings keep it from starting earlier, when a cut connection would leave some of the rows. The token makes a
// retry of the same insert store nothing twice.
func (t *table[R]) insert(ctx context.Context, w *Warehouse, doing, token string, batches ...*batch[R]) error {
	var left []*batch[R]
	for _, b := range batches {
		if err := b.check(); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		if b.rows > 0 {
			left = append(left, b)
		}
	}
	if len(left) == 0 {
		return nil
	}
	ctx, cancel := w.within(ctx)
	defer cancel()
	input := make(proto.Input, len(t.columns))
	next := func(context.Context) error {
		if len(left) == 0 {
			// The client would send rows that are still there at the end once more.
			input[0].Data = new(proto.ColStr)
			return io.EOF
		}
		copy(input, left[0].input)
		left = left[1:]
		return nil
	}
	if err := next(ctx); err != nil {
		return err
	}
	settings := []ch.Setting{
		{Key: "async_insert", Value: "0"},
		{Key: "insert_deduplicate", Value: "1"},
		// a retry fills in the tables behind materialised views that a failed first try did not reach
		{Key: "deduplicate_blocks_in_dependent_materialized_views", Value: "1"},
		{Key: "min_insert_block_size_rows", Value: "1000000000"},
		{Key: "min_insert_block_size_bytes", Value: "0"},
		{Key: "max_insert_block_size", Value: "1000000000"},
	}
	if token != "" {
		settings = append(settings, ch.Setting{Key: "insert_deduplication_token", Value: token})
	}
	statement := strings.NewReplacer("the_table", t.name, "the_columns", t.names()).Replace(query("insert"))
	return w.sent(doing, w.send(ctx, ch.Query{Body: statement, Input: input, OnInput: next, Settings: settings}))
}

// send runs an insert on a connection of the pool that still works: one that was idle may date from before a restart of the server.
func (w *Warehouse) send(ctx context.Context, insert ch.Query) error {
	var c *chpool.Client
	for try := range insertConnections + 1 {
		var err error
		if c, err = w.inserts.Acquire(ctx); err != nil {
			return asDriver(err)
		}
		if err = c.Ping(ctx); err == nil {
			break
		}
		_ = c.Close() // the next one may well work
		if try == insertConnections || ctx.Err() != nil {
			return asDriver(err)
		}
	}
	defer c.Release()
	return asDriver(c.Do(ctx, insert))
}

// insertConnections is how many inserts may be on their way at once: batches of every topic, entries of the alert log, deliveries.
const insertConnections = 12

// openInserts prepares the connections that rows are inserted by; it does not connect yet.
func openInserts(o *clickhouse.Options) (*chpool.Pool, error) {
	compression := ch.CompressionLZ4
	if host, _, err := net.SplitHostPort(o.Addr[0]); err == nil && onThisMachine(host) {
		compression = ch.CompressionDisabled
	}
	return chpool.New(context.Background(), chpool.Options{
		MaxConns: insertConnections,
		ClientOptions: ch.Options{
			Address: o.Addr[0], Database: o.Auth.Database, User: o.Auth.Username, Password: o.Auth.Password,
			TLS: o.TLS, DialTimeout: o.DialTimeout, HandshakeTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout,
			Compression: compression, ClientName: "aftershock",
		},
	})
}

// onThisMachine reports whether a host is this one, where compressing costs more than it saves.
func onThisMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// refused says that the server rejected the rows themselves: trying again cannot help.
type refused struct{ error }

// RowRefused tells a caller to look for the guilty row instead of waiting.
func (refused) RowRefused() bool { return true }

func (r refused) Unwrap() error { return r.error }

// dataErrors are ClickHouse's codes for rows that it will never accept. All other codes mean: wait and try again.
var dataErrors = map[int32]bool{
	6: true, 27: true, 38: true, 41: true, 53: true, 69: true, 70: true, 72: true, 117: true, 131: true,
	321: true, 349: true, 407: true, 469: true,
}

// sent distinguishes faulty rows from a server that cannot take rows now.
func (w *Warehouse) sent(doing string, err error) error {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) && dataErrors[exception.Code] {
		return refused{fmt.Errorf("%s: %w", doing, err)}
	}
	return w.explain(doing, err)
}

// asDriver turns an exception of the server into the form that the rest of this package expects.
func asDriver(err error) error {
	if exception, ok := ch.AsException(err); ok {
		return &clickhouse.Exception{Code: int32(exception.Code), Name: exception.Name, Message: exception.Message}
	}
	return err
}
