package rules

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aftershock/aftershock/churn"
)

// Explainer asks the warehouse what a query would return, without running it over data.
type Explainer interface {
	Columns(ctx context.Context, query string) ([]churn.Column, error)
}

// Check asks the warehouse for the columns of each query and holds the rule against them: identity, value_at_risk,
// currency, and every column that a label or annotation names. Its error is Problems, or the context's error.
func Check(ctx context.Context, set *Set, explainer Explainer) error {
	var problems Problems
	for _, g := range set.Groups {
		for _, r := range g.Rules {
			columns, err := explainer.Columns(ctx, r.Query)
			if ctx.Err() != nil {
				return fmt.Errorf("checking rule %s: %w", r.Name, ctx.Err())
			}
			if err != nil {
				problems = append(problems, r.sqlProblem(err))
				continue
			}
			problems = append(problems, r.checkColumns(columns)...)
		}
	}
	return problems.err()
}

func (r *Rule) checkColumns(columns []churn.Column) (problems Problems) {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	missing := func(at place, what, name string) {
		hint := "the query returns " + strings.Join(names, ", ")
		if near := nearest(name, names); near != "" {
			hint = "did you mean " + near + "?"
		}
		problems = append(problems, Problem{File: r.File, Line: at.line, Column: at.column, Hint: hint,
			Message: fmt.Sprintf("rule %s: %s names column %q, which the query does not return", r.Name, what, name)})
	}
	for _, name := range r.Identity {
		if !slices.Contains(names, name) {
			missing(r.columns[name], "identity", name)
		}
	}
	if r.ValueAtRisk != "" && !slices.Contains(names, r.ValueAtRisk) {
		missing(r.columns[r.ValueAtRisk], "value_at_risk", r.ValueAtRisk)
	}
	if r.Currency != "" && !slices.Contains(names, r.Currency) {
		at, named := r.columns[r.Currency]
		if !named {
			at = r.columns[r.ValueAtRisk]
		}
		missing(at, "currency (of value_at_risk)", r.Currency)
	}
	for _, t := range r.texts {
		for _, name := range t.fields {
			if !slices.Contains(names, name) {
				missing(t.at, t.section+"."+t.name, name)
			}
		}
	}
	return problems
}

// sqlPlace finds where in the query the warehouse saw the mistake: "(line 3, col 7)".
var sqlPlace = regexp.MustCompile(`\(line (\d+), col (\d+)\)`)

func (r *Rule) sqlProblem(err error) Problem {
	p := Problem{File: r.File, Line: r.query.line, Column: r.query.column,
		Message: fmt.Sprintf("rule %s: the warehouse refuses the query: %v", r.Name, err)}
	m := sqlPlace.FindStringSubmatch(err.Error())
	if m == nil || !r.query.block {
		return p
	}
	line, _ := strconv.Atoi(m[1])
	column, _ := strconv.Atoi(m[2])
	p.Line, p.Column = r.query.line+line, r.query.indent+column
	return p
}
