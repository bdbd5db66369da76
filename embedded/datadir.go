package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

var errLocked = errors.New("locked")

// openDataDir makes dir where it is missing, or a temporary one when dir is
// empty, and locks it: two servers over the same files would damage them.
func openDataDir(dir, tempPattern string) (path string, temporary bool, lock *os.File, err error) {
	if temporary = dir == ""; temporary {
		dir, err = os.MkdirTemp("", tempPattern)
	} else if dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", false, nil, fmt.Errorf("making the data directory: %w", err)
	}
	lock, err = lockDir(dir)
	if err != nil && temporary {
		os.RemoveAll(dir)
	}
	return dir, temporary, lock, err
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	if err := lockFile(f); err != nil {
		holder := lockHolder(f)
		f.Close()
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("data directory %s is in use by another process%s: try to stop that one, or another directory", dir, holder)
		}
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	fmt.Fprintln(f, os.Getpid()) // only for the message above: the lock itself is the kernel's
	return f, nil
}

func lockHolder(f *os.File) string {
	text, _ := io.ReadAll(io.LimitReader(f, 32))
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (started by process %d)", pid)
}
