package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/aftershock/aftershock/embedded"
	"github.com/aftershock/aftershock/embedded/realkafka"
)

// brokerServer is a real Apache Kafka that is stopped, killed and started again on the same data and ports.
type brokerServer struct {
	options realkafka.Options
	kafka   *realkafka.Kafka
}

func (b *brokerServer) start(ctx context.Context) (err error) {
	b.kafka, err = realkafka.Start(ctx, b.options)
	return err
}

func (b *brokerServer) stop(ctx context.Context) {
	if b.kafka != nil {
		_ = b.kafka.Stop(ctx) // where it had to be killed that is a fault, too
	}
}

func (b *brokerServer) kill() { killAndWait(b.kafka.PID(), b.kafka.Done()) }

// storeServer is the embedded ClickHouse, which runs in a process of its own and is killed and started again likewise.
type storeServer struct {
	options    embedded.ClickHouseOptions
	clickhouse *embedded.ClickHouse
}

func (s *storeServer) start(ctx context.Context) (err error) {
	s.clickhouse, err = embedded.StartClickHouse(ctx, s.options)
	return err
}

func (s *storeServer) stop(ctx context.Context) {
	if s.clickhouse != nil {
		_ = s.clickhouse.Stop(ctx)
	}
}

func (s *storeServer) kill() { killAndWait(s.clickhouse.PID(), s.clickhouse.Done()) }

func (s *storeServer) signal(signal syscall.Signal) { _ = syscall.Kill(s.clickhouse.PID(), signal) }

func killAndWait(pid int, done <-chan struct{}) {
	select {
	case <-done: // its number may be another process's by now
	default:
		_ = syscall.Kill(pid, syscall.SIGKILL)
		<-done
	}
}

// query runs one statement over HTTP, past the proxies and outside the pipeline's connections, and hands its answer over.
func (s *storeServer) query(ctx context.Context, statement string, parameters map[string]string, read func(io.Reader) error) error {
	values := url.Values{"database": {database}, "wait_end_of_query": {"1"}, "max_memory_usage": {"3000000000"}}
	for name, value := range parameters {
		values.Set("param_"+name, value)
	}
	address := fmt.Sprintf("http://127.0.0.1:%d/?%s", s.options.HTTPPort, values.Encode())
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

// freePorts are free when it looks.
func freePorts(n int) (ports []int, err error) {
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("choosing a port: %w", err)
		}
		defer listener.Close() // at the end, so that no two are the same
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
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
