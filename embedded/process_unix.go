//go:build linux || darwin

package embedded

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the lock or returns errLocked. The lock belongs to the open
// file, so a child that inherits it keeps the directory locked while it lives.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
