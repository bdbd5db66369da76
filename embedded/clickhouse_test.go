package embedded

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

func start(t *testing.T, options ClickHouseOptions) *ClickHouse {
	t.Helper()
	needEngine(t)
	ch, err := StartClickHouse(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ch.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return ch
}

func needEngine(t *testing.T) {
	t.Helper()
	_, err := FindEngine()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

func connect(t *testing.T, ch *ClickHouse, auth clickhouse.Auth) driver.Conn {
	t.Helper()
	db, err := clickhouse.Open(&clickhouse.Options{Addr: []string{ch.Addr()}, Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func run(t *testing.T, db driver.Conn, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := db.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func count(t *testing.T, db driver.Conn, query string) uint64 {
	t.Helper()
	var n uint64
	if err := db.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestClickHouseKeepsDataAcrossStarts(t *testing.T) {
	dir := t.TempDir()
	ch := start(t, ClickHouseOptions{DataDir: dir})
	db := connect(t, ch, clickhouse.Auth{})
	run(t, db,
		"CREATE DATABASE kept",
		"CREATE TABLE kept.numbers (n UInt64) ENGINE = MergeTree ORDER BY n")
	batch, err := db.PrepareBatch(t.Context(), "INSERT INTO kept.numbers")
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(1000) {
		if err := batch.Append(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := ch.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("stopped in %v, with a client connected", time.Since(began))
	if err := ch.Err(); err != nil {
		t.Errorf("after Stop: %v", err)
	}
	again := start(t, ClickHouseOptions{DataDir: dir})
	if got := count(t, connect(t, again, clickhouse.Auth{}), "SELECT count() FROM kept.numbers"); got != 1000 {
		t.Errorf("after a restart: %d rows, want 1000", got)
	}
}

func TestClickHouseUsersHavePasswords(t *testing.T) {
	ch := start(t, ClickHouseOptions{Users: map[string]string{"analyst": `<s3cret & "more">`}})
	good := connect(t, ch, clickhouse.Auth{Username: "analyst", Password: `<s3cret & "more">`})
	if err := good.Ping(t.Context()); err != nil {
		t.Errorf("with the password: %v", err)
	}
	bad := connect(t, ch, clickhouse.Auth{Username: "analyst", Password: "wrong"})
	var refusal *clickhouse.Exception
	if err := bad.Ping(t.Context()); !errors.As(err, &refusal) || refusal.Code != 516 {
		t.Errorf("with a wrong password: %v, want exception 516", err)
	}
}

func TestClickHouseExtraConfig(t *testing.T) {
	extra := filepath.Join(t.TempDir(), "limits.xml")
	text := `<clickhouse><max_concurrent_queries>7</max_concurrent_queries></clickhouse>`
	if err := os.WriteFile(extra, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ch := start(t, ClickHouseOptions{Config: extra, MaxMemory: 2 << 30})
	db := connect(t, ch, clickhouse.Auth{})
	if got := count(t, db, "SELECT toUInt64(value) FROM system.server_settings WHERE name = 'max_concurrent_queries'"); got != 7 {
		t.Errorf("max_concurrent_queries: %d, want 7 from the extra file", got)
	}
	if got := count(t, db, "SELECT toUInt64(value) FROM system.server_settings WHERE name = 'max_server_memory_usage'"); got != 2<<30 {
		t.Errorf("max_server_memory_usage: %d, want %d", got, 2<<30)
	}
	if got := count(t, db, "SELECT count() FROM system.tables WHERE database = 'system' AND name LIKE '%\\_log'"); got != 0 {
		t.Errorf("%d system logs, want none", got)
	}
}

func TestClickHouseRefusesToStart(t *testing.T) {
	needEngine(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().(*net.TCPAddr).Port

	inUse := t.TempDir()
	start(t, ClickHouseOptions{DataDir: inUse})

	broken := filepath.Join(t.TempDir(), "broken.xml")
	if err := os.WriteFile(broken, []byte("<clickhouse><oops></clickhouse>"), 0o600); err != nil {
		t.Fatal(err)
	}
	noLibrary := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(noLibrary, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options ClickHouseOptions
		want    []string
	}{
		"native port taken":   {ClickHouseOptions{NativePort: taken}, []string{"address already in use", "try another port"}},
		"http port taken":     {ClickHouseOptions{HTTPPort: taken}, []string{"address already in use", "try another port"}},
		"data dir in use":     {ClickHouseOptions{DataDir: inUse}, []string{"is in use: locked by another process", "try to stop"}},
		"library missing":     {ClickHouseOptions{Library: "/nowhere/libchdb.so"}, []string{"/nowhere/libchdb.so", "npm ci --prefix embedded/engine"}},
		"library is none":     {ClickHouseOptions{Library: noLibrary}, []string{"it said: loading " + noLibrary}},
		"extra config broken": {ClickHouseOptions{Config: broken}, []string{"it said:", "extra.xml"}},
		"extra config gone":   {ClickHouseOptions{Config: broken + ".gone"}, []string{"reading the extra configuration"}},
		"password of default": {ClickHouseOptions{Users: map[string]string{"default": "x"}}, []string{"own session"}},
		"odd user name":       {ClickHouseOptions{Users: map[string]string{"a b": "x"}}, []string{`"a b"`}},
	} {
		t.Run(name, func(t *testing.T) {
			ch, err := StartClickHouse(t.Context(), c.options)
			if err == nil {
				ch.Stop(t.Context())
				t.Fatal("it started")
			}
			t.Log(err)
			for _, want := range append(c.want, "starting embedded ClickHouse: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}
