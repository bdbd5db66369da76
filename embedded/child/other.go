//go:build !linux && !darwin

package child

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
)

func lockFile(*os.File) error {
	return fmt.Errorf("embedded servers do not run on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func attributes() *syscall.SysProcAttr { return nil }

func terminate(p *os.Process) error { return p.Kill() }
