package warehouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// Past answers rules as of one past instant after another, and prefetches what the queries of the next ones will read. A view that
// several of these queries read is computed once and kept in a temporary table, while the previous instant is still being evaluated;
// a view that a single query reads is written into that query. A query's text is the rule's own, and what it does not read from a view
// it reads as usual. What was not prefetched, or could not be kept, is answered by the views themselves.
type Past struct {
	warehouse *Warehouse
	server    *sql.DB // database/sql can hold on to one connection, the driver's own pool cannot
	views     []View  // that depend on the instant, in the order in which they build on one another

	mu    sync.Mutex
	ahead []*prefetched // the present instant and those to come, the oldest first

	planning sync.Mutex
	plans    map[string]*plan // by the queries
}

// prefetched is one instant, in a session of its own, which its temporary tables belong to.
type prefetched struct {
	mu      sync.Mutex // one query at a time
	session *sql.Conn
	at      time.Time
	plan    *plan
}

// plan is how a set of queries of one instant is answered.
type plan struct {
	answers map[string]string // by the text of a query: what is asked instead
	kept    []keptView        // in the order in which they build on one another
}

// keptView is a view whose rows are kept.
type keptView struct {
	View
	text    string // of the view, reading what is kept of other views
	columns string // those that some query or view reads
}

// OpenPast prepares to evaluate rules over the past. The caller closes it.
func (w *Warehouse) OpenPast() (*Past, error) {
	options, err := w.config.options()
	if err != nil {
		return nil, err
	}
	all, err := Views()
	if err != nil {
		return nil, err
	}
	p := &Past{warehouse: w, server: clickhouse.OpenDB(options), plans: map[string]*plan{}, ahead: []*prefetched{{}, {}, {}}}
	p.server.SetMaxIdleConns(0) // a session that is left must end: in the pool it would keep its temporary tables
	for _, v := range all {
		if strings.Contains(v.create, "{at:") {
			p.views = append(p.views, v)
		}
	}
	return p, nil
}

// Close drops what was kept.
func (p *Past) Close() error {
	var errs []error
	for _, s := range p.ahead {
		s.mu.Lock()
		errs = append(errs, s.leave())
		s.mu.Unlock()
	}
	return errors.Join(append(errs, p.server.Close())...)
}

// Prefetch implements the rules' past.Prefetcher: it starts to keep what these queries will read, and returns at once.
func (p *Past) Prefetch(ctx context.Context, at time.Time, queries []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.ahead[0] // the oldest instant is over
	p.ahead = append(p.ahead[1:], s)
	s.mu.Lock()
	s.at = at
	go func() {
		defer s.mu.Unlock()
		if err := p.keep(ctx, s, queries); err != nil {
			_ = s.leave() // the rule that asks will hear from the views what is wrong
		}
	}()
}

// Rows implements engine.Warehouse.
func (p *Past) Rows(ctx context.Context, text string, at time.Time) ([]alert.Row, error) {
	for _, s := range p.instants() {
		if rows, answered := p.ask(ctx, s, text, at); answered {
			return rows, nil
		}
	}
	return p.warehouse.Rows(ctx, text, at)
}

func (p *Past) instants() []*prefetched {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.ahead)
}

// ask answers a query from what was prefetched for the instant, if this is it. After a failure nothing is kept: the session may be gone.
func (p *Past) ask(ctx context.Context, s *prefetched, text string, at time.Time) (rows []alert.Row, answered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plan == nil || !s.at.Equal(at) || s.plan.answers[text] == "" {
		return nil, false
	}
	p.warehouse.keeping.RLock()
	defer p.warehouse.keeping.RUnlock()
	rows, err := p.rows(ctx, s, s.plan.answers[text])
	if err != nil {
		_ = s.leave()
	}
	return rows, err == nil
}

// leave ends the session; what was kept goes with it.
func (s *prefetched) leave() error {
	s.at, s.plan = time.Time{}, nil
	if s.session == nil {
		return nil
	}
	err := s.session.Close()
	s.session = nil
	return err
}

// keep computes what the plan of these queries keeps.
func (p *Past) keep(ctx context.Context, s *prefetched, queries []string) (err error) {
	p.warehouse.keeping.RLock()
	defer p.warehouse.keeping.RUnlock()
	if s.session == nil {
		if s.session, err = p.server.Conn(ctx); err != nil {
			return p.warehouse.explain("opening a session", err)
		}
	}
	for _, v := range s.kept() {
		if err := p.execute(ctx, s, "drop_snapshot", v); err != nil {
			return p.warehouse.explain("dropping the previous rows of the view "+v.Name, err)
		}
	}
	if s.plan, err = p.planOf(ctx, s, queries); err != nil {
		return err
	}
	for _, v := range s.plan.kept {
		if err := p.execute(ctx, s, "take_snapshot", v); err != nil {
			return p.warehouse.explain("keeping the rows of the view "+v.Name+" at "+s.at.Format(time.RFC3339), err)
		}
	}
	return nil
}

func (s *prefetched) kept() []keptView {
	if s.plan == nil {
		return nil
	}
	return s.plan.kept
}

// execute runs a statement about what is kept of a view.
func (p *Past) execute(ctx context.Context, s *prefetched, name string, v keptView) error {
	ctx, cancel := p.warehouse.within(ctx)
	defer cancel()
	put := strings.NewReplacer("the_snapshot", v.table(), "the_columns", v.columns, "-- the view --", "("+v.text+"\n)")
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"at": timeParameter(s.at)})
	_, err := s.session.ExecContext(clickhouse.Context(ctx, parameters), put.Replace(query(name)))
	return err
}

// rows is what Warehouse.Rows does, in the session.
func (p *Past) rows(ctx context.Context, s *prefetched, text string) ([]alert.Row, error) {
	ctx, cancel := p.warehouse.asRule(ctx, s.at)
	defer cancel()
	rows, err := s.session.QueryContext(ctx, text)
	if err != nil {
		return nil, p.warehouse.explain("running the query", tooSlow(err))
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	if err != nil {
		return nil, fmt.Errorf("reading the columns: %w", err)
	}
	all, err := rowsOf(rows, columns, p.warehouse.config.MaxRuleRows)
	return all, p.warehouse.explain("reading rows", tooSlow(err))
}

func (v *View) table() string { return v.Name + "_snapshot" }

// Subjects says nothing about any contract: nobody is notified of the past, so nobody reads what an alert would have said.
func (p *Past) Subjects(context.Context, time.Time, []churn.ContractKey) (map[churn.ContractKey]alert.Subject, error) {
	return nil, nil
}
