// Package realalertmanager runs a real Prometheus Alertmanager for tests, on loopback and alone. The first time it is built
// from its Go module, which takes some minutes; then it starts in less than a second.
package alertmanager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aftershock/aftershock/embedded/child"
)

// Version is what is built: the newest one whose module holds its built pages.
const Version = "v0.28.1"

const (
	startTimeout = 10 * time.Minute // the first start builds it
	stopTimeout  = 20 * time.Second // then it is killed
	tries        = 3                // another process may take a port between choosing and using it
)

// Options say how Alertmanager runs.
type Options struct {
	// Config is the text of its configuration file.
	Config string
	// Dir keeps configuration, log, silences and what was notified across starts. Defaults to a temporary directory that Stop
	// removes.
	Dir string
	// Port is the loopback port. Defaults to a free one.
	Port int
}

// Alertmanager is a running one.
type Alertmanager struct {
	addr      string
	dir       string
	temporary bool
	process   *child.Process
	stopOnce  sync.Once
	stopErr   error
}

// Start builds Alertmanager where that was never done, starts it and returns when it is ready. ctx bounds the start only.
func Start(ctx context.Context, options Options) (*Alertmanager, error) {
	a, err := start(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("starting Alertmanager: %w", err)
	}
	return a, nil
}

func start(ctx context.Context, options Options) (*Alertmanager, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	binary, err := build(ctx)
	if err != nil {
		return nil, err
	}
	dir, temporary := options.Dir, options.Dir == ""
	if temporary {
		dir, err = os.MkdirTemp("", "aftershock-alertmanager-")
	} else if dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("making the directory: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "alertmanager.yml"), []byte(options.Config), 0o644); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	for try := 1; ; try++ {
		a := &Alertmanager{dir: dir, temporary: temporary}
		err := a.run(ctx, binary, options.Port)
		if err == nil {
			return a, nil
		}
		if try == tries || !strings.Contains(a.said(), "address already in use") {
			return nil, errors.Join(err, a.removeTemporary())
		}
	}
}

// run makes one try, and leaves no process behind when it fails.
func (a *Alertmanager) run(ctx context.Context, binary string, port int) error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return fmt.Errorf("choosing a port: %w", err)
	}
	a.addr = listener.Addr().String()
	listener.Close()
	log, err := os.Create(a.LogPath())
	if err != nil {
		return fmt.Errorf("making the log: %w", err)
	}
	defer log.Close()
	server := exec.Command(binary, "--config.file", filepath.Join(a.dir, "alertmanager.yml"), "--storage.path", filepath.Join(a.dir, "data"),
		"--web.listen-address", a.addr, "--cluster.listen-address=", "--log.level=debug")
	server.Dir = a.dir
	server.Stdout, server.Stderr = log, log
	if a.process, err = child.Start(server); err != nil {
		return fmt.Errorf("starting %s: %w", binary, err)
	}
	if err := a.awaitReady(ctx); err != nil {
		killed, cancel := context.WithCancel(context.Background())
		cancel()
		a.process.Wait(killed) // its error says only that it was killed
		return fmt.Errorf("%w: it said: %s", err, strings.TrimSpace(a.said()))
	}
	return nil
}

func (a *Alertmanager) awaitReady(ctx context.Context) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL()+"/-/ready", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-again.C:
		case <-a.process.Done():
			return errors.New("before it answered " + a.process.Exit())
		case <-ctx.Done():
			return fmt.Errorf("waiting for its answer: %w", ctx.Err())
		}
	}
}

// URL is where its API and its pages are.
func (a *Alertmanager) URL() string { return "http://" + a.addr }

// Port is the loopback port.
func (a *Alertmanager) Port() int {
	addr, _ := net.ResolveTCPAddr("tcp", a.addr) // it has listened there
	return addr.Port
}

// LogPath is its own log.
func (a *Alertmanager) LogPath() string { return filepath.Join(a.dir, "alertmanager.log") }

// Stop asks it to end, waits for it as long as ctx and twenty seconds allow, then kills it, and removes a temporary directory.
// It returns an error when it had to kill. A second call waits for the first.
func (a *Alertmanager) Stop(ctx context.Context) error {
	a.stopOnce.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		a.process.Terminate() // fails only when it has ended already
		if err := a.process.Wait(ctx); err != nil {
			a.stopErr = fmt.Errorf("stopping Alertmanager: %w", err)
		}
		a.stopErr = errors.Join(a.stopErr, a.removeTemporary())
	})
	return a.stopErr
}

func (a *Alertmanager) removeTemporary() error {
	if !a.temporary {
		return nil
	}
	return os.RemoveAll(a.dir)
}

func (a *Alertmanager) said() string {
	text, _ := os.ReadFile(a.LogPath())
	return string(text)
}
