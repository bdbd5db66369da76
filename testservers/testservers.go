// Package testservers gives tests a real ClickHouse and Kafka brokers without
// installing any. A package that uses it says so once:
//
//	func TestMain(m *testing.M) { os.Exit(testservers.Main(m)) }
//
// and then, in any test:
//
//	db := testservers.Connect(t, testservers.Database(t))
//
// A server that cannot be had skips the test on a laptop and fails it where
// CI=true, so that no check is lost unnoticed.
package testservers

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aftershock/aftershock/embedded"
)

const bound = 2 * time.Minute // for a start or a stop on a busy machine

// Main runs a package's tests and then stops the servers that they shared. It
// returns the exit code. In a child process that holds a server it never returns.
func Main(m *testing.M) int {
	embedded.ChildMain()
	code := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	for _, stop := range stops {
		if err := stop(ctx); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
		}
	}
	return code
}

var (
	stopsMutex sync.Mutex
	stops      []func(context.Context) error
)

func atEnd(stop func(context.Context) error) {
	stopsMutex.Lock()
	defer stopsMutex.Unlock()
	stops = append(stops, stop)
}

// missing ends a test whose server cannot be had: a laptop may lack it, CI may not.
func missing(t testing.TB, why any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
