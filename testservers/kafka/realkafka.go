// Package realkafka runs a real Apache Kafka 4 for tests: one process that is
// broker and controller, in KRaft mode, on loopback. It needs Java 17 and, the
// first time, Maven (see pom.xml). It starts in some seconds and takes up to
// 512 MB of heap: let a package's tests share one.
//
// Unlike the embedded broker it refuses records dated more than an hour ahead,
// and it is what a user runs. What must hold there is tried here.
package kafka

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/embedded/child"
)

//go:embed server.properties
var propertiesText string

var propertiesFile = template.Must(template.New("server.properties").Parse(propertiesText))

const (
	startTimeout = 5 * time.Minute          // the first start fetches Kafka
	stopTimeout  = 20 * time.Second         // then it is killed
	tries        = 3                        // another process may take a port between choosing and using it
	clusterID    = "YWZ0ZXJzaG9jay10ZXN0cw" // any 16 bytes in base64
)

// Options say how Kafka runs. The zero value works.
type Options struct {
	// Dir keeps configuration, log and data across starts. Defaults to a
	// temporary directory that Stop removes.
	Dir string
	// Port is the loopback port of the broker. Defaults to a free one.
	Port int
	// Listeners are further ones, each for clients that are to reach the broker
	// by another way. Defaults to none.
	Listeners []Listener
	// Security opens a listener for SASL over TLS and turns ACLs on. Defaults to
	// none.
	Security *Security
	// Properties go after those of server.properties and win over them.
	// Defaults to none.
	Properties map[string]string
}

// Listener is one more loopback port, whose clients are told to go on at
// Advertised: a proxy, for example.
type Listener struct {
	Name       string // capitals
	Port       int
	Advertised string // host:port
}

// Kafka is a running broker.
type Kafka struct {
	addr       string
	secureAddr string
	dir        string
	temporary  bool
	process    *child.Process
	stopping   chan struct{}
	stopOnce   sync.Once
	stopErr    error
}

// Start fetches Kafka where that was never done, starts a broker and returns
// when it answers. ctx bounds the start only; the broker runs until Stop. On
// Linux it also ends when this process does.
func Start(ctx context.Context, options Options) (*Kafka, error) {
	k, err := start(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("starting Apache Kafka: %w", err)
	}
	return k, nil
}

func start(ctx context.Context, options Options) (*Kafka, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if ok, reason := Available(); !ok {
		return nil, errors.New(reason)
	}
	jars, err := broker.fetch(ctx)
	if err != nil {
		return nil, err
	}
	dir, temporary := options.Dir, options.Dir == ""
	if temporary {
		dir, err = os.MkdirTemp("", "aftershock-kafka-")
	} else if dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("making the directory: %w", err)
	}
	for try := 1; ; try++ {
		k := &Kafka{dir: dir, temporary: temporary, stopping: make(chan struct{})}
		err := k.run(ctx, jars, options)
		if err == nil {
			return k, nil
		}
		if try == tries || !strings.Contains(k.said(), "Address already in use") {
			return nil, errors.Join(err, k.removeTemporary())
		}
	}
}

// run makes one try, and leaves no process behind when it fails.
func (k *Kafka) run(ctx context.Context, jars string, options Options) error {
	config, err := k.configure(options)
	if err != nil {
		return err
	}
	// Formatting a directory that is formatted already does nothing.
	format := java(jars, "kafka.tools.StorageTool", append([]string{"format", "--ignore-formatted", "--cluster-id", clusterID, "--config", config},
		options.Security.scramUsers()...)...)
	if said, err := format.CombinedOutput(); err != nil {
		return fmt.Errorf("formatting %s: %w: %s", k.dir, err, errorLines(string(said)))
	}
	log, err := os.Create(k.LogPath())
	if err != nil {
		return fmt.Errorf("making the log: %w", err)
	}
	defer log.Close()
	server := java(jars, "kafka.Kafka", config)
	server.Dir = k.dir
	server.Stdout, server.Stderr = log, log
	if k.process, err = child.Start(server); err != nil {
		return fmt.Errorf("starting java: %w", err)
	}
	if err := k.awaitReady(ctx); err != nil {
		killed, cancel := context.WithCancel(context.Background())
		cancel()
		k.process.Wait(killed) // its error says only that it was killed
		return fmt.Errorf("%w: %s", err, errorLines(k.said()))
	}
	return nil
}

func (k *Kafka) configure(options Options) (path string, err error) {
	ports, err := freePorts(3)
	if err != nil {
		return "", err
	}
	if options.Port != 0 {
		ports[0] = options.Port
	}
	k.addr = fmt.Sprintf("127.0.0.1:%d", ports[0])
	var security *secured
	if options.Security != nil {
		if security, err = k.secure(options.Security, ports[2]); err != nil {
			return "", err
		}
	}
	path = filepath.Join(k.dir, "server.properties")
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // it may hold passwords
	if err != nil {
		return "", fmt.Errorf("writing the configuration: %w", err)
	}
	err = propertiesFile.Execute(file, map[string]any{
		"BrokerPort": ports[0], "ControllerPort": ports[1],
		"LogDir": filepath.Join(k.dir, "data"), "Properties": options.Properties, "Listeners": options.Listeners,
		"Security": security,
	})
	if err := errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("writing the configuration: %w", err)
	}
	return path, nil
}

// java starts quickly rather than runs fast: a test's broker lives for seconds.
func java(jars, class string, args ...string) *exec.Cmd {
	return exec.Command("java", append([]string{
		"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", filepath.Join(jars, "*"), class,
	}, args...)...)
}

func (k *Kafka) awaitReady(ctx context.Context) error {
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(k.addr), Transport: transport, Timeout: 5 * time.Second}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := answers(ctx, client)
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-k.process.Done():
			return errors.New("before it answered " + k.process.Exit())
		case <-ctx.Done():
			return fmt.Errorf("waiting for its answer: %w (last: %w)", ctx.Err(), err)
		}
	}
}

// answers asks for the topics and for a group's coordinator. The second makes
// the topic of offsets, which a first consumer would otherwise find missing.
func answers(ctx context.Context, client *kafka.Client) error {
	if _, err := client.Metadata(ctx, &kafka.MetadataRequest{}); err != nil {
		return err
	}
	got, err := client.FindCoordinator(ctx, &kafka.FindCoordinatorRequest{Key: "ready", KeyType: kafka.CoordinatorKeyTypeConsumer})
	if err != nil {
		return err
	}
	return got.Error
}

// Addrs are the host:port pairs for a client to start from.
func (k *Kafka) Addrs() []string { return []string{k.addr} }

// LogPath is the broker's own log.
func (k *Kafka) LogPath() string { return filepath.Join(k.dir, "kafka.log") }

// PID is the broker's process id.
func (k *Kafka) PID() int { return k.process.PID() }

// Done closes when the broker has ended, for whatever reason.
func (k *Kafka) Done() <-chan struct{} { return k.process.Done() }

// Err says why the broker ended by itself. It is nil while it runs and after Stop.
func (k *Kafka) Err() error {
	select {
	case <-k.Done():
	default:
		return nil
	}
	select {
	case <-k.stopping:
		return nil
	default:
		return fmt.Errorf("Apache Kafka: %s: %s", k.process.Exit(), errorLines(k.said()))
	}
}

// Stop asks the broker to end, waits for it as long as ctx and twenty seconds
// allow, then kills it, and removes a temporary directory. It returns an error
// when it had to kill. A second call waits for the first.
func (k *Kafka) Stop(ctx context.Context) error {
	k.stopOnce.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		close(k.stopping)
		k.process.Terminate() // fails only when it has ended already
		if err := k.process.Wait(ctx); err != nil {
			k.stopErr = fmt.Errorf("stopping Apache Kafka: %w", err)
		}
		k.stopErr = errors.Join(k.stopErr, k.removeTemporary())
	})
	return k.stopErr
}

func (k *Kafka) removeTemporary() error {
	if !k.temporary {
		return nil
	}
	return os.RemoveAll(k.dir)
}

func (k *Kafka) said() string {
	text, _ := os.ReadFile(k.LogPath())
	return string(text)
}

// errorLines are the first lines that tell of errors, for the reason is among them.
func errorLines(said string) string {
	var lines []string
	for line := range strings.Lines(said) {
		if strings.Contains(line, "ERROR") || strings.Contains(line, "Exception") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if len(lines) == 0 {
		return "it told of no error"
	}
	return "it said: " + strings.Join(lines[:min(len(lines), 4)], " | ")
}

// freePorts are free when it looks; the caller tries again when one was taken since.
func freePorts(n int) ([]int, error) {
	var ports []int
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
