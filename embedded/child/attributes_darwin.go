package child

import "syscall"

// attributes puts the child in a process group of its own, so that Ctrl-C
// reaches only the parent, which then stops the child in order. A parent that
// is killed outright closes the child's standard input, which ends it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
