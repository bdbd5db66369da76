package rules

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/text"
)

// Explainer asks the warehouse what a query would return, without running it over data.
type Explainer interface {
	Columns(ctx context.Context, query string) ([]alert.Column, error)
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

func (r *Rule) checkColumns(columns []alert.Column) (problems Problems) {
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
	if r.HappenedAt != "" && !slices.Contains(names, r.HappenedAt) {
		missing(r.columns[r.HappenedAt], "happened_at", r.HappenedAt)
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

// What the warehouse says of a mistake: the text from there on, or the name that it does not know. Its own line and column
// count from the start of the statement that it was sent, which is not the query alone.
var (
	sqlRest = regexp.MustCompile(`(?s)failed at position \d+.*?\(line \d+, col \d+\): (\S.{0,40})`)
	sqlName = regexp.MustCompile("(?:identifier|function|table|column|expression)[^`'\"]{0,30}[`'\"]([A-Za-z_][A-Za-z0-9_.]*)[`'\"]")
)

func (r *Rule) sqlProblem(err error) Problem {
	p := Problem{File: r.File, Line: r.query.line, Column: r.query.column,
		Message: fmt.Sprintf("rule %s: the warehouse refuses the query: %s", r.Name, oneLine(err))}
	offset, ok := locate(r.Query, err.Error())
	if !ok {
		return p
	}
	before := r.Query[:offset]
	line := strings.Count(before, "\n")
	column := offset - (strings.LastIndexByte(before, '\n') + 1)
	switch {
	case r.query.block:
		p.Line, p.Column = r.query.line+1+line, r.query.indent+1+column
	case line == 0:
		p.Column += column
	}
	return p
}

var sqlLine = regexp.MustCompile(`\s*\(line \d+, col \d+\)`)

// oneLine keeps the part of the warehouse's message that helps: it may repeat the whole query and every token that it knows.
func oneLine(err error) string {
	helps, _, _ := strings.Cut(err.Error(), ". Expected one of")
	return text.Cut(text.Line(sqlLine.ReplaceAllString(helps, "")), 300, "...")
}

// locate finds where in the query a mistake is that the warehouse told of.
func locate(query, message string) (int, bool) {
	if m := sqlRest.FindStringSubmatch(message); m != nil {
		rest, _, _ := strings.Cut(m[1], "\n")
		if i := strings.Index(query, rest); i >= 0 {
			return i, true
		}
	}
	if m := sqlName.FindStringSubmatch(message); m != nil {
		if at := regexp.MustCompile(`\b` + regexp.QuoteMeta(m[1]) + `\b`).FindStringIndex(query); at != nil {
			return at[0], true
		}
	}
	return 0, false
}
