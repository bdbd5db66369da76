package warehouse

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/chpool"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftershock/aftershock/churn"
)

// blockConnections is how many blocks may be on their way at once: one chunk of deals and one of tickets, and some to spare.
const blockConnections = 4

// openBlocks prepares the connections that events are inserted by; it does not connect yet.
func openBlocks(o *clickhouse.Options) (*chpool.Pool, error) {
	compression := ch.CompressionLZ4
	if host, _, err := net.SplitHostPort(o.Addr[0]); err == nil && onThisMachine(host) {
		compression = ch.CompressionDisabled
	}
	return chpool.New(context.Background(), chpool.Options{
		MaxConns: blockConnections,
		ClientOptions: ch.Options{
			Address: o.Addr[0], Database: o.Auth.Database, User: o.Auth.Username, Password: o.Auth.Password,
			TLS: o.TLS, DialTimeout: o.DialTimeout, HandshakeTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout,
			Compression: compression, ClientName: "aftershock",
		},
	})
}

// onThisMachine tells whether a host is this one: there compressing costs more than the bytes that it saves.
func onThisMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// insertBlocks sends blocks one after the other in one INSERT. The server puts them together and stores them as one part when
// the last has arrived: the settings forbid it to begin earlier, or a cut connection would leave half a chunk.
func insertBlocks[E any](ctx context.Context, w *Warehouse, doing, name, token string, known time.Time, blocks []churn.Batch[E]) error {
	rows := 0
	var left []*block[E]
	for _, b := range blocks {
		if b.Len() == 0 {
			continue
		}
		rows += b.Len()
		left = append(left, b.(*block[E]))
	}
	if rows == 0 {
		return nil
	}
	doing = fmt.Sprintf(doing, rows)
	for _, b := range left {
		b.date(known)
	}
	ctx, cancel := w.within(ctx)
	defer cancel()
	input := make(proto.Input, len(left[0].input))
	next := func(context.Context) error {
		if len(left) == 0 {
			// Rows that are still there at the end are sent, once more.
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
	return w.sent(doing, asDriver(w.blocks.Do(ctx, ch.Query{Body: query(name) + " VALUES", Input: input, OnInput: next, Settings: settings})))
}

// asDriver turns what the server said into the form in which the rest of this package reads it.
func asDriver(err error) error {
	if exception, ok := ch.AsException(err); ok {
		return &clickhouse.Exception{Code: int32(exception.Code), Name: exception.Name, Message: exception.Message}
	}
	return err
}
