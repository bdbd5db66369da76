package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aftershock/aftershock/embedded/child"
)

// The child of a program that was killed needs a moment to die, and holds the
// lock until then: starting the program again at once should work.
const lockPatience = 2 * time.Second

// openDataDir makes dir where it is missing, or a temporary one when dir is
// empty, and locks it: two servers over the same files would damage them.
func openDataDir(ctx context.Context, dir, tempPattern string) (path string, temporary bool, lock *os.File, err error) {
	if temporary = dir == ""; temporary {
		dir, err = os.MkdirTemp("", tempPattern)
	} else if dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", false, nil, fmt.Errorf("making the data directory: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	lock, err = child.LockWait(ctx, filepath.Join(dir, "lock"))
	switch {
	case errors.Is(err, child.ErrLocked):
		err = fmt.Errorf("data directory %s is in use: %w: try to stop that one, or another directory", dir, err)
	case err != nil:
		err = fmt.Errorf("locking the data directory: %w", err)
	}
	if err != nil && temporary {
		os.RemoveAll(dir)
	}
	return dir, temporary, lock, err
}
