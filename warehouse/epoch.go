package warehouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// epoch is the time from one claim of the links to the next. A statement writes only while its epoch is the latest, which the
// server checks when it starts the statement; and an epoch starts once the statements of earlier ones have ended. So a process
// that was paused, or whose statement is still under way, changes nothing (docs/adr/0010).
type epoch struct {
	claimant   string
	number     uint64
	over       bool // one of its statements failed, and may still be running
	statements atomic.Uint64
}

// claim is one row of upkeep_claims.
type claim struct {
	epoch            uint64
	claimant, writer string
	at               time.Time
}

var claims = table[claim]{"upkeep_claims", []column[claim]{
	put("epoch", uint64s, func(c *claim) uint64 { return c.epoch }),
	put("claimant", texts, func(c *claim) string { return c.claimant }),
	put("writer", texts, func(c *claim) string { return c.writer }),
	put("claimed_at", instants, func(c *claim) time.Time { return c.at }),
}}

// claim starts the next epoch: by compare-and-set, so that exactly one of several claimants gets it.
func (l *Links) claim(ctx context.Context) error {
	e := &l.epoch
	last, claimant, writer := uint64(0), "", ""
	err := l.read(ctx, "last_claim", nil, func(scan func(...any) error) error { return scan(&last, &claimant, &writer) })
	if err != nil {
		return err
	}
	// Whoever had an epoch and lost it is no longer the leader, and must not take it back.
	if e.number > 0 && claimant != e.claimant {
		return fmt.Errorf("%w: %s", ErrAnotherWriter, writer)
	}
	next := last + 1
	// gofail: var upkeepBeforeClaim struct{}
	err = l.run("insert_claim", func() error {
		row := claim{next, e.claimant, l.writer, l.warehouse.clock()}
		return claims.insertRows(ctx, l.warehouse, "claiming the links", "claim/"+strconv.FormatUint(next, 10), []claim{row})
	})
	if err != nil {
		return err
	}
	parameters := clickhouse.Parameters{"epoch": strconv.FormatUint(next, 10)}
	err = l.read(ctx, "claim_of", parameters, func(scan func(...any) error) error { return scan(&claimant, &writer) })
	if err != nil {
		return err
	}
	if claimant != e.claimant {
		return fmt.Errorf("%w: %s", ErrAnotherWriter, writer)
	}
	e.number = next
	// gofail: var upkeepAfterClaim struct{}
	if err := l.await(ctx); err != nil {
		return err
	}
	e.over = false
	return nil
}

// awaitPoll is how often running statements are looked for.
const awaitPoll = 20 * time.Millisecond

// await waits until the server runs no statement of an earlier epoch: those may have started before this one was claimed. Each
// ends by its own deadline. One that starts later finds this claim, and writes nothing.
func (l *Links) await(ctx context.Context) error {
	ctx, cancel := l.warehouse.within(ctx)
	defer cancel()
	for {
		running := uint64(0)
		parameters := clickhouse.Parameters{"prefix": l.prefix(), "epoch": strconv.FormatUint(l.epoch.number, 10)}
		err := l.read(ctx, "statements_before", parameters, func(scan func(...any) error) error { return scan(&running) })
		if err != nil || running == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d statements of the previous writer to end: %w", running, ctx.Err())
		case <-time.After(awaitPoll):
		}
	}
}

// prefix starts the id of every writing statement of this warehouse; the epoch follows.
func (l *Links) prefix() string { return "aftershock-upkeep/" + l.warehouse.config.Database + "/" }

// run runs one statement. Tests that stop between statements set around.
func (l *Links) run(name string, statement func() error) error {
	if l.around != nil {
		return l.around(name, statement)
	}
	return statement()
}

// read runs a query.
func (l *Links) read(ctx context.Context, name string, parameters clickhouse.Parameters, row func(scan func(...any) error) error) error {
	return l.run(name, func() error {
		return l.warehouse.each(ctx, name, clickhouse.WithParameters(parameters), row)
	})
}

// readRow runs a query whose rows are read by the names of their columns.
func readRow[R any](ctx context.Context, l *Links, name string, parameters clickhouse.Parameters, columns []column[R], row func(*R) error) error {
	return l.run(name, func() error {
		return eachRow(ctx, l.warehouse, name, clickhouse.WithParameters(parameters), columns, row)
	})
}

// write runs a statement that writes only while this epoch is the latest, and returns how many rows it wrote. Its input travels as
// parameters: the server has all of it before it starts, and never waits for a client that is paused.
func (l *Links) write(ctx context.Context, name string, parameters clickhouse.Parameters) (rows int, err error) {
	e := &l.epoch
	parameters = maps.Clone(parameters)
	parameters["epoch"] = strconv.FormatUint(e.number, 10)
	parameters["version"] = strconv.FormatUint(e.number<<32|uint64(l.pass), 10)
	id := fmt.Sprintf("%s%d/%d", l.prefix(), e.number, e.statements.Add(1))
	err = l.run(name, func() error {
		return l.warehouse.exec(ctx, name, clickhouse.WithQueryID(id), clickhouse.WithParameters(parameters),
			clickhouse.WithProgress(func(p *clickhouse.Progress) { rows += int(p.WroteRows) }))
	})
	var exception *clickhouse.Exception
	if errors.As(err, &exception) && exception.Code == codeThrown && strings.Contains(exception.Message, "another writer") {
		return 0, fmt.Errorf("%w: it claimed them after epoch %d began", ErrAnotherWriter, e.number)
	}
	return rows, err
}

// codeThrown is ClickHouse's code for what throwIf throws.
const codeThrown = 395
