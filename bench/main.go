// Command bench measures the pipeline on this machine: how fast records are consumed, scored or classified, stored and
// committed, how long upkeep takes for touched accounts, and how long one rule takes. It prints the machine, the versions
// and, beside each median, what is wanted. Servers and generator run in processes of their own, so that the memory printed
// is the pipeline's alone. Start it with: make bench
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/aftershock/aftershock/embedded"
)

func main() {
	embedded.ChildMain()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	deals := flag.Int("deals", 300_000, "deals a round")
	tickets := flag.Int("tickets", 100_000, "tickets a round")
	rounds := flag.Int("rounds", 3, "rounds, of which the median is printed")
	history := flag.String("history", "1000000,10000000", "tickets of history for upkeep, separated by commas")
	serve := flag.Bool("serve", false, "only start the servers; used by the benchmark itself")
	fill := flag.String("fill", "", "only produce records, as BROKER,KIND,TOPIC,COUNT; used by the benchmark itself")
	flag.Parse()
	slog.SetLogLoggerLevel(slog.LevelWarn)
	switch {
	case *serve:
		return serveUntilTold(ctx)
	case *fill != "":
		return produce(ctx, *fill)
	}
	s, err := startServers(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	printMachine()
	debug.SetMemoryLimit(370 << 20) // as aftershock run does
	if *deals > 0 {
		if err := s.throughput(ctx, "deals", *deals, *rounds, 60_000); err != nil {
			return err
		}
	}
	if *tickets > 0 {
		if err := s.throughput(ctx, "tickets", *tickets, *rounds, 20_000); err != nil {
			return err
		}
	}
	fmt.Printf("memory of the pipeline, peak resident: %d MB (wanted: at most 400)\n", peakMemory()>>20)
	for size := range strings.SplitSeq(*history, ",") {
		var n int
		if _, err := fmt.Sscan(size, &n); err != nil || n <= 0 {
			continue
		}
		if err := s.upkeep(ctx, n, *rounds); err != nil {
			return err
		}
	}
	return nil
}

// servers is the process that runs the embedded ClickHouse and broker.
type servers struct {
	command                  *exec.Cmd
	clickhouse, http, broker string
}

func startServers(ctx context.Context) (*servers, error) {
	s := &servers{command: exec.CommandContext(ctx, os.Args[0], "-serve")}
	s.command.Stderr = os.Stderr
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("starting the servers: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("starting the servers: %w", err)
	}
	_, err = fmt.Sscan(line, &s.clickhouse, &s.http, &s.broker)
	return s, err
}

func (s *servers) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	_ = s.command.Wait()
}

func serveUntilTold(ctx context.Context) error {
	ch, err := embedded.StartClickHouse(ctx, embedded.ClickHouseOptions{MaxMemory: 10 << 30})
	if err != nil {
		return err
	}
	defer ch.Stop(context.Background())
	b, err := embedded.StartBroker(ctx, embedded.BrokerOptions{})
	if err != nil {
		return err
	}
	defer b.Stop(context.Background())
	fmt.Println(ch.Addr(), ch.HTTPAddr(), b.Addrs()[0])
	<-ctx.Done()
	return nil
}

func printMachine() {
	cpu, memory := "unknown processor", "?"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		cpu = field(string(text), "model name")
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		memory = field(string(text), "MemTotal")
	}
	fmt.Printf("machine: %s, %d processors, memory %s, %s/%s\n", cpu, runtime.NumCPU(), memory, runtime.GOOS, runtime.GOARCH)
	fmt.Printf("versions: %s", runtime.Version())
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if slices.Contains([]string{"github.com/segmentio/kafka-go", "github.com/ClickHouse/clickhouse-go/v2", "github.com/twmb/franz-go/pkg/kfake"}, m.Path) {
				fmt.Printf(", %s %s", m.Path, m.Version)
			}
		}
	}
	fmt.Println(", embedded ClickHouse and broker on the same machine")
}

func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// peakMemory is the most memory that this process ever had resident, in bytes; 0 where the system does not say.
func peakMemory() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	var kilobytes int64
	if _, err := fmt.Sscan(field(string(text), "VmHWM"), &kilobytes); err != nil {
		return 0
	}
	return kilobytes << 10
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// spread writes the median of some figures with the least and the greatest.
func spread(figures []float64, format string) string {
	slices.Sort(figures)
	return fmt.Sprintf("median "+format+" (least "+format+", most "+format+", %d rounds)", figures[len(figures)/2], figures[0], figures[len(figures)-1], len(figures))
}
