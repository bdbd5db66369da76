// Command hops counts what one accepted deal and one tick pass through, from a trace of a real run: every entry into a function
// of another file of ours, and every hand-over to another goroutine, that takes the data along. Start it with:
//
//	go run ./tools/hops [-repo CHECKOUT] [-json]
//
// It builds the program with a call of a recorder at the start of every function of ours, laid over the checkout so that no file
// of it changes, starts the embedded servers, and lets the pipeline live: a ticket whose contract is not there yet, some ticks
// without anything, then the deal, then the tick that links both and tells of the deal. So it counts any commit that has the
// commands, keys and topics of today, wherever its functions stand.
//
// The road of a deal begins with the fetch that brings its record and ends with the commit behind it. The road of a tick begins
// with the schedule that says when it is due and ends when the delivery of its alert is noted. Both are followed on the goroutine
// that they begin on and on those made there meanwhile; another one has taken the data over when it does what it does not do in
// the ticks without anything, and then those before have it no more, from where they sent it into a channel.
//
// A call is a hop where
//
//   - the function that called, the nearest of ours on the real stack, stands in another file, and
//   - the data goes along: a type that holds it (listed by name for each road, in roads.go) is in the function's parameters or
//     results, through pointers, lists, maps, channels and functions, or among what a literal takes along from around it, or the
//     function was given such a literal and calls it, and
//   - more happens than that something is asked of the data, which gives no data and cannot fail, or that a part of its own is
//     read or set by a method that is given nothing but scalars.
//
// A hand-over is a hop to the function that takes over. Every function counts once, at its first hop; a literal is the function
// that it stands in, so that a call back into one that was not entered from another file before is a hop too. The call that begins
// a road and the commit that ends one are hops if they enter another file, whatever they carry.
//
// Beside the hops it lists all calls upward, by the floors of the house, whether they carry or not. A call through an interface or a
// function value is a call like any other. Set apart are calls back into a literal of a function that waits further down on
// the same stack, as sorting and retrying do, and calls sideways, from one part to another: those go through an interface.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("hops", flag.ContinueOnError)
	repo := flags.String("repo", ".", "the checkout to count: a folder of its module")
	asJSON := flags.Bool("json", false, "print JSON")
	keep := flags.String("keep", "", "an empty folder for the build, the trace and the logs (default: one that is removed)")
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		return
	} else if err != nil || flags.NArg() > 0 {
		os.Exit(2)
	}
	counts, err := measure(ctx, *repo, *keep)
	if err == nil && *asJSON {
		err = json.NewEncoder(os.Stdout).Encode(counts)
	} else if err == nil {
		err = report(os.Stdout, counts)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hops:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, repo, dir string) (counts []Count, err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "hops"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	s, binary, err := instrument(ctx, repo, dir)
	if err != nil {
		return nil, err
	}
	t, err := (&run{sources: s, binary: binary, dir: dir}).drive(ctx)
	if err != nil {
		return nil, err
	}
	for i := range roads {
		c, err := roads[i].follow(&roads[i], t)
		if err != nil {
			return nil, fmt.Errorf("following a %s: %w", roads[i].name, err)
		}
		counts = append(counts, roads[i].count(c))
	}
	return counts, nil
}

func report(w io.Writer, counts []Count) error {
	var b strings.Builder
	b.WriteString(Rule + "\n")
	for _, c := range counts {
		fmt.Fprintf(&b, "\nA %s\n", c.Road)
		for i, h := range c.Hops {
			var notes []string
			if h.HandOver {
				notes = append(notes, "hand-over")
			}
			if h.Back {
				notes = append(notes, "called back by "+h.From)
			}
			if h.Upward {
				notes = append(notes, "upward from "+folder(h.From))
			}
			line := fmt.Sprintf("%3d. %s: %s", i+1, h.File, h.Function)
			if len(notes) > 0 {
				line = fmt.Sprintf("%-58s (%s)", line, strings.Join(notes, ", "))
			}
			b.WriteString(line + "\n")
		}
		for _, list := range []struct {
			what  string
			calls []Call
		}{{"upward", c.Upward}, {"back into who waits on a higher floor", c.Back}, {"sideways", c.Sideways}} {
			for _, call := range list.calls {
				fmt.Fprintf(&b, "     %s: %s -> %s\n", list.what, call.From, call.To)
			}
		}
	}
	b.WriteString("\n")
	for _, c := range counts {
		fmt.Fprintf(&b, "a %s: %d hops, %d calls upward, %d back into who waits, %d sideways\n", c.Road, len(c.Hops), len(c.Upward), len(c.Back), len(c.Sideways))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
