// Command bench measures the pipeline on this machine: how fast records are consumed, validated, scored or classified,
// stored and committed, beside ClickHouse's own Kafka engine and beside what reading and storing alone cost; how much memory
// that takes, also while ClickHouse is away; how long a record takes to an alert; how long upkeep takes for touched accounts,
// and how long one rule takes. It prints the machine and the versions; it fails for no figure.
//
// Servers, generator and each measurement run in processes of their own, so that the memory printed is the pipeline's
// alone. Start it with: make bench
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	deals, tickets, rounds, outage int
	past                           int
	history                        []int
	only                           []string
	profile                        string
	// What the benchmark tells the processes that it starts.
	serve, fill, measure, servers string
}

// What can be measured.
const (
	partDeals   = "deals"
	partTickets = "tickets"
	partDelay   = "delay"
	partOutage  = "outage"
	partUpkeep  = "upkeep"
)

var parts = []string{partDeals, partTickets, partDelay, partOutage, partUpkeep, partBacktest, partAccount, partFirst}

func readOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.deals, "deals", 2_000_000, "deals that each contestant reads in a round")
	flags.IntVar(&o.tickets, "tickets", 1_000_000, "tickets that each contestant reads in a round")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds, of which the median is printed")
	flags.IntVar(&o.outage, "outage", 10, "minutes that ClickHouse is away in the measurement of memory")
	flags.IntVar(&o.past, "past", pastTickets, "tickets of the two years that the backtest runs over")
	history := flags.String("history", "1e6,1e7", "tickets of history for upkeep, separated by commas")
	only := flags.String("only", "", "measure only these, separated by commas: "+strings.Join(parts, ", ")+" (upkeep includes the rule)")
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
	if o.rounds < 1 || o.deals < 1 || o.tickets < 1 || o.outage < 1 || o.past < 1 {
		return o, errors.New("-rounds, -deals, -tickets, -past and -outage must be at least 1: to leave a measurement out, try -only")
	}
	for size := range strings.SplitSeq(*history, ",") {
		n, err := strconv.ParseFloat(strings.TrimSpace(size), 64)
		if err != nil || n < ticketsEach*touched || n > 1e9 || n != math.Trunc(n) || math.Mod(n, ticketsEach) != 0 {
			return o, fmt.Errorf("-history %q: try a number of tickets from %d on that is a multiple of %d, such as 1e6", size, ticketsEach*touched, ticketsEach)
		}
		o.history = append(o.history, int(n))
	}
	o.only = parts
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	for _, part := range o.only {
		if !slices.Contains(parts, part) {
			return o, fmt.Errorf("-only %q: try %s", part, strings.Join(parts, ", "))
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
		if err := o.measurePart(ctx, part, s); err != nil {
			return err
		}
	}
	fmt.Printf("\nmeasured in %.0f s; load average at the end: %s\n", time.Since(began).Seconds(), loadAverage())
	return nil
}

func (o options) measurePart(ctx context.Context, part string, s *servers) error {
	switch part {
	case partDeals:
		return o.contest(ctx, s, part, o.deals)
	case partTickets:
		return o.contest(ctx, s, part, o.tickets)
	case partDelay:
		return s.delay(ctx, 60)
	case partOutage:
		return s.outage(ctx, o.outage)
	case partFirst:
		return s.first(ctx)
	case partAccount:
		return s.account(ctx)
	case partBacktest:
		return o.inProcess(ctx, part+"="+strconv.Itoa(o.past), s, os.Stdout)
	}
	for _, n := range o.history {
		if err := o.inProcess(ctx, part+"="+strconv.Itoa(n), s, os.Stdout); err != nil {
			return err
		}
	}
	return nil
}

// inProcess runs one measurement in a process of its own: the pipeline's.
func (o options) inProcess(ctx context.Context, task string, s *servers, out io.Writer) error {
	c, err := again(ctx, "-measure", task, "-servers", s.String(), "-rounds", strconv.Itoa(o.rounds), "-cpuprofile", o.profile)
	if err != nil {
		return err
	}
	c.Stdout = out
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
		file, err := os.Create(o.profile + "." + strings.NewReplacer("=", ".", " ", ".").Replace(o.measure))
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	part, size, _ := strings.Cut(o.measure, "=")
	if os.Getenv("GOMEMLIMIT") == "" && part != partBacktest {
		debug.SetMemoryLimit(memoryLimit) // as `aftershock run` does
	}
	if part != partUpkeep && part != partBacktest {
		return s.compete(ctx, o.measure)
	}
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	if part == partBacktest {
		err = s.backtest(ctx, n)
	} else {
		err = s.upkeep(ctx, n, o.rounds)
	}
	if err != nil {
		return err
	}
	fmt.Printf("  peak resident memory of the pipeline's process: %d MB\n", peakMemory()>>20)
	return nil
}

// memoryLimit is what `aftershock run` tells the garbage collector to keep to.
const memoryLimit = 240 << 20

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
