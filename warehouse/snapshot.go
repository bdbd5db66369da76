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

// Past answers rules as of one instant of the past after the other, and is told beforehand what will be asked of the next. A view
// that several of these queries read is worked out once and kept in a temporary table, while the instant before is still
// being looked at; a view that one query reads is written into it. A query's text is the rule's own, and what it does not
// read from a view it reads as ever. What was not foretold, or could not be kept, is answered by the views themselves.
type Past struct {
	warehouse *Warehouse
	server    *sql.DB // database/sql holds on to one connection, the driver's own pool does not
	views     []View  // that depend on the instant, in the order in which they build on one another

	mu    sync.Mutex
	sides []*side // the instant at hand and those to come, the oldest first

	planning sync.Mutex
	plans    map[string]*plan // by the queries
}

// side is one instant, in a session of its own: temporary tables belong to it.
type side struct {
	mu      sync.Mutex // one query at a time
	session *sql.Conn
	at      time.Time
	plan    *plan
}

// plan is how some queries of one instant are answered.
type plan struct {
	answers map[string]string // by the text of a query: what is asked instead
	kept    []keptView        // in the order in which they build on one another
}

// keptView is a view whose answer is kept.
type keptView struct {
	View
	text    string // of the view, reading what is kept of others
	columns string // those that some reader reads
}

// OpenPast prepares to look at the past. The caller closes it.
func (w *Warehouse) OpenPast() (*Past, error) {
	options, err := w.config.options()
	if err != nil {
		return nil, err
	}
	all, err := Views()
	if err != nil {
		return nil, err
	}
	p := &Past{warehouse: w, server: clickhouse.OpenDB(options), plans: map[string]*plan{}, sides: []*side{{}, {}, {}}}
	p.server.SetMaxIdleConns(0) // a session that is left is over: in a pool it would keep its temporary tables
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
	for _, s := range p.sides {
		s.mu.Lock()
		errs = append(errs, s.leave())
		s.mu.Unlock()
	}
	return errors.Join(append(errs, p.server.Close())...)
}

// Expect implements rules.Foreseeing: it begins to keep what these queries will read, and returns at once.
func (p *Past) Expect(ctx context.Context, at time.Time, queries []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sides[0] // what was expected longest ago is over
	p.sides = append(p.sides[1:], s)
	s.mu.Lock()
	s.at = at
	go func() {
		defer s.mu.Unlock()
		if err := p.keep(ctx, s, queries); err != nil {
			_ = s.leave() // the views say what is wrong, to the rule that asks
		}
	}()
}

// Rows implements rules.Warehouse.
func (p *Past) Rows(ctx context.Context, text string, at time.Time) ([]alert.Row, error) {
	for _, s := range p.foretold() {
		if rows, answered := p.ask(ctx, s, text, at); answered {
			return rows, nil
		}
	}
	return p.warehouse.Rows(ctx, text, at)
}

func (p *Past) foretold() []*side {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sides)
}

// ask asks one side, where it is of this instant and knows the query. After a failure nothing is kept: the session may be gone.
func (p *Past) ask(ctx context.Context, s *side, text string, at time.Time) (rows []alert.Row, answered bool) {
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
func (s *side) leave() error {
	s.at, s.plan = time.Time{}, nil
	if s.session == nil {
		return nil
	}
	err := s.session.Close()
	s.session = nil
	return err
}

// keep works out what the plan of these queries keeps.
func (p *Past) keep(ctx context.Context, s *side, queries []string) (err error) {
	p.warehouse.keeping.RLock()
	defer p.warehouse.keeping.RUnlock()
	if s.session == nil {
		if s.session, err = p.server.Conn(ctx); err != nil {
			return p.warehouse.explain("opening a session", err)
		}
	}
	for _, v := range s.kept() {
		if err := p.execute(ctx, s, "drop_snapshot", v); err != nil {
			return p.warehouse.explain("dropping what the view "+v.Name+" said before", err)
		}
	}
	if s.plan, err = p.planOf(ctx, s, queries); err != nil {
		return err
	}
	for _, v := range s.plan.kept {
		if err := p.execute(ctx, s, "take_snapshot", v); err != nil {
			return p.warehouse.explain("keeping what the view "+v.Name+" says at "+s.at.Format(time.RFC3339), err)
		}
	}
	return nil
}

func (s *side) kept() []keptView {
	if s.plan == nil {
		return nil
	}
	return s.plan.kept
}

// execute runs a statement about what is kept of a view.
func (p *Past) execute(ctx context.Context, s *side, name string, v keptView) error {
	ctx, cancel := p.warehouse.within(ctx)
	defer cancel()
	put := strings.NewReplacer("the_snapshot", v.table(), "the_columns", v.columns, "-- the view --", "("+v.text+"\n)")
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"at": timeParameter(s.at)})
	_, err := s.session.ExecContext(clickhouse.Context(ctx, parameters), put.Replace(query(name)))
	return err
}

// rows is the reading of Warehouse.Rows, in the session.
func (p *Past) rows(ctx context.Context, s *side, text string) ([]alert.Row, error) {
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
	all, err := rowsOf(rows, columns)
	return all, p.warehouse.explain("reading rows", tooSlow(err))
}

func (v *View) table() string { return v.Name + "_snapshot" }

// Subjects says nothing of any contract: what an alert would have said is not worked out, as nobody is told.
func (p *Past) Subjects(context.Context, time.Time, []churn.ContractKey) (map[churn.ContractKey]alert.Subject, error) {
	return nil, nil
}
