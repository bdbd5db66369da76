package embedded

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftershock/aftershock/embedded/child"
)

//go:embed clickhouse_start.sql
var startSQL string

const (
	startTimeout = time.Minute      // a cold disk reads half a gigabyte of library
	stopTimeout  = 10 * time.Second // then it is killed; MergeTree survives that
	mebibyte     = 1 << 20
)

// ClickHouseOptions say how an embedded ClickHouse runs. The zero value works.
type ClickHouseOptions struct {
	// DataDir keeps the data across starts. Only one process at a time can use
	// it. Defaults to a temporary directory that Stop removes.
	DataDir string
	// NativePort and HTTPPort are loopback ports. Default to free ones.
	NativePort, HTTPPort int
	// Config is the path of one more configuration file (.xml or .yaml), merged
	// over ours as ClickHouse merges config.d. Defaults to none.
	Config string
	// Users maps names to passwords. The user "default" has no password and
	// exists always. Defaults to none but "default".
	Users map[string]string
	// MaxMemory bounds the server, in bytes. Defaults to 4 GiB.
	MaxMemory int64
	// Library is the path to libchdb.so. Defaults to what FindEngine finds.
	Library string
}

// ClickHouse is a running server.
type ClickHouse struct {
	native, http string
	dir          string
	temporary    bool
	process      *child.Process
	stdin        io.Closer // closing it ends the child
	stopping     chan struct{}
	stopOnce     sync.Once
	stopErr      error
}

// StartClickHouse starts a server and returns when it answers a native ping.
// ctx bounds the start only (and the start gives up after a minute in any
// case); the server runs until Stop, or until this process ends, however it ends.
func StartClickHouse(ctx context.Context, options ClickHouseOptions) (*ClickHouse, error) {
	ch, err := startClickHouse(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("starting embedded ClickHouse: %w", err)
	}
	return ch, nil
}

func startClickHouse(ctx context.Context, options ClickHouseOptions) (*ClickHouse, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if !childMainCalled.Load() {
		return nil, errChildMainLate
	}
	if options.MaxMemory == 0 {
		options.MaxMemory = 4096 * mebibyte
	}
	if options.Library == "" {
		library, err := FindEngine()
		if err != nil {
			return nil, err
		}
		options.Library = library
	} else if _, err := os.Stat(options.Library); err != nil {
		return nil, fmt.Errorf("opening the ClickHouse library: %w: try `make engine` or `npm ci --prefix embedded/engine`", err)
	}
	for _, port := range []int{options.NativePort, options.HTTPPort} {
		if err := portFree(port); err != nil {
			return nil, err
		}
	}
	dir, temporary, lock, err := openDataDir(ctx, options.DataDir, "aftershock-clickhouse-")
	if err != nil {
		return nil, err
	}
	defer lock.Close() // the child has its own handle, and so the lock

	ch := &ClickHouse{dir: dir, temporary: temporary, stopping: make(chan struct{})}
	ports, err := ch.launch(options, lock)
	if err != nil {
		ch.removeTemporary()
		return nil, err
	}
	if err := ch.awaitReady(ctx, ports); err != nil {
		ch.Stop(context.Background()) // its own error would hide the first one
		return nil, err
	}
	return ch, nil
}

// launch starts the child. The channel carries the line with its ports.
func (c *ClickHouse) launch(options ClickHouseOptions, lock *os.File) (<-chan string, error) {
	config, err := options.configure(c.dir)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program to start it as a child: %w", err)
	}
	stderr, err := os.Create(c.stderrPath())
	if err != nil {
		return nil, fmt.Errorf("making the child's log: %w", err)
	}
	defer stderr.Close()

	stdin, keepOpen, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("connecting the child's input: %w", err)
	}
	defer stdin.Close()
	said, stdout, err := os.Pipe()
	if err != nil {
		keepOpen.Close()
		return nil, fmt.Errorf("connecting the child's output: %w", err)
	}
	defer stdout.Close()

	command := exec.Command(self, options.Library, "clickhouse",
		"--config-file="+config,
		"--path="+filepath.Join(c.dir, "clickhouse"),
		"--send_logs_level=information", // here this is the level of its own log too
		"--query", startSQL)
	command.Env = append(os.Environ(), childEnv+"=clickhouse", "TZ=UTC")
	command.Dir = c.dir
	command.Stdin, command.Stdout, command.Stderr = stdin, stdout, stderr
	command.ExtraFiles = []*os.File{lock}
	c.process, err = child.Start(command)
	if err != nil {
		keepOpen.Close()
		said.Close()
		return nil, fmt.Errorf("starting the child process: %w", err)
	}
	c.stdin = keepOpen
	ports := make(chan string, 1)
	go func() {
		defer said.Close()
		line, _ := bufio.NewReader(said).ReadString('\n')
		ports <- line
		io.Copy(io.Discard, said) // until the child ends
	}()
	return ports, nil
}

func (c *ClickHouse) awaitReady(ctx context.Context, ports <-chan string) error {
	var line string
	select {
	case line = <-ports:
	case <-ctx.Done():
		return fmt.Errorf("waiting for its ports: %w%s", ctx.Err(), c.lastWords())
	}
	fields := strings.Fields(line)
	if len(fields) != 2 {
		return fmt.Errorf("it ended before it listened%s", c.lastWords())
	}
	c.native, c.http = loopback(fields[0]), loopback(fields[1])

	db, err := clickhouse.Open(&clickhouse.Options{Addr: []string{c.native}, MaxOpenConns: 1})
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	defer db.Close()
	if err := db.Ping(ctx); err != nil {
		return fmt.Errorf("pinging %s: %w%s", c.native, err, c.lastWords())
	}
	return nil
}

// Addr is the native protocol's host:port, for clickhouse-go.
func (c *ClickHouse) Addr() string { return c.native }

// HTTPAddr is the HTTP interface's host:port.
func (c *ClickHouse) HTTPAddr() string { return c.http }

// LogPath is the server's own log. It stays in DataDir after Stop.
func (c *ClickHouse) LogPath() string { return filepath.Join(c.dir, "clickhouse.log") }

// PID is the child's process id.
func (c *ClickHouse) PID() int { return c.process.PID() }

// Done closes when the child has ended, for whatever reason.
func (c *ClickHouse) Done() <-chan struct{} { return c.process.Done() }

// Err says why the child ended by itself. It is nil while it runs and after Stop.
func (c *ClickHouse) Err() error {
	select {
	case <-c.process.Done():
	default:
		return nil
	}
	select {
	case <-c.stopping:
		return nil
	default:
	}
	return fmt.Errorf("embedded ClickHouse: %s%s", c.process.Exit(), c.lastWords())
}

// Stop asks the server to end, waits for it as long as ctx and ten seconds
// allow, then kills it, and removes a temporary data directory. It returns an
// error when it had to kill. A second call waits for the first.
func (c *ClickHouse) Stop(ctx context.Context) error {
	c.stopOnce.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		close(c.stopping)
		c.stdin.Close()
		if err := c.process.Wait(ctx); err != nil {
			c.stopErr = fmt.Errorf("stopping embedded ClickHouse: %w", err)
		}
		c.stopErr = errors.Join(c.stopErr, c.removeTemporary())
	})
	return c.stopErr
}

func (c *ClickHouse) removeTemporary() error {
	if !c.temporary {
		return nil
	}
	return os.RemoveAll(c.dir)
}

func (c *ClickHouse) stderrPath() string { return filepath.Join(c.dir, "clickhouse.err.log") }

var stackLine = regexp.MustCompile(`^\d+\. `)

// lastWords is the start of what the child said, since the reason of a failed start is there.
func (c *ClickHouse) lastWords() string {
	text, _ := os.ReadFile(c.stderrPath())
	var said []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "Logging ") && !stackLine.MatchString(line) {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		if c.temporary {
			return ""
		}
		return ": see " + c.LogPath()
	}
	return ": it said: " + strings.Join(said[:min(len(said), 5)], " ")
}

func loopback(port string) string { return net.JoinHostPort("127.0.0.1", port) }

// portFree tells in our own words what a server would say less clearly.
func portFree(port int) error {
	if port == 0 {
		return nil
	}
	listener, err := net.Listen("tcp", loopback(strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("listening on port %d: %w: try another port, or 0 for a free one", port, err)
	}
	return listener.Close()
}
