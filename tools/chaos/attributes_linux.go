package main

import "syscall"

// attributes put a child into a process group of its own, so that Ctrl-C reaches only us, and let the kernel kill it should we
// die without a word.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
