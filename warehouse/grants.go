package warehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// CheckGrants refuses to work where the user may not read and write everything in the database: without a grant, consumers
// would wait for ever for it to be given. A server that does not know the question is taken at its word later.
func (w *Warehouse) CheckGrants(ctx context.Context) error {
	var errs []error
	for _, g := range []struct{ name, grant string }{{"may_select", "SELECT"}, {"may_insert", "INSERT"}} {
		var allowed bool
		err := w.each(ctx, g.name, noOption, func(scan func(...any) error) error {
			var answer uint8
			err := scan(&answer)
			allowed = answer == 1
			return err
		})
		var exception *clickhouse.Exception
		switch {
		case errors.As(err, &exception) && exception.Code == codeSyntaxError:
			return nil
		case err != nil:
			return fmt.Errorf("asking what the user may do: %w", err)
		case !allowed:
			errs = append(errs, fmt.Errorf("user %s may not %s in all of the database %s: deploy/clickhouse/users.sql has the grant", w.config.User, g.grant, w.config.Database))
		}
	}
	return errors.Join(errs...)
}

func noOption(*clickhouse.QueryOptions) error { return nil }
