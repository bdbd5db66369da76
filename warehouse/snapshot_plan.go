package warehouse

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// planOf decides which views are kept for some queries: those that are read more than once.
func (p *Past) planOf(ctx context.Context, s *side, queries []string) (*plan, error) {
	key := strings.Join(queries, "\x00")
	p.planning.Lock()
	defer p.planning.Unlock()
	if made := p.plans[key]; made != nil {
		return made, nil
	}
	var texts []string // that will be asked, naming views as the views' own files do
	for _, q := range queries {
		for i := range p.views {
			q = strings.ReplaceAll(q, p.views[i].asOfAt(), p.views[i].inlined())
		}
		texts = append(texts, q)
	}
	made := &plan{answers: map[string]string{}}
	kept := map[string]bool{}
	for i := len(p.views) - 1; i >= 0; i-- { // whoever reads a view stands behind it
		v := &p.views[i]
		reads := 0
		for _, text := range texts {
			reads += strings.Count(text, v.inlined())
		}
		if reads < 2 {
			for i := range texts {
				texts[i] = strings.ReplaceAll(texts[i], v.inlined(), "("+v.selection(v.written)+"\n)")
			}
			continue
		}
		kept[v.Name] = true
		made.kept = append(made.kept, keptView{View: *v})
		texts = append(texts, v.selection(v.written))
	}
	for i := range made.kept {
		v := &made.kept[i]
		v.text = p.resolve(texts[len(queries)+i], kept)
		var err error
		if v.columns, err = p.columnsRead(ctx, s, &v.View, texts); err != nil {
			return nil, err
		}
	}
	for i, q := range queries {
		made.answers[q] = p.resolve(texts[i], kept)
	}
	slices.Reverse(made.kept)
	p.plans[key] = made
	return made, nil
}

// resolve writes into a text what is kept of the views that it reads, and the views themselves where they are not kept.
func (p *Past) resolve(text string, kept map[string]bool) string {
	for i := len(p.views) - 1; i >= 0; i-- {
		v := &p.views[i]
		instead := v.table()
		if !kept[v.Name] {
			instead = "(" + v.selection(v.written) + "\n)"
		}
		text = strings.ReplaceAll(text, v.inlined(), instead)
	}
	return text
}

// columnsRead asks the server which columns of a view these texts read: it plans each of them over an empty table in the view's
// place. Where that cannot be planned, or does not show every reading, as of a scalar subquery, all columns are taken.
func (p *Past) columnsRead(ctx context.Context, s *side, v *View, texts []string) (string, error) {
	empty := keptView{View: *v, text: strings.Replace(query("none_of"), "-- the view --", p.resolve(v.inlined(), nil), 1), columns: "*"}
	if err := p.execute(ctx, s, "take_snapshot", empty); err != nil {
		return "", p.warehouse.explain("planning over the view "+v.Name, err)
	}
	read, all := map[string]bool{}, false
	for _, text := range texts {
		reads := strings.Count(text, v.inlined())
		if reads == 0 {
			continue
		}
		shown, err := p.plannedReads(ctx, s, p.resolve(text, map[string]bool{v.Name: true}))
		if err != nil || len(shown) < reads { // what is wrong with a query it says itself when it is asked
			all = true
			break
		}
		for _, name := range slices.Concat(shown...) {
			read[name] = true
		}
	}
	if err := p.execute(ctx, s, "drop_snapshot", empty); err != nil {
		return "", p.warehouse.explain("planning over the view "+v.Name, err)
	}
	if all {
		return "*", nil
	}
	columns, err := p.warehouse.Columns(ctx, strings.Replace(query("all_of"), "-- the view --", v.asOfAt(), 1))
	if err != nil {
		return "", p.warehouse.explain("asking for the columns of the view "+v.Name, err)
	}
	var names []string
	for _, c := range columns { // in the order of the view, which * and ORDER BY ALL go by
		if read[c.Name] {
			names = append(names, "`"+c.Name+"`")
		}
	}
	return strings.Join(names, ", "), nil
}

// planned is a node of a plan as EXPLAIN writes it.
type planned struct {
	Type   string `json:"Node Type"`
	Header []struct{ Name string }
	Plans  []planned
}

// plannedReads returns the columns of each reading of the empty table, which is the only one that is kept in memory.
func (p *Past) plannedReads(ctx context.Context, s *side, text string) ([][]string, error) {
	ctx, cancel := p.warehouse.within(ctx)
	defer cancel()
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"at": timeParameter(s.at)})
	// An explanation of the query cannot stand in a file: the query is the caller's.
	rows := s.session.QueryRowContext(clickhouse.Context(ctx, parameters), strings.Replace(query("explain"), "-- the query --", text, 1))
	var answer string
	if err := rows.Scan(&answer); err != nil {
		return nil, p.warehouse.explain("asking how a query is planned", err)
	}
	var plans []struct{ Plan planned }
	if err := json.Unmarshal([]byte(answer), &plans); err != nil {
		return nil, fmt.Errorf("reading the plan of a query: %w", err)
	}
	var shown [][]string
	var walk func(planned)
	walk = func(n planned) {
		if n.Type == "ReadFromMemoryStorage" {
			var columns []string
			for _, c := range n.Header {
				columns = append(columns, c.Name)
			}
			shown = append(shown, columns)
		}
		for _, inner := range n.Plans {
			walk(inner)
		}
	}
	for _, plan := range plans {
		walk(plan.Plan)
	}
	return shown, nil
}
