package embedded

import "syscall"

// childAttributes puts the child in a process group of its own, so that Ctrl-C
// reaches only the parent, which then stops the child in order. A parent that
// is killed outright closes the child's standard input, which ends it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
