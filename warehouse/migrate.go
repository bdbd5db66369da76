package warehouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/pressly/goose/v3"
)

// Migrate creates the database if it is missing, brings its tables up to date, replaces all views and stores the settings
// that views need. A second run changes nothing. A schema newer than this build is refused.
func (w *Warehouse) Migrate(ctx context.Context) error {
	if err := w.createDatabase(ctx); err != nil {
		return err
	}
	if err := w.mayDo(ctx, migrateGrants); err != nil { // goose would only say that its connection broke
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

// Forget removes all that was stored since Migrate, and the tokens of inserts. It is for a warehouse to play in: to migrate a
// fresh one takes much longer.
func (w *Warehouse) Forget(ctx context.Context) error {
	tables, err := all(ctx, w, "tables_of_facts", lone("name"), clickhouse.Parameters{"database": w.config.Database})
	for _, table := range tables {
		if err == nil {
			err = w.exec(ctx, "truncate_table", clickhouse.Parameters{"table": table})
		}
	}
	return w.explain("forgetting what was stored", err)
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

// CheckSchema refuses a schema that is not this build's.
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

// noteSettings stores what views need of the configuration, if it changed.
func (w *Warehouse) noteSettings(ctx context.Context) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{
		"name": "reporting_currency", "value": w.config.ReportingCurrency, "now": timeParameter(w.clock()),
	}))
	return w.explain("storing the reporting currency", w.conn.Exec(ctx, query("note_setting")))
}
