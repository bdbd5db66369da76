package warehouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftershock/aftershock/churn"
)

// Past answers rules as of one instant of the past after the other. What a view says at an instant is worked out once, kept in a
// temporary table, and read by every rule that names the view, until another instant is asked for: most of what a rule costs
// is its view. A query's text is the rule's own, and what it does not read from a view it reads as ever.
type Past struct {
	warehouse *Warehouse
	server    *sql.DB
	views     []snapshot

	mu      sync.Mutex
	session *sql.Conn // temporary tables belong to it; nil: none is open
	at      time.Time
}

// snapshot is a view that depends on the instant.
type snapshot struct {
	View
	asOfAt  *regexp.Regexp // its name in a query
	columns string         // those that some rule may read
	taken   bool           // at the instant at hand
}

// OpenPast prepares to answer these queries, and no others. The caller closes it.
func (w *Warehouse) OpenPast(ctx context.Context, queries []string) (*Past, error) {
	options, err := w.config.options()
	if err != nil {
		return nil, err
	}
	p := &Past{warehouse: w, server: clickhouse.OpenDB(options)} // database/sql holds on to one connection, the driver's own pool does not
	if p.views, err = w.snapshots(ctx, queries); err != nil {
		return nil, errors.Join(err, p.server.Close())
	}
	return p, nil
}

// Close drops what was kept.
func (p *Past) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.leave(), p.server.Close())
}

// snapshots lists the views that depend on the instant, in the order in which they build on one another, with the columns that
// these queries may read of them.
func (w *Warehouse) snapshots(ctx context.Context, queries []string) ([]snapshot, error) {
	all, err := Views()
	if err != nil {
		return nil, err
	}
	readers := slices.Clone(queries)
	var out []snapshot
	for _, v := range slices.Backward(all) { // whoever reads a view stands behind it
		asOfAt := regexp.MustCompile(`\b` + regexp.QuoteMeta(v.asOfAt()))
		read := func(text string) bool { return asOfAt.MatchString(text) || strings.Contains(text, v.inlined()) }
		if !strings.Contains(v.create, "{at:") || !slices.ContainsFunc(readers, read) {
			continue
		}
		columns, err := w.Columns(ctx, strings.Replace(query("all_of"), "-- the view --", v.asOfAt(), 1))
		if err != nil {
			return nil, w.explain("asking for the columns of the view "+v.Name, err)
		}
		out = append(out, snapshot{View: v, asOfAt: asOfAt, columns: mentioned(columns, readers)})
		readers = append(readers, v.written)
	}
	slices.Reverse(out)
	return out, nil
}

var (
	word = regexp.MustCompile(`\w+`)
	star = regexp.MustCompile(`(?i)(\bSELECT|\bDISTINCT|[,.])\s*\*|\bCOLUMNS\b`)
)

// mentioned keeps the columns that some query may read: one that says so, or that reads whatever there is.
func mentioned(columns []churn.Column, queries []string) string {
	words, any := map[string]bool{}, false
	for _, text := range queries {
		for _, w := range word.FindAllString(text, -1) {
			words[w] = true
		}
		any = any || star.MatchString(text)
	}
	var names []string
	for _, c := range columns {
		if any || words[c.Name] {
			names = append(names, "`"+c.Name+"`")
		}
	}
	if len(names) == 0 { // a query that only counts
		names = []string{"`" + columns[0].Name + "`"}
	}
	return strings.Join(names, ", ")
}

// Rows implements rules.Warehouse.
func (p *Past) Rows(ctx context.Context, text string, at time.Time) ([]churn.Row, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.warehouse.keeping.RLock()
	defer p.warehouse.keeping.RUnlock()
	rows, err := p.answer(ctx, text, at)
	if err != nil {
		return nil, errors.Join(err, p.leave())
	}
	return rows, nil
}

// leave ends the session; what was kept goes with it.
func (p *Past) leave() error {
	p.at = time.Time{}
	if p.session == nil {
		return nil
	}
	err := p.session.Close()
	p.session = nil
	return err
}

func (p *Past) answer(ctx context.Context, text string, at time.Time) ([]churn.Row, error) {
	if p.session == nil {
		session, err := p.server.Conn(ctx)
		if err != nil {
			return nil, p.warehouse.explain("opening a session", err)
		}
		p.session = session
	}
	if !at.Equal(p.at) {
		for i := range p.views {
			p.views[i].taken = false
		}
		p.at = at
	}
	for i := range p.views {
		if s := &p.views[i]; s.asOfAt.MatchString(text) {
			if err := p.take(ctx, s); err != nil {
				return nil, err
			}
			text = s.asOfAt.ReplaceAllLiteralString(text, s.table())
		}
	}
	return p.rows(ctx, text)
}

// rows is the reading of Warehouse.Rows, in the session.
func (p *Past) rows(ctx context.Context, text string) ([]churn.Row, error) {
	ctx, cancel := p.warehouse.asRule(ctx, p.at)
	defer cancel()
	rows, err := p.session.QueryContext(ctx, text)
	if err != nil {
		return nil, p.warehouse.explain("running the query", tooSlow(err))
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	if err != nil {
		return nil, fmt.Errorf("reading the columns: %w", err)
	}
	all, err := rowsOf(rows, columns)
	return all, p.warehouse.explain("reading rows", tooSlow(err))
}

// take keeps what a view says now, and what the views say that it builds on.
func (p *Past) take(ctx context.Context, s *snapshot) error {
	if s.taken {
		return nil
	}
	text := s.selection(s.written)
	for i := range p.views {
		if inner := &p.views[i]; strings.Contains(text, inner.inlined()) {
			if err := p.take(ctx, inner); err != nil {
				return err
			}
			text = strings.ReplaceAll(text, inner.inlined(), inner.table())
		}
	}
	ctx, cancel := p.warehouse.within(ctx)
	defer cancel()
	put := strings.NewReplacer("the_snapshot", s.table(), "the_columns", s.columns, "-- the view --", "("+text+"\n)")
	if err := p.execute(ctx, put.Replace(query("drop_snapshot"))); err != nil {
		return p.warehouse.explain("dropping what the view "+s.Name+" said before", err)
	}
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"at": timeParameter(p.at)})
	err := p.execute(clickhouse.Context(ctx, parameters), put.Replace(query("take_snapshot")))
	if err != nil {
		return p.warehouse.explain("keeping what the view "+s.Name+" says at "+p.at.Format(time.RFC3339), err)
	}
	s.taken = true
	return nil
}

func (p *Past) execute(ctx context.Context, statement string) error {
	_, err := p.session.ExecContext(ctx, statement)
	return err
}

func (s *snapshot) table() string { return s.Name + "_snapshot" }

// Subjects says nothing of any contract: what an alert would have said is not worked out, as nobody is told.
func (p *Past) Subjects(context.Context, time.Time, []churn.ContractKey) (map[churn.ContractKey]churn.Subject, error) {
	return nil, nil
}
