//go:build linux || darwin

package embedded

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func TestClickHouseDiesWithItsParent(t *testing.T) {
	needEngine(t)
	dir := t.TempDir()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+dir)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the parent did not start ClickHouse: %v", err)
	}
	watch := watchDeath(t, strings.TrimSpace(line))
	if err := parent.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	parent.Wait()
	watch()
	start(t, ClickHouseOptions{DataDir: dir}) // the lock went with the child
}

// watchDeath connects and returns a function that waits until the server's end
// closes the connection.
func watchDeath(t *testing.T, addr string) func() {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(deadline))
		if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the child outlives its parent")
		}
	}
}

func TestClickHouseTellsOfItsDeath(t *testing.T) {
	ch := start(t, ClickHouseOptions{})
	if err := ch.Err(); err != nil {
		t.Fatalf("while it runs: %v", err)
	}
	if err := syscall.Kill(ch.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ch.Done():
	case <-time.After(deadline):
		t.Fatal("Done does not close")
	}
	if err := ch.Err(); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("after its death: %v", err)
	}
}

// A killed server is the demo's power cut: what it acknowledged must be there.
func TestClickHouseKeepsDataWhenKilled(t *testing.T) {
	dir := t.TempDir()
	ch := start(t, ClickHouseOptions{DataDir: dir})
	run(t, connect(t, ch, clickhouse.Auth{}),
		"CREATE DATABASE kept",
		"CREATE TABLE kept.numbers (n UInt64) ENGINE = MergeTree ORDER BY n",
		"INSERT INTO kept.numbers SELECT number FROM numbers(1000)")
	if err := syscall.Kill(ch.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-ch.Done()
	again := start(t, ClickHouseOptions{DataDir: dir})
	if got := count(t, connect(t, again, clickhouse.Auth{}), "SELECT count() FROM kept.numbers"); got != 1000 {
		t.Errorf("%d rows, want 1000", got)
	}
}

func TestClickHouseStopsDuringAQuery(t *testing.T) {
	ch := start(t, ClickHouseOptions{})
	db := connect(t, ch, clickhouse.Auth{})
	running := make(chan error, 1)
	go func() {
		running <- db.Exec(t.Context(), "SELECT sleepEachRow(1) FROM numbers(60) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0")
	}()
	other := connect(t, ch, clickhouse.Auth{})
	eventually(t, func() bool {
		return count(t, other, "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow%'") == 1
	})
	began := time.Now()
	err := ch.Stop(t.Context())
	t.Logf("stopped in %v: %v", time.Since(began), err)
	if took := time.Since(began); took > stopTimeout+5*time.Second {
		t.Errorf("Stop took %v", took)
	}
	if err := <-running; err == nil {
		t.Error("the query ended well")
	}
}

func eventually(t *testing.T, true func() bool) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	late := time.After(deadline)
	for !true() {
		select {
		case <-again.C:
		case <-late:
			t.Fatal("it never came true")
		}
	}
}
