package testservers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/aftershock/aftershock/embedded"
)

// Server is a ClickHouse for tests. Its user "default" has no password.
type Server struct {
	Addr     string // host:port of the native protocol
	HTTPAddr string // host:port of HTTP
}

var sharedClickHouse = sync.OnceValues(func() (*Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	ch, err := embedded.StartClickHouse(ctx, embedded.ClickHouseOptions{})
	if err != nil {
		return nil, err
	}
	atEnd(ch.Stop)
	return &Server{Addr: ch.Addr(), HTTPAddr: ch.HTTPAddr()}, nil
})

// ClickHouse returns the server that all tests of this binary share. It starts
// with the first call and stops in Main.
func ClickHouse(t testing.TB) *Server {
	t.Helper()
	server, err := sharedClickHouse()
	var notFetched *embedded.EngineMissingError
	switch {
	case errors.As(err, &notFetched):
		missing(t, err)
	case err != nil:
		t.Fatal(err)
	}
	return server
}

var databases atomic.Int64

// Database creates an empty database on the shared server and returns its
// name. It is dropped at the end of the test.
func Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	db := Connect(t, "default")
	if err := db.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("creating the test's database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), bound)
		defer cancel()
		if err := db.Exec(ctx, "DROP DATABASE "+name+" SYNC"); err != nil {
			t.Errorf("dropping the test's database: %v", err)
		}
	})
	return name
}

// Connect opens a connection to a database of the shared server. It is closed
// at the end of the test.
func Connect(t testing.TB, database string) driver.Conn {
	t.Helper()
	db, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{ClickHouse(t).Addr},
		Auth: clickhouse.Auth{Database: database},
	})
	if err != nil {
		t.Fatalf("connecting to the test's ClickHouse: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
