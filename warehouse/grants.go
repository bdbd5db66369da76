package warehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// grant is something that a user may or may not do; queries/name.sql asks the server.
type grant struct{ name, doing string }

var (
	runGrants = []grant{
		{"may_select", "read (SELECT) all of the database"}, {"may_insert", "add (INSERT) to all of the database"},
		{"may_send_tables", "send lists of ids along with a query (CREATE TEMPORARY TABLE), beside the database"},
		{"may_see_statements", "see in system.processes what an earlier leader still runs, beside the database"},
	}
	migrateGrants = []grant{{"may_make_tables", "create, alter and drop tables and views in all of the database"}, {"may_use_engine", "use the table engine MergeTree, for the database"}}
)

// CheckGrants refuses to start where the user may not read and write everything in the database: consumers would wait for a missing
// grant for ever.
func (w *Warehouse) CheckGrants(ctx context.Context) error { return w.mayDo(ctx, runGrants) }

// mayDo asks about each grant. On a server that does not know CHECK GRANT, missing grants show later.
func (w *Warehouse) mayDo(ctx context.Context, grants []grant) error {
	var errs []error
	for _, g := range grants {
		var answer uint8
		_, err := w.one(ctx, g.name, nil, &answer)
		var exception *clickhouse.Exception
		switch {
		case errors.As(err, &exception) && exception.Code == codeSyntaxError:
			return nil
		case err != nil:
			return fmt.Errorf("asking what the user may do: %w", err)
		case answer != 1:
			errs = append(errs, fmt.Errorf("user %s may not %s %s: deploy/clickhouse/users.sql has the grant", w.config.User, g.doing, w.config.Database))
		}
	}
	return errors.Join(errs...)
}
