package child

import "syscall"

// attributes puts the child in a process group of its own, so that Ctrl-C
// reaches only the parent, which then stops the child in order. Should the
// parent be killed outright the kernel kills the child.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
