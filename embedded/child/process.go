// Package child starts processes that end when this one ends, and locks files
// against other processes.
package child

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

// Process is a child that was started.
type Process struct {
	process *os.Process
	done    chan struct{}
	exit    error // set before done closes
}

// Start starts the command. On Linux the kernel kills the child should this
// process die; elsewhere a child has to notice by itself, say by its standard
// input. Every file that the command uses must be an *os.File.
func Start(command *exec.Cmd) (*Process, error) {
	command.SysProcAttr = attributes()
	p := &Process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux ends the child with the thread that started it, not with the
		// process: so this thread stays until the child is gone.
		runtime.LockOSThread()
		err := command.Start()
		p.process = command.Process
		started <- err
		if err != nil {
			return
		}
		p.exit = command.Wait()
		close(p.done)
	}()
	return p, <-started
}

// PID is the child's process id.
func (p *Process) PID() int { return p.process.Pid }

// Done closes when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how the child ended. Call it after Done.
func (p *Process) Exit() string {
	if p.exit == nil {
		return "it ended by itself"
	}
	return "it ended with " + p.exit.Error()
}

// Terminate asks the child to end.
func (p *Process) Terminate() error { return terminate(p.process) }

// Wait waits for the end until ctx ends. Then it kills the child, waits for
// that, and returns an error.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	if err := p.process.Kill(); err != nil {
		return fmt.Errorf("killing process %d: %w", p.PID(), err)
	}
	<-p.done
	return fmt.Errorf("killed, as it had not ended: %w", ctx.Err())
}
