package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/aftershock/aftershock/embedded"
	"github.com/aftershock/aftershock/warehouse"
)

// servers are the embedded ClickHouse and broker, in processes of their own.
type servers struct {
	command                  *exec.Cmd // nil where another process started them
	clickhouse, http, broker string
	clickhousePID, brokerPID int
}

func (s *servers) String() string {
	return fmt.Sprint(s.clickhouse, " ", s.http, " ", s.broker, " ", s.clickhousePID, " ", s.brokerPID)
}

func parseServers(text string) (*servers, error) {
	var s servers
	if _, err := fmt.Sscan(text, &s.clickhouse, &s.http, &s.broker, &s.clickhousePID, &s.brokerPID); err != nil {
		return nil, fmt.Errorf("reading where the servers are from %q: %w", text, err)
	}
	return &s, nil
}

func startServers(ctx context.Context) (*servers, error) {
	command, err := again(ctx, "-serve", "both")
	if err != nil {
		return nil, err
	}
	// Ctrl-C goes to the measurement first, which needs the servers to its end.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	// The servers end when this closes, however this process ends.
	if _, err := command.StdinPipe(); err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting the servers: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = command.Wait()
		return nil, errSaid
	}
	s, err := parseServers(line)
	if err != nil {
		return nil, errors.Join(err, command.Process.Kill())
	}
	s.command = command
	return s, nil
}

func (s *servers) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	_ = s.command.Wait()
}

func serveUntilTold(ctx context.Context) (err error) {
	ch, err := embedded.StartClickHouse(ctx, embedded.ClickHouseOptions{MaxMemory: 10 << 30})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ch.Stop(context.Background())) }()
	b, err := embedded.StartBroker(ctx, embedded.BrokerOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Stop(context.Background())) }()
	fmt.Println(&servers{clickhouse: ch.Addr(), http: ch.HTTPAddr(), broker: b.Addrs()[0], clickhousePID: ch.PID(), brokerPID: os.Getpid()})
	orphaned := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(orphaned)
	}()
	select {
	case <-ctx.Done():
	case <-orphaned:
	case <-ch.Done():
		return fmt.Errorf("ClickHouse ended: %w", ch.Err())
	}
	return nil
}

// warehouse opens a fresh database.
func (s *servers) warehouse(ctx context.Context, database string) (*warehouse.Warehouse, error) {
	c := warehouse.DefaultConfig()
	c.Addr, c.Database = s.clickhouse, database
	w, err := warehouse.Open(c, time.Now)
	if err != nil {
		return nil, err
	}
	if err := w.Migrate(ctx); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// sql runs one statement over HTTP, outside the pipeline's connections.
func (s *servers) sql(ctx context.Context, database, text string, parameters map[string]any) (string, error) {
	values := url.Values{"database": {database}}
	for name, value := range parameters {
		values.Set("param_"+name, fmt.Sprint(value))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.http+"/?"+values.Encode(), strings.NewReader(text))
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", answer)
	}
	return string(answer), err
}
