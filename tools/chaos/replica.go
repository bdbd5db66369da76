package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// replica is one `aftershock run`, which is killed, paused and started again.
type replica struct {
	name       string
	binary     string
	env        []string
	logPath    string
	steps      string // host:port where its named steps are armed
	console    string // host:port
	clickhouse *proxy
	kafka      *proxy

	mu      sync.Mutex
	wanted  bool // to run: where it ends by itself it is started again, as any supervisor would
	process *os.Process
	done    chan struct{} // closed when the process has ended
	exit    error         // how; set before done closes
	peak    int64         // bytes of resident memory, over all its lives
	revived int           // times that it ended by itself
}

const reviveAfter = time.Second

// start starts the process; it does nothing where it runs.
func (r *replica) start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = true
	if r.process != nil {
		return nil
	}
	log, err := os.OpenFile(r.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("starting replica %s: %w", r.name, err)
	}
	defer log.Close()
	c := exec.Command(r.binary, "run")
	c.Env, c.Stdout, c.Stderr, c.SysProcAttr = r.env, log, log, attributes()
	done, started := make(chan struct{}), make(chan error)
	go func() {
		runtime.LockOSThread() // Linux kills the child with the thread that started it
		err := c.Start()
		started <- err
		if err != nil {
			return
		}
		exit := c.Wait()
		r.mu.Lock()
		r.exit, r.process = exit, nil
		if r.wanted {
			r.revived++
			time.AfterFunc(reviveAfter, r.revive)
		}
		r.mu.Unlock()
		close(done)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting replica %s: %w", r.name, err)
	}
	r.process, r.done = c.Process, done
	return nil
}

func (r *replica) revive() {
	r.mu.Lock()
	wanted := r.wanted
	r.mu.Unlock()
	if wanted {
		_ = r.start()
	}
}

func (r *replica) unwanted() {
	r.mu.Lock()
	r.wanted = false
	r.mu.Unlock()
}

func (r *replica) running() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.process != nil
}

// signal sends a signal to the process, if it runs.
func (r *replica) signal(s syscall.Signal) {
	r.look()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process != nil {
		_ = r.process.Signal(s)
	}
}

// kill ends the process at once and waits for its end.
func (r *replica) kill() {
	r.unwanted()
	r.signal(syscall.SIGKILL)
	r.wait(time.Minute)
}

// stop asks the process to end and kills it where it does not.
func (r *replica) stop(patience time.Duration) error {
	r.unwanted()
	if !r.running() {
		return nil
	}
	r.signal(syscall.SIGTERM)
	if !r.wait(patience) {
		r.kill()
		return fmt.Errorf("replica %s had not ended %s after SIGTERM", r.name, patience)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.exit != nil {
		return fmt.Errorf("replica %s ended after SIGTERM with: %w", r.name, r.exit)
	}
	return nil
}

func (r *replica) wait(patience time.Duration) bool {
	r.mu.Lock()
	done := r.done
	r.mu.Unlock()
	if done == nil {
		return true
	}
	select {
	case <-done:
		return true
	case <-time.After(patience):
		return false
	}
}

// look notes the peak of the process's resident memory, which the kernel keeps.
func (r *replica) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == nil {
		return
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.process.Pid))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64); err == nil {
				r.peak = max(r.peak, kib<<10)
			}
		}
	}
}

// arm makes the first arrival at the step wait there.
func (r *replica) arm(ctx context.Context, step string, there time.Duration) error {
	_, err := r.ask(ctx, http.MethodPut, step, fmt.Sprintf("1*sleep(%d)", there.Milliseconds()))
	return err
}

func (r *replica) disarm(ctx context.Context, step string) {
	_, _ = r.ask(ctx, http.MethodDelete, step, "")
}

// arrived reports whether the armed step was reached.
func (r *replica) arrived(ctx context.Context, step string) bool {
	said, err := r.ask(ctx, http.MethodGet, step+"/count", "")
	return err == nil && strings.TrimSpace(said) != "0"
}

var stepClient = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (r *replica) ask(ctx context.Context, method, path, body string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+r.steps+"/"+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	response, err := stepClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = errors.New(strings.TrimSpace(string(said)))
	}
	return string(said), err
}
