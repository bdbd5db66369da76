//go:build !linux && !darwin

package embedded

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// There is no ClickHouse library for this system; the rest of the program builds and runs.
func runEngine(string, []string) error {
	return fmt.Errorf("embedded ClickHouse does not exist for %s: try Linux or macOS, or a ClickHouse server", runtime.GOOS)
}

func lockFile(*os.File) error {
	return fmt.Errorf("embedded servers do not run on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func childAttributes() *syscall.SysProcAttr { return nil }
