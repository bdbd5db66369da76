package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/embedded"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/testservers"
	"github.com/aftershock/aftershock/warehouse"
)

func TestMain(m *testing.M) {
	embedded.ChildMain()
	testscript.Main(withServers{m}, map[string]func(){"aftershock": main})
}

// withServers stops the servers that tests shared when all have run.
type withServers struct{ m *testing.M }

func (w withServers) Run() int { return testservers.Main(w.m) }

// TestScripts runs the command line as a user would, one process a command. Beside testscript's own commands there are:
//
//	servers [USER PASSWORD]  an empty broker and an empty ClickHouse; with a user, who it takes to get in
//	produce TOPIC FILE       writes records, one a line: key, value, and then names and values of headers, apart by tabs;
//	                         ESC stands for the byte that begins a terminal's commands
//	freeport NAME            sets NAME to a port that nobody listens on
//	takenport NAME           sets NAME to a port that is taken
//	status N COMMAND...      runs a command that must exit with N
func TestScripts(t *testing.T) {
	t.Parallel()
	engine, missing := embedded.FindEngine()
	if missing != nil && os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			if missing == nil {
				path, err := filepath.Abs(engine)
				if err != nil {
					return err
				}
				e.Setenv("AFTERSHOCK_ENGINE", path)
			}
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition == "engine" {
				return missing == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"servers": func(ts *testscript.TestScript, _ bool, args []string) {
				// Not one for all scripts: the native listener of the embedded engine dies of a client that it refuses.
				ch, err := embedded.StartClickHouse(context.Background(), embedded.ClickHouseOptions{Users: map[string]string{"analyst": "open sesame"}})
				ts.Check(err)
				ts.Defer(func() { _ = ch.Stop(context.Background()) })
				broker, err := embedded.StartBroker(context.Background(), embedded.BrokerOptions{})
				ts.Check(err)
				ts.Defer(func() { _ = broker.Stop(context.Background()) })
				ts.Setenv("AFTERSHOCK_CLICKHOUSE_ADDR", ch.Addr())
				ts.Setenv("AFTERSHOCK_KAFKA_BROKERS", strings.Join(broker.Addrs(), ","))
				ts.Setenv("AFTERSHOCK_KAFKA_TOPICS_REPLICATION", "1")
				if len(args) == 2 {
					ts.Setenv("AFTERSHOCK_CLICKHOUSE_USER", args[0])
					ts.Setenv("AFTERSHOCK_CLICKHOUSE_PASSWORD", args[1])
				}
			},
			"produce": func(ts *testscript.TestScript, _ bool, args []string) {
				writer := &kafka.Writer{Addr: kafka.TCP(strings.Split(ts.Getenv("AFTERSHOCK_KAFKA_BROKERS"), ",")...), Topic: args[0],
					Balancer: kafka.Murmur2Balancer{Consistent: true}, RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond}
				defer writer.Close()
				for line := range strings.Lines(strings.ReplaceAll(ts.ReadFile(args[1]), "ESC", "\x1b")) {
					fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
					m := kafka.Message{Key: []byte(fields[0]), Value: []byte(fields[1])}
					for h := fields[2:]; len(h) > 1; h = h[2:] {
						m.Headers = append(m.Headers, kafka.Header{Key: h[0], Value: []byte(h[1])})
					}
					ts.Check(writer.WriteMessages(context.Background(), m))
				}
			},
			"status": func(ts *testscript.TestScript, _ bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				code := 0
				var exit *exec.ExitError
				if errors.As(err, &exit) {
					code = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if fmt.Sprint(code) != args[0] {
					ts.Fatalf("exit code %d, want %s", code, args[0])
				}
			},
			"freeport": func(ts *testscript.TestScript, _ bool, args []string) {
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				ts.Check(err)
				ts.Setenv(args[0], fmt.Sprint(listener.Addr().(*net.TCPAddr).Port))
				ts.Check(listener.Close())
			},
			"takenport": func(ts *testscript.TestScript, _ bool, args []string) {
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				ts.Check(err)
				ts.Defer(func() { _ = listener.Close() })
				ts.Setenv(args[0], fmt.Sprint(listener.Addr().(*net.TCPAddr).Port))
			},
		},
	})
}

// TestConfigReferenceListsEveryKey holds the reference against what a YAML encoder makes of the configuration.
func TestConfigReferenceListsEveryKey(t *testing.T) {
	out := command(t, "config", "reference")
	text, err := yaml.Marshal(pipeline.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		if branch, ok := v.(map[string]any); ok {
			for name, v := range branch {
				walk(strings.TrimPrefix(path+"."+name, "."), v)
			}
			return
		}
		n++
		row := "| `" + path + "` | `AFTERSHOCK_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_")) + "` | "
		_, rest, found := strings.Cut(out, row)
		if cells := strings.Split(strings.SplitN(rest, "\n", 2)[0], " | "); !found || len(cells) != 2 || len(cells[1]) < 5 {
			t.Errorf("no such row, or it does not say what it means: %s", row)
		}
	}
	walk("", tree)
	if rows := strings.Count(out, "\n") - 2; rows != n || n < 40 {
		t.Errorf("%d rows for %d keys", rows, n)
	}
}

// command runs a command line in this process and returns what it printed.
func command(t *testing.T, args ...string) string {
	t.Helper()
	var out, progress bytes.Buffer
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&progress)
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("aftershock %s: %v\n%s%s", strings.Join(args, " "), err, &out, &progress)
	}
	return out.String()
}

// server is a broker and a database of a test's own.
type server struct {
	http     string
	database string
	config   pipeline.Config
	file     string // a configuration file that leads a command here
}

// newServer starts an empty broker and makes an empty database with its schema, and topics.
func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{http: testservers.ClickHouse(t).HTTPAddr, config: pipeline.DefaultConfig(), file: filepath.Join(t.TempDir(), "config.yaml")}
	s.config.ClickHouse.Addr, s.config.Kafka.Brokers, s.config.Kafka.Topics.Replication = testservers.ClickHouse(t).Addr, testservers.Broker(t), 1
	s.config.Consumers.ChunkWait = 50 * time.Millisecond
	in := func(database string) {
		t.Helper()
		s.database, s.config.ClickHouse.Database = database, database
		write(t, s.file, fmt.Sprintf("clickhouse: {addr: %q, database: %s}\nkafka: {brokers: [%q], topics: {replication: 1}}\nlog: {level: warn}\n",
			s.config.ClickHouse.Addr, database, s.config.Kafka.Brokers[0]))
	}
	name, done := testservers.Migrated(t, func(database string) error {
		in(database)
		s.command(t, "migrate")
		return nil
	}, s.forget)
	t.Cleanup(done)
	in(name)
	s.command(t, "topics", "create")
	return s
}

func (s *server) forget(string) error {
	w, err := warehouse.Open(s.config.ClickHouse, time.Now)
	if err != nil {
		return err
	}
	defer w.Close()
	return w.Forget(context.Background())
}

// command runs a command line in this process, here, and returns what it printed.
func (s *server) command(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, append([]string{"--config", s.file}, args...)...)
}

// refused is command where an error is expected.
func (s *server) refused(t *testing.T, args ...string) error {
	t.Helper()
	root := rootCommand()
	root.SetArgs(append([]string{"--config", s.file}, args...))
	return root.ExecuteContext(t.Context())
}

// asOf is `aftershock run --until-idle` at a given time, of rule groups that begin at another, by a process of its own.
func (s *server) asOf(t *testing.T, schedule string, from, now time.Time) (published int) {
	t.Helper()
	config := s.config
	config.Evaluate.Schedule, config.Evaluate.From = schedule, from.Format(time.RFC3339)
	p, err := pipeline.Open(config, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.NotifyAll = true
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if published, err = p.UntilIdle(t.Context(), now, nil); err != nil {
		t.Fatal(err)
	}
	return published
}

// untilIdle is asOf where nothing was published before, and looks whether all of it is on the topics.
func (s *server) untilIdle(t *testing.T, schedule string, from, now time.Time) (published int) {
	t.Helper()
	published = s.asOf(t, schedule, from, now)
	kafka, err := broker.Connect(s.config.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	topics := &broker.Positions{Kafka: kafka, Group: "nobody", Topics: []string{kafka.Topics().Alerts, kafka.Topics().Handoffs}}
	held, err := topics.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	onTopics := int64(0)
	for _, end := range held.Ends {
		onTopics += end
	}
	// Alerts that ended long ago are taken off their topic again, by a record more.
	s.is(t, "SELECT uniqExact(transition_id) FROM alert_deliveries WHERE destination = 'kafka tombstones'", strconv.FormatInt(onTopics-int64(published), 10))
	return published
}

// sql asks ClickHouse as any HTTP client would, and returns lines of tab-separated values.
func (s *server) sql(t *testing.T, query string) string {
	t.Helper()
	response, err := http.Post("http://"+s.http+"/?database="+url.QueryEscape(s.database), "text/plain", strings.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s\n%s", query, body)
	}
	return strings.TrimRight(string(body), "\n")
}

// is fails unless a query gives this.
func (s *server) is(t *testing.T, query, want string) {
	t.Helper()
	if got := s.sql(t, query); got != want {
		t.Errorf("%s\ngives %s\nwant  %s", query, got, want)
	}
}

// linksAreThoseOfTheJoin holds the links against a join over the events that shares nothing with upkeep.
func (s *server) linksAreThoseOfTheJoin(t *testing.T) int {
	t.Helper()
	join, err := os.ReadFile("testdata/links.sql")
	if err != nil {
		t.Fatal(err)
	}
	want := s.sql(t, string(join))
	got := s.sql(t, "SELECT account_id, contract_id, deal_id, ticket_id, round(lag_days, 6) AS lag_days, basis FROM links ORDER BY ALL")
	if got != want {
		t.Errorf("links differ from the join:\n%s", firstDifference(got, want))
	}
	if want == "" {
		return 0
	}
	return strings.Count(want, "\n") + 1
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d of %d is\n%s\nwant, of %d,\n%s", i+1, len(g), g[i], len(w), w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// needEngine skips a test that starts an embedded ClickHouse of its own where there is none; in CI it fails.
func needEngine(t *testing.T) {
	t.Helper()
	if _, err := embedded.FindEngine(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}
