//go:build !linux && !darwin

package embedded

import (
	"fmt"
	"runtime"
)

// There is no ClickHouse library for this system; the rest of the program builds and runs.
func runEngine(string, []string) error {
	return fmt.Errorf("embedded ClickHouse does not exist for %s: try Linux or macOS, or a ClickHouse server", runtime.GOOS)
}
