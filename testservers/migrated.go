package testservers

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Migrated returns the name of a database that migrate made and brought up to date. It is the caller's own until done, which a
// test calls when nothing writes to the database any more.
//
// To migrate from nothing takes the server most of a second. So done has forget remove what was stored, and where all is then as
// migrate left it, schema and rows, the next caller gets the database.
func Migrated(t testing.TB, migrate, forget func(database string) error) (name string, done func()) {
	t.Helper()
	ClickHouse(t)
	d := take()
	if d == nil {
		var err error
		if d, err = newMigrated(migrate); err != nil {
			t.Fatalf("making the test's database: %v", err)
		}
	}
	return d.name, func() {
		if t.Failed() { // what is in it may tell why
			return
		}
		if err := d.release(forget); err != nil {
			t.Errorf("clearing the test's database: %v", err)
		}
	}
}

// migrated is a database that holds what migrating put there, and nothing else while it is free.
type migrated struct {
	db    driver.Conn
	name  string
	state string
}

var (
	freeMutex sync.Mutex
	free      []*migrated
)

func take() *migrated {
	freeMutex.Lock()
	defer freeMutex.Unlock()
	if len(free) == 0 {
		return nil
	}
	d := free[len(free)-1]
	free = free[:len(free)-1]
	return d
}

// overseer is the connection that looks at databases and drops them.
var overseer = sync.OnceValues(func() (driver.Conn, error) {
	server, err := sharedClickHouse()
	if err != nil {
		return nil, err
	}
	return clickhouse.Open(&clickhouse.Options{Addr: []string{server.Addr}})
})

func newMigrated(migrate func(database string) error) (*migrated, error) {
	db, err := overseer()
	if err != nil {
		return nil, err
	}
	d := &migrated{db: db, name: fmt.Sprintf("migrated_%d_%d", os.Getpid(), databases.Add(1))}
	if err := migrate(d.name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	d.state, err = d.look(ctx)
	return d, err
}

// release gives the database to the next caller, if it can be made what it was.
func (d *migrated) release(forget func(database string) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	if err := forget(d.name); err != nil {
		return err
	}
	state, err := d.look(ctx)
	if err != nil {
		return err
	}
	if state != d.state {
		return d.db.Exec(ctx, "DROP DATABASE "+d.name+" SYNC")
	}
	freeMutex.Lock()
	defer freeMutex.Unlock()
	free = append(free, d)
	return nil
}

// look returns the definitions of all tables, and what is in those that are not empty.
func (d *migrated) look(ctx context.Context) (string, error) {
	state, err := d.strings(ctx, "SELECT concat(name, ' ', create_table_query) FROM system.tables WHERE database = {database:String} ORDER BY name")
	if err != nil {
		return "", err
	}
	filled, err := d.strings(ctx, "SELECT name FROM system.tables WHERE database = {database:String} AND total_rows > 0 ORDER BY name")
	if err != nil {
		return "", err
	}
	for _, table := range filled {
		sum, err := d.strings(ctx, "SELECT toString((count(), sum(cityHash64(*)))) FROM "+d.name+".`"+table+"`")
		if err != nil {
			return "", err
		}
		state = append(state, table, sum[0])
	}
	return strings.Join(state, "\n"), nil
}

// strings runs a query of one column.
func (d *migrated) strings(ctx context.Context, query string) (all []string, err error) {
	rows, err := d.db.Query(ctx, query, clickhouse.Named("database", d.name))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}
