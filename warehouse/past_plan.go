package warehouse

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// planOf decides which views are kept for a set of queries: those that are read more than once.
func (p *Past) planOf(ctx context.Context, s *prefetched, queries []string) (*plan, error) {
	key := strings.Join(queries, "\x00")
	p.planning.Lock()
	defer p.planning.Unlock()
	if made := p.plans[key]; made != nil {
		return made, nil
	}
	var texts []string // to be asked, naming views as the views' own files do
	for _, q := range queries {
		for i := range p.views {
			q = strings.ReplaceAll(q, p.views[i].asOfAt(), p.views[i].inlined())
		}
		texts = append(texts, q)
	}
	made := &plan{answers: map[string]string{}}
	kept := map[string]bool{}
	for i := len(p.views) - 1; i >= 0; i-- { // a view comes after those that it reads
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

// resolve replaces the views that a text reads: by the table that keeps a view, or by the view's own query where it is not kept.
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

// columnsRead asks the server which columns of a view these texts read: it plans each of them over an empty table in place of the
// view. Where that cannot be planned, or the plan does not show every read, as in a scalar subquery, all columns are kept.
func (p *Past) columnsRead(ctx context.Context, s *prefetched, v *View, texts []string) (string, error) {
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
		if err != nil || len(shown) < reads { // what is wrong with a query shows when it is run
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
	for _, c := range columns { // in the order of the view, which * and ORDER BY ALL depend on
		if read[c.Name] {
			names = append(names, "`"+c.Name+"`")
		}
	}
	return strings.Join(names, ", "), nil
}

// planned is a node of a plan as EXPLAIN prints it.
type planned struct {
	Type   string `json:"Node Type"`
	Header []struct{ Name string }
	Plans  []planned
}

// plannedReads returns the columns of each read of the empty table, the only one with the engine Memory.
func (p *Past) plannedReads(ctx context.Context, s *prefetched, text string) ([][]string, error) {
	ctx, cancel := p.warehouse.within(ctx)
	defer cancel()
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"at": timeParameter(s.at)})
	// The query is the caller's, so the statement around it cannot be whole in its file.
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
