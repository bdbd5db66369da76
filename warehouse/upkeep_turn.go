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

// turn is the time from one claim to the next. A statement writes only while its turn is the last one, which the server
// looks at when it begins the statement; and a turn begins when the statements of earlier ones have ended. So a process
// that was paused, or whose statement is still on its way, changes nothing (docs/adr/0010).
type turn struct {
	claimant   string
	epoch      uint64
	over       bool // a statement of it failed, and may yet be running
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

// claim takes the next turn: by compare-and-set, so that exactly one of many claimants has it.
func (u *Upkeep) claim(ctx context.Context) error {
	t := &u.turn
	last, claimant, writer := uint64(0), "", ""
	err := u.read(ctx, "last_claim", nil, func(scan func(...any) error) error { return scan(&last, &claimant, &writer) })
	if err != nil {
		return err
	}
	// Who held a turn and lost it is not the holder any more, and must not take it back.
	if t.epoch > 0 && claimant != t.claimant {
		return fmt.Errorf("%w: %s", ErrAnotherWriter, writer)
	}
	next := last + 1
	// gofail: var upkeepBeforeClaim struct{}
	err = u.run("insert_claim", func() error {
		row := claim{next, t.claimant, u.writer, u.warehouse.clock()}
		return claims.insertRows(ctx, u.warehouse, "claiming the links", "claim/"+strconv.FormatUint(next, 10), []claim{row})
	})
	if err != nil {
		return err
	}
	parameters := clickhouse.Parameters{"epoch": strconv.FormatUint(next, 10)}
	err = u.read(ctx, "claim_of", parameters, func(scan func(...any) error) error { return scan(&claimant, &writer) })
	if err != nil {
		return err
	}
	if claimant != t.claimant {
		return fmt.Errorf("%w: %s", ErrAnotherWriter, writer)
	}
	t.epoch = next
	// gofail: var upkeepAfterClaim struct{}
	if err := u.await(ctx); err != nil {
		return err
	}
	t.over = false
	return nil
}

// awaitPoll is how often running statements are looked for.
const awaitPoll = 20 * time.Millisecond

// await waits until the server runs no statement of an earlier turn: those may have begun before this one was claimed. Each
// ends by its own deadline. A later one finds this claim, and writes nothing.
func (u *Upkeep) await(ctx context.Context) error {
	ctx, cancel := u.warehouse.within(ctx)
	defer cancel()
	for {
		running := uint64(0)
		parameters := clickhouse.Parameters{"prefix": u.prefix(), "epoch": strconv.FormatUint(u.epoch, 10)}
		err := u.read(ctx, "statements_before", parameters, func(scan func(...any) error) error { return scan(&running) })
		if err != nil || running == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d statements of the writer before: %w", running, ctx.Err())
		case <-time.After(awaitPoll):
		}
	}
}

// prefix begins the id of every writing statement of this warehouse; the epoch follows.
func (u *Upkeep) prefix() string { return "aftershock-upkeep/" + u.warehouse.config.Database + "/" }

// run runs one statement; a test that stops between statements sets around.
func (u *Upkeep) run(name string, statement func() error) error {
	if u.around != nil {
		return u.around(name, statement)
	}
	return statement()
}

// read runs a query.
func (u *Upkeep) read(ctx context.Context, name string, parameters clickhouse.Parameters, row func(scan func(...any) error) error) error {
	return u.run(name, func() error {
		return u.warehouse.each(ctx, name, clickhouse.WithParameters(parameters), row)
	})
}

// readRow runs a query whose rows are read by the names of their columns.
func readRow[R any](ctx context.Context, u *Upkeep, name string, parameters clickhouse.Parameters, columns []column[R], row func(*R) error) error {
	return u.run(name, func() error {
		return eachRow(ctx, u.warehouse, name, clickhouse.WithParameters(parameters), columns, row)
	})
}

// write runs a statement that writes while this turn is the last one, and returns how many rows it wrote. What it needs
// travels as parameters: the server has them whole before it begins, and never waits for a client that is paused.
func (u *Upkeep) write(ctx context.Context, name string, parameters clickhouse.Parameters) (rows int, err error) {
	t := &u.turn
	parameters = maps.Clone(parameters)
	parameters["epoch"] = strconv.FormatUint(t.epoch, 10)
	parameters["version"] = strconv.FormatUint(t.epoch<<32|uint64(u.pass), 10)
	id := fmt.Sprintf("%s%d/%d", u.prefix(), t.epoch, t.statements.Add(1))
	err = u.run(name, func() error {
		return u.warehouse.exec(ctx, name, clickhouse.WithQueryID(id), clickhouse.WithParameters(parameters),
			clickhouse.WithProgress(func(p *clickhouse.Progress) { rows += int(p.WroteRows) }))
	})
	var exception *clickhouse.Exception
	if errors.As(err, &exception) && exception.Code == codeThrown && strings.Contains(exception.Message, "another writer") {
		return 0, fmt.Errorf("%w: its turn began after turn %d", ErrAnotherWriter, t.epoch)
	}
	return rows, err
}

// codeThrown is ClickHouse's code for what throwIf throws.
const codeThrown = 395
