// Command prove shows again what was once to be shown. Start it with:
//
//	make prove                  lists what can be shown, by subject
//	make prove SUBJECT=road     shows one subject's lines: line | bar | value | met
//	go run ./tools/prove [-json] [-only WORDS] [SUBJECT]
//
// It exits 1 where a line is not met. What cannot be shown here, such as a comparison with a commit that a shallow clone does not have,
// says "not run" and why, and is not met either. Checkouts and data lie in a temporary folder, which is removed.
//
// A subject is a file with a list of proofs and one line in subjects, below. A proof that looks at the code asks the program
// that measures it, such as tools/hops; a proof of behaviour starts what a user would start.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

var subjects = []subject{road, roadLong, oddFacts}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("prove", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print JSON")
	only := flags.String("only", "", "show only the lines with these words")
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		return
	} else if err != nil || flags.NArg() > 1 {
		os.Exit(2)
	}
	met, err := prove(ctx, flags.Arg(0), *only, *asJSON)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
	}
	if err != nil || !met {
		os.Exit(1)
	}
}

func prove(ctx context.Context, name, only string, asJSON bool) (met bool, err error) {
	if name == "" {
		return true, list(os.Stdout, subjects, asJSON)
	}
	i := slices.IndexFunc(subjects, func(s subject) bool { return s.name == name })
	if i < 0 {
		return false, fmt.Errorf("%q is no subject: see `make prove`", name)
	}
	chosen := slices.DeleteFunc(slices.Clone(subjects[i].proofs), func(p proof) bool { return !strings.Contains(p.line, only) })
	if len(chosen) == 0 {
		return false, fmt.Errorf("no line of %s has the words %q", name, only)
	}
	e, err := openEvidence(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	var results []result
	for n, p := range chosen {
		fmt.Fprintf(os.Stderr, "%d of %d: %s\n", n+1, len(chosen), p.line)
		results = append(results, p.prove(ctx, e))
		if err := ctx.Err(); err != nil {
			return false, err
		}
	}
	met = !slices.ContainsFunc(results, func(r result) bool { return !r.Met })
	if asJSON {
		return met, json.NewEncoder(os.Stdout).Encode(results)
	}
	return met, table(os.Stdout, results)
}
