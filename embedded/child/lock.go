package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("locked by another process")

// Lock takes the lock at path or returns an error that wraps ErrLocked. Closing
// the file frees it. A child that inherits the file holds the lock too, and so
// for as long as it lives.
func Lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		holder := holderOf(f)
		f.Close()
		return nil, fmt.Errorf("%w%s", err, holder)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid()) // for the message only: the lock itself is the kernel's
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// LockWait waits for the lock until ctx ends.
func LockWait(ctx context.Context, path string) (*os.File, error) {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		f, err := Lock(path)
		if err == nil || !errors.Is(err, ErrLocked) {
			return f, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

func holderOf(f *os.File) string {
	text, _ := io.ReadAll(io.LimitReader(f, 32))
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d started it)", pid)
}
