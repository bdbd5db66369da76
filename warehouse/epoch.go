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
	err := l.one(ctx, "last_claim", nil, &last, &claimant, &writer)
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
	if err := l.one(ctx, "claim_of", parameters, &claimant, &writer); err != nil {
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
		err := l.one(ctx, "statements_before", parameters, &running)
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

// one runs a query of one row, find one whose rows are read by the names of their columns.
func (l *Links) one(ctx context.Context, name string, p clickhouse.Parameters, cells ...any) error {
	return l.run(name, func() error {
		_, err := l.warehouse.one(ctx, name, p, cells...)
		return err
	})
}

func find[R any](ctx context.Context, l *Links, name string, columns []column[R], p clickhouse.Parameters) (rows []R, err error) {
	err = l.run(name, func() (err error) {
		rows, err = all(ctx, l.warehouse, name, columns, p)
		return err
	})
	return rows, err
}

// write runs a statement that writes only while this epoch is the latest, and counts the rows that it wrote. Its input travels as
// parameters: the server has all of it before it starts, and never waits for a client that is paused.
func (l *Links) write(ctx context.Context, name string, written *int, input ...clickhouse.Parameters) error {
	e := &l.epoch
	parameters := clickhouse.Parameters{
		"epoch":   strconv.FormatUint(e.number, 10),
		"version": strconv.FormatUint(e.number<<32|uint64(l.pass), 10),
	}
	for _, p := range input {
		maps.Copy(parameters, p)
	}
	options := []clickhouse.QueryOption{clickhouse.WithQueryID(fmt.Sprintf("%s%d/%d", l.prefix(), e.number, e.statements.Add(1)))}
	if written != nil {
		options = append(options, clickhouse.WithProgress(func(p *clickhouse.Progress) { *written += int(p.WroteRows) }))
	}
	err := l.run(name, func() error { return l.warehouse.exec(ctx, name, parameters, options...) })
	var exception *clickhouse.Exception
	if errors.As(err, &exception) && exception.Code == codeThrown && strings.Contains(exception.Message, "another writer") {
		return fmt.Errorf("%w: it claimed them after epoch %d began", ErrAnotherWriter, e.number)
	}
	return err
}

// codeThrown is ClickHouse's code for what throwIf throws.
const codeThrown = 395
