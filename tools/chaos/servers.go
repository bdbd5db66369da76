package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aftershock/aftershock/embedded"
	realkafka "github.com/aftershock/aftershock/testservers/kafka"
)

// server is a process that is stopped, killed and started again on the same data and ports.
type server struct {
	launch func(ctx context.Context) (running, error)
	held   sync.Mutex // by whoever stops it and starts it again
	now    running
	fallen int // times that it ended by itself
}

// running is what the embedded servers have in common.
type running interface {
	PID() int
	Done() <-chan struct{}
	Stop(ctx context.Context) error
}

func newBroker(options realkafka.Options) *server {
	return &server{launch: func(ctx context.Context) (running, error) { return realkafka.Start(ctx, options) }}
}

func newClickHouse(options embedded.ClickHouseOptions) *server {
	return &server{launch: func(ctx context.Context) (running, error) { return embedded.StartClickHouse(ctx, options) }}
}

func (s *server) start(ctx context.Context) error {
	now, err := s.launch(ctx)
	if err == nil {
		s.now = now
	}
	return err
}

// close stops the server for good.
func (s *server) close() {
	s.held.Lock()
	defer s.held.Unlock()
	if s.now != nil {
		_ = s.now.Stop(context.Background()) // it has a bound of its own; where it had to kill, so be it
	}
}

// restart ends the server in one way or another, and starts it after a while.
func (s *server) restart(ctx context.Context, end func(), after time.Duration) error {
	s.held.Lock()
	defer s.held.Unlock()
	end()
	sleep(ctx, after)
	var err error
	for range startTries {
		if err = s.start(ctx); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// startTries is how often a start is tried: on a machine with much else to do one may take longer than it is given.
const startTries = 3

// falls is how often the server ended by itself.
func (s *server) falls() int {
	s.held.Lock()
	defer s.held.Unlock()
	return s.fallen
}

func (s *server) stop() { _ = s.now.Stop(context.Background()) }

func (s *server) kill() {
	s.signal(syscall.SIGKILL)
	<-s.now.Done()
}

// pause stops the process for a while.
func (s *server) pause(ctx context.Context, d time.Duration) {
	s.held.Lock()
	defer s.held.Unlock()
	s.signal(syscall.SIGSTOP)
	sleep(ctx, d)
	s.signal(syscall.SIGCONT)
}

func (s *server) signal(signal syscall.Signal) {
	select {
	case <-s.now.Done(): // its number may be another process's by now
	default:
		_ = syscall.Kill(s.now.PID(), signal)
	}
}

// supervise starts the server again where it ends by itself, until the context ends.
func (s *server) supervise(ctx context.Context) {
	for ; ctx.Err() == nil; sleep(ctx, 500*time.Millisecond) {
		s.held.Lock()
		select {
		case <-s.now.Done():
			if ctx.Err() == nil && s.start(ctx) == nil {
				s.fallen++
			}
		default:
		}
		s.held.Unlock()
	}
}

// query runs one statement over HTTP, past the proxies and outside the pipeline's connections, and hands its answer over.
func (h *house) query(ctx context.Context, statement string, parameters map[string]string, read func(io.Reader) error) error {
	values := url.Values{"database": {database}, "wait_end_of_query": {"1"}, "max_memory_usage": {"3000000000"}}
	for name, value := range parameters {
		values.Set("param_"+name, value)
	}
	address := fmt.Sprintf("http://%s/?%s", h.httpAddr, values.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(statement))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 2000))
		return errors.New(strings.TrimSpace(string(said)))
	}
	return read(response.Body)
}

// freePorts are free when it looks. They lie below those that the kernel gives to whoever asks for any, which are most of all the
// replicas when they try to connect to a server that is away: its own port must be free when it comes back.
func freePorts(n int) (ports []int, err error) {
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		port := 10_000 + rand.IntN(20_000)
		listener, err := net.Listen("tcp", local(port))
		if err != nil {
			continue
		}
		defer listener.Close() // at the end, so that no two are the same
		ports = append(ports, port)
	}
	return nil, errors.New("finding free ports between 10000 and 30000: there are none")
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// until asks again and again, and reports whether the answer became true in time.
func until(ctx context.Context, patience time.Duration, is func() bool) bool {
	for end := time.Now().Add(patience); ctx.Err() == nil && time.Now().Before(end); sleep(ctx, 20*time.Millisecond) {
		if is() {
			return true
		}
	}
	return false
}
