package warehouse

import (
	"context"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"sync"
)

// View is one view as its .sql file describes it.
type View struct {
	Name        string
	Description string // what it answers, from the comment above it
	Example     string // a query, from the comment above it
	create      string
	written     string // create as its file has it, before other views are written into it
}

// Views lists the views in the order in which they build on one another.
func Views() ([]View, error) {
	names, err := fs.Glob(files, "views/*.sql")
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	var views []View
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		for _, statement := range strings.SplitAfter(string(text), ";\n\n") {
			v, err := parseView(statement)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			v.inline(views)
			views = append(views, v)
		}
	}
	return views, nil
}

// parseView reads `-- name: description`, `-- Example:` and the statement below.
func parseView(statement string) (View, error) {
	var v View
	var comment, example, create []string
	inExample := false
	for line := range strings.Lines(statement) {
		line = strings.TrimRight(line, "\n")
		text, isComment := strings.CutPrefix(line, "--")
		text = strings.TrimPrefix(text, " ")
		switch {
		case !isComment || len(create) > 0:
			if line != "" || len(create) > 0 {
				create = append(create, line)
			}
		case strings.TrimSpace(text) == "Example:":
			inExample = true
		case inExample:
			example = append(example, strings.TrimPrefix(text, "  "))
		default:
			comment = append(comment, text)
		}
	}
	v.create = strings.TrimRight(strings.Join(create, "\n"), ";\n ")
	v.written = v.create
	v.Example = strings.Join(example, "\n")
	name, description, found := strings.Cut(strings.Join(comment, " "), ": ")
	v.Name, _, _ = strings.Cut(name, "(")
	v.Description = description
	if !found || v.Example == "" || !strings.HasPrefix(v.create, "CREATE OR REPLACE VIEW "+v.Name+" AS") {
		return v, fmt.Errorf("view %q needs a line `-- name: what it answers`, an example and CREATE OR REPLACE VIEW", name)
	}
	return v, nil
}

// inline writes earlier views into this one, where it says inline(name). ClickHouse analyses a parameterised view twice, and one
// inside another four times: without them, a rule's query is planned in half the time.
func (v *View) inline(before []View) {
	for _, b := range before {
		v.create = strings.ReplaceAll(v.create, b.inlined(), b.subquery())
	}
}

// subquery is the view's text as a query in parentheses.
func (v *View) subquery() string { return "(" + v.selection(v.create) + "\n)" }

// selection is the query of a statement that creates the view.
func (v *View) selection(create string) string {
	return strings.TrimPrefix(create, "CREATE OR REPLACE VIEW "+v.Name+" AS")
}

// flatten writes the views that a rule's query reads as of {at} into the query itself: the same SQL, planned in half the
// time, because a parameterised view is analysed twice.
var flatten = sync.OnceValue(func() *strings.Replacer {
	views, err := Views()
	if err != nil {
		panic(err) // the embedded files are tested
	}
	var pairs []string
	for _, v := range views {
		pairs = append(pairs, v.asOfAt(), v.subquery())
	}
	return strings.NewReplacer(pairs...)
})

// inlined is how another view's file names the view.
func (v *View) inlined() string { return "inline(" + v.Name + ")" }

// asOfAt is how a rule's query names the view as of {at}.
func (v *View) asOfAt() string { return v.Name + "(at = {at:DateTime64(3, 'UTC')})" }

func (w *Warehouse) replaceViews(ctx context.Context) error {
	views, err := Views()
	if err != nil {
		return err
	}
	for _, v := range views {
		if err := w.conn.Exec(ctx, v.create); err != nil {
			return w.explain("replacing the view "+v.Name, err)
		}
	}
	return nil
}
