package warehouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/pressly/goose/v3"
)

// Migrate creates the database if it is missing, brings its tables up to date, replaces all views and notes the settings
// that views need. A second run changes nothing. It refuses a schema that is newer than this build.
func (w *Warehouse) Migrate(ctx context.Context) error {
	if err := w.createDatabase(ctx); err != nil {
		return err
	}
	if err := w.mayDo(ctx, migrateGrants); err != nil { // goose would tell only that its connection broke
		return err
	}
	db, provider, err := w.migrations()
	if err != nil {
		return err
	}
	defer db.Close()
	if err := refuseNewer(ctx, provider); err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return w.explain("migrating the warehouse", err)
	}
	if err := w.replaceViews(ctx); err != nil {
		return err
	}
	return w.noteSettings(ctx)
}

func (w *Warehouse) createDatabase(ctx context.Context) error {
	return w.asGuest(ctx, "creating the database "+w.config.Database, func(ctx context.Context, conn driver.Conn) error {
		ctx = clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"database": w.config.Database}))
		return conn.Exec(ctx, query("create_database"))
	})
}

// migrations opens the tables' migrations. Goose keeps its ledger in the table schema_versions.
func (w *Warehouse) migrations() (*sql.DB, *goose.Provider, error) {
	options, err := w.config.options()
	if err != nil {
		return nil, nil, err
	}
	dir, err := fs.Sub(files, "migrations")
	if err != nil {
		return nil, nil, err
	}
	db := clickhouse.OpenDB(options)
	provider, err := goose.NewProvider(goose.DialectClickHouse, db, dir, goose.WithTableName("schema_versions"))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("reading the migrations: %w", err), db.Close())
	}
	return db, provider, nil
}

func refuseNewer(ctx context.Context, provider *goose.Provider) error {
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	if current > target {
		return fmt.Errorf("the schema is at version %d, this build knows %d: run the newer aftershock that migrated it", current, target)
	}
	return nil
}

// CheckSchema refuses to work on a schema that is not this build's.
func (w *Warehouse) CheckSchema(ctx context.Context) error {
	if err := w.exists(ctx); err != nil {
		return err
	}
	if err := w.mayDo(ctx, runGrants[:1]); err != nil { // as in Migrate
		return err
	}
	db, provider, err := w.migrations()
	if err != nil {
		return err
	}
	defer db.Close()
	current, target, err := provider.GetVersions(ctx)
	switch {
	case err != nil:
		return w.explain("reading the schema's version", err)
	case current < target:
		return fmt.Errorf("the schema of %s is at version %d, this build needs %d: run `aftershock migrate`", w.config.Database, current, target)
	case current > target:
		return fmt.Errorf("the schema of %s is at version %d, this build knows %d: run the newer aftershock", w.config.Database, current, target)
	}
	return nil
}

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

// inline writes views that were read before into this one, where it says inline(name). ClickHouse analyses a
// parameterised view twice, and one inside another four times: a rule's query is planned in half the time without.
func (v *View) inline(before []View) {
	for _, b := range before {
		v.create = strings.ReplaceAll(v.create, b.inlined(), b.subquery())
	}
}

// subquery is the view's text as a query in parentheses.
func (v *View) subquery() string { return "(" + v.selection(v.create) + "\n)" }

// selection is what a statement that creates the view selects.
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

// noteSettings stores what views need of the configuration, only where it changed.
func (w *Warehouse) noteSettings(ctx context.Context) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{
		"name": "reporting_currency", "value": w.config.ReportingCurrency, "now": timeParameter(w.clock()),
	}))
	return w.explain("noting the reporting currency", w.conn.Exec(ctx, query("note_setting")))
}
