// Command lines counts the lines of production code by folder, and finds the longest functions. Start it with:
//
//	go run ./tools/lines [-repo CHECKOUT] [-over 70] [-json]
//
// A line of code holds at least a part of a Go token: comments and blank lines are none, in a raw string neither. All lines are those of
// the same files as wc counts them. A function is as long as from its `func` to its closing brace, with the literals in it; a literal that
// stands in no function is one of its own. Tests, tools and servers for tests are left out, in the places of today and in those
// of before, so that the figures of two commits can be held against each other.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	flags := flag.NewFlagSet("lines", flag.ContinueOnError)
	repo := flags.String("repo", ".", "the checkout to count: the folder of its go.mod")
	over := flags.Int("over", 70, "list functions of more lines than this; the longest is listed anyhow")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		return
	} else if err != nil || flags.NArg() > 0 {
		os.Exit(2)
	}
	c, err := count(*repo, *over)
	if err == nil && *asJSON {
		err = json.NewEncoder(os.Stdout).Encode(c)
	} else if err == nil {
		err = report(os.Stdout, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lines:", err)
		os.Exit(1)
	}
}

func report(w io.Writer, c Count) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%7s %7s  %s\n", "code", "all", "folder")
	for _, f := range c.Folders {
		fmt.Fprintf(&b, "%7d %7d  %s\n", f.Code, f.All, f.Folder)
	}
	fmt.Fprintf(&b, "%7d %7d  together\n\n%d functions; the longest, and those of more than %d lines:\n", c.Code, c.All, c.Functions, c.Over)
	for _, f := range c.Longest {
		fmt.Fprintf(&b, "%7d  %s\n", f.Lines, f)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
