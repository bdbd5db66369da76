package embedded

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// childEnv marks a process as the child that holds ClickHouse.
const childEnv = "AFTERSHOCK_EMBEDDED_CHILD"

var (
	childMainCalled  atomic.Bool
	errChildMainLate = errors.New("this program would start itself without end: " +
		"try embedded.ChildMain() as the first line of main, or testservers.Main in TestMain")
)

// ChildMain is the first call of main() and of TestMain. In a child process
// that StartClickHouse started it runs ClickHouse and never returns; anywhere
// else it returns at once.
func ChildMain() {
	if os.Getenv(childEnv) != "clickhouse" {
		childMainCalled.Store(true)
		return
	}
	os.Unsetenv(childEnv) // whatever this process starts is no such child
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "embedded ClickHouse: started without a library and its arguments")
		os.Exit(2)
	}
	if err := runEngine(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
