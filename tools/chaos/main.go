// Command chaos proves that nothing is lost and nothing is told twice: producers write a known truth to a real Apache Kafka, replicas
// of the pipeline carry it into ClickHouse and alerts out of it, everything is killed, paused, cut off and slowed down, at random and
// at named steps of the replicas' code, and at the end a checker compares what came out with the truth. It exits with 1 where they
// differ. Start it with: make chaos
//
// With -sabotage the checker itself is tried: replicas are built with one guarantee taken out, and the checker must see it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/aftershock/aftershock/embedded"
)

func main() {
	embedded.ChildMain()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := readOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	}
	if o.sabotage != "" {
		err = o.runSabotages(ctx, os.Stdout)
	} else {
		err = o.runStorm(ctx, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// options say how long and how much.
type options struct {
	seed     uint64
	records  int
	faults   int
	within   time.Duration
	replicas int
	sabotage string
	source   string
	keep     bool
	verbose  bool
}

// shortForm is what a test of the whole runs.
var shortForm = options{records: 15_000, faults: 12, within: 50 * time.Second, replicas: 2}

func readOptions(args []string) (o options, err error) {
	o = shortForm
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of records and faults; the default is drawn and printed")
	flags.IntVar(&o.records, "records", o.records, "records to produce, at least, at the pace of so many over -for")
	flags.IntVar(&o.faults, "faults", o.faults, "faults to make, at least, evenly over -for")
	flags.DurationVar(&o.within, "for", o.within, "how long to produce and make faults")
	flags.IntVar(&o.replicas, "replicas", o.replicas, "replicas that run throughout; one more joins and leaves")
	flags.StringVar(&o.sabotage, "sabotage", "", "try the checker with sabotaged replicas instead: all, a name, several with commas, or none: the same scenarios with a sound replica")
	flags.StringVar(&o.source, "source", "", "sources to build the replicas from; empty: this module")
	flags.BoolVar(&o.keep, "keep", false, "keep logs and data, and print where")
	flags.BoolVar(&o.verbose, "v", false, "tell of every fault as it happens")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag; see -help", flags.Arg(0))
	case o.records < 1 || o.faults < 0 || o.within < time.Second || o.replicas < 2:
		return o, errors.New("-records must be at least 1, -faults 0, -for 1s and -replicas 2")
	}
	if o.sabotage != "" {
		_, err = sabotagesNamed(o.sabotage)
	}
	return o, err
}

// workshop is a temporary directory, taken away at the end unless something failed.
func (o options) workshop(ctx context.Context) (dir, source string, leave func(failed bool), err error) {
	slog.SetLogLoggerLevel(slog.LevelError)
	source = o.source
	if source == "" {
		if source, err = moduleRoot(ctx); err != nil {
			return "", "", nil, err
		}
	}
	if dir, err = os.MkdirTemp("", "aftershock-chaos-"); err != nil {
		return "", "", nil, err
	}
	return dir, source, func(failed bool) {
		if failed || o.keep {
			fmt.Fprintln(os.Stderr, "chaos: logs and data are kept in", dir)
			return
		}
		_ = os.RemoveAll(dir)
	}, nil
}

// runStorm is the whole: servers, replicas, records, faults, and the judgement.
func (o options) runStorm(ctx context.Context, out *os.File) (err error) {
	dir, source, leave, err := o.workshop(ctx)
	if err != nil {
		return err
	}
	defer func() { leave(err != nil && ctx.Err() == nil) }()
	fmt.Fprintf(out, "seed %d: %d records and at least %d faults over %s, %d replicas and a guest\n", o.seed, o.records, o.faults, o.within, o.replicas)
	binary, err := build(ctx, source, filepath.Join(dir, "build"), nil)
	if err != nil {
		return err
	}
	h, err := openHouse(ctx, dir, binary, o.replicas+1, o.records)
	if err != nil {
		return err
	}
	defer h.close()
	began := time.Now()
	stall := h.watchStalls(ctx)
	defer stall.stop()
	residents, guest := h.replicas[:o.replicas], h.replicas[o.replicas]
	for _, r := range residents {
		if err := r.start(); err != nil {
			return err
		}
	}
	p, err := h.produce(ctx, o.seed, o.records, o.within)
	if err != nil {
		return err
	}
	s := &storm{house: h, random: rand.New(rand.NewPCG(o.seed, 0)), guest: guest, made: map[string]int{}, log: func(format string, args ...any) {
		if o.verbose {
			fmt.Fprintf(os.Stderr, "%7.1fs "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
		}
	}}
	goOn := func() bool { return time.Since(began) < o.within || int(h.truth.acked.Load()) < o.records }
	raging := s.rage(ctx, o.faults, o.within, goOn)
	until(ctx, o.within, func() bool { return !goOn() })
	p.stop()
	if err := errors.Join(raging, p.wait()); err != nil {
		return err
	}
	for _, r := range residents {
		if err := r.start(); err != nil {
			return err
		}
	}
	settling := time.Now()
	unsettled := h.settle(ctx, max(o.within/2, 2*time.Minute))
	settled := time.Since(settling)
	var unclean []error
	for _, r := range h.replicas {
		unclean = append(unclean, r.stop(30*time.Second))
	}
	v, err := h.check(ctx)
	if err != nil {
		return err
	}
	report{v, s, stall, h.peak(), h.revivals(), time.Since(began), settled}.print(out)
	if !v.clean() {
		return errors.Join(errors.New("what came out is not what went in: see above"), unsettled, errors.Join(unclean...))
	}
	return errors.Join(unsettled, errors.Join(unclean...))
}

func sabotagesNamed(names string) ([]sabotage, error) {
	if names == "all" {
		return sabotages, nil
	}
	if names == "none" {
		sound := append([]sabotage{}, sabotages...)
		for i := range sound {
			sound[i].edits = nil
		}
		return sound, nil
	}
	var chosen []sabotage
next:
	for name := range strings.SplitSeq(names, ",") {
		for _, s := range sabotages {
			if s.name == name {
				chosen = append(chosen, s)
				continue next
			}
		}
		var known []string
		for _, s := range sabotages {
			known = append(known, s.name)
		}
		return nil, fmt.Errorf("-sabotage %q: try all, none, or some of %s", name, strings.Join(known, ", "))
	}
	return chosen, nil
}
