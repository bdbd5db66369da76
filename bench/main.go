// Command bench measures the pipeline on this machine: how fast records are consumed, validated, scored or classified,
// stored and committed, how much memory that takes, how long upkeep takes for touched accounts, and how long one rule
// takes. It prints the machine and the versions and, beside each median, what is wanted; it fails for no figure.
//
// Servers, generator and each measurement run in processes of their own, so that the memory printed is the pipeline's
// alone. Start it with: make bench
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aftershock/aftershock/embedded"
)

func main() {
	embedded.ChildMain()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil && !errors.Is(err, errSaid) {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil {
		os.Exit(1)
	}
}

// errSaid ends a process whose child has already said why.
var errSaid = errors.New("a measurement failed")

// options are the flags.
type options struct {
	deals, tickets, rounds int
	history                []int
	only                   []string
	profile                string
	// What the benchmark tells the processes that it starts.
	serve, fill, measure, servers string
}

// What can be measured.
const (
	partDeals   = "deals"
	partTickets = "tickets"
	partUpkeep  = "upkeep"
)

func readOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.deals, "deals", 300_000, "deals a round")
	flags.IntVar(&o.tickets, "tickets", 100_000, "tickets a round")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds, of which the median is printed")
	history := flags.String("history", "1e6,1e7", "tickets of history for upkeep, separated by commas")
	only := flags.String("only", "", "measure only these, separated by commas: deals, tickets, upkeep (the rule included)")
	flags.StringVar(&o.profile, "cpuprofile", "", "write the processor profile of each measurement to files whose names begin so")
	flags.StringVar(&o.serve, "serve", "", "used by the benchmark itself")
	flags.StringVar(&o.fill, "fill", "", "used by the benchmark itself")
	flags.StringVar(&o.measure, "measure", "", "used by the benchmark itself")
	flags.StringVar(&o.servers, "servers", "", "used by the benchmark itself")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag: try -h", flags.Arg(0))
	}
	if o.rounds < 1 || o.deals < 1 || o.tickets < 1 {
		return o, errors.New("-rounds, -deals and -tickets must be at least 1: to leave a measurement out, try -only")
	}
	for size := range strings.SplitSeq(*history, ",") {
		n, err := strconv.ParseFloat(strings.TrimSpace(size), 64)
		if err != nil || n < ticketsEach*touched || n > 1e9 || n != math.Trunc(n) || math.Mod(n, ticketsEach) != 0 {
			return o, fmt.Errorf("-history %q: try a number of tickets from %d on that is a multiple of %d, such as 1e6", size, ticketsEach*touched, ticketsEach)
		}
		o.history = append(o.history, int(n))
	}
	o.only = []string{partDeals, partTickets, partUpkeep}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	for _, part := range o.only {
		if !slices.Contains([]string{partDeals, partTickets, partUpkeep}, part) {
			return o, fmt.Errorf("-only %q: try deals, tickets or upkeep", part)
		}
	}
	return o, nil
}

func run(ctx context.Context) error {
	o, err := readOptions(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	slog.SetLogLoggerLevel(slog.LevelWarn)
	switch {
	case o.serve != "":
		return serveUntilTold(ctx)
	case o.fill != "":
		return produce(ctx, o.fill)
	case o.measure != "":
		return o.measureOne(ctx)
	}
	s, err := startServers(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := s.printMachine(ctx); err != nil {
		return err
	}
	began := time.Now()
	for _, part := range o.only {
		tasks := []string{part}
		if part == partUpkeep {
			tasks = nil
			for _, n := range o.history {
				tasks = append(tasks, part+"="+strconv.Itoa(n))
			}
		}
		for _, task := range tasks {
			if err := o.inProcess(ctx, task, s); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nmeasured in %.0f s; load average at the end: %s\n", time.Since(began).Seconds(), loadAverage())
	return nil
}

// inProcess runs one measurement in a process of its own: the pipeline's.
func (o options) inProcess(ctx context.Context, task string, s *servers) error {
	c, err := again(ctx, "-measure", task, "-servers", s.String(), "-deals", strconv.Itoa(o.deals), "-tickets", strconv.Itoa(o.tickets),
		"-rounds", strconv.Itoa(o.rounds), "-cpuprofile", o.profile)
	if err != nil {
		return err
	}
	c.Stdout = os.Stdout
	if err := c.Run(); err != nil {
		return errors.Join(errSaid, ctx.Err())
	}
	return nil
}

func (o options) measureOne(ctx context.Context) error {
	s, err := parseServers(o.servers)
	if err != nil {
		return err
	}
	if o.profile != "" {
		file, err := os.Create(o.profile + "." + strings.ReplaceAll(o.measure, "=", "."))
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(370 << 20) // as `aftershock run` does
	}
	part, size, _ := strings.Cut(o.measure, "=")
	switch part {
	case partDeals:
		err = s.throughput(ctx, part, o.deals, o.rounds, 60_000)
	case partTickets:
		err = s.throughput(ctx, part, o.tickets, o.rounds, 20_000)
	case partUpkeep:
		n, parseErr := strconv.Atoi(size)
		if parseErr != nil {
			return parseErr
		}
		err = s.upkeep(ctx, n, o.rounds)
	}
	if err != nil {
		return err
	}
	fmt.Printf("  peak resident memory of the pipeline's process: %d MB (wanted: at most 400)\n", peakMemory()>>20)
	return nil
}

// again prepares this program as a child that is asked to stop, not killed, when the context ends: servers have files to
// take away.
func again(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program to start it again: %w", err)
	}
	c := exec.CommandContext(ctx, self, args...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 30 * time.Second
	c.Stderr = os.Stderr
	return c, nil
}

// spread writes the median of some figures with the least and the greatest.
func spread(figures []float64, format string) string {
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	median := (sorted[(n-1)/2] + sorted[n/2]) / 2
	return fmt.Sprintf("median "+format+" (least "+format+", most "+format+", %d rounds)", median, sorted[0], sorted[n-1], n)
}
