package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// passes runs the tests of a package whose names hold a word; one that is left out proves nothing.
func passes(folder, word string) func(context.Context, *evidence) (value, error) {
	return func(ctx context.Context, e *evidence) (value, error) {
		began := time.Now()
		said, err := command(ctx, e.root, e.environment(), "go", "test", "-json", "-count=1", "-run", word, folder)
		outcome := readOutcome(said)
		took := time.Since(began).Round(time.Second)
		switch {
		case len(outcome.failed) > 0:
			return value{fmt.Sprintf("%d failed after %v", len(outcome.failed), took), false, append(outcome.failed, outcome.said...)}, nil
		case err != nil:
			return value{}, err
		case len(outcome.skipped) > 0:
			return value{}, fmt.Errorf("%s was left out: %s", outcome.skipped[0], strings.Join(outcome.said, " "))
		case outcome.passed == 0:
			return value{}, fmt.Errorf("no test ran: %s", strings.Join(outcome.said, " "))
		}
		return value{text: fmt.Sprintf("%d passed in %v", outcome.passed, took), met: true}, nil
	}
}

// outcome is what became of top-level tests, and what those that did not pass said.
type outcome struct {
	passed          int
	failed, skipped []string
	said            []string
}

func readOutcome(events string) (o outcome) {
	said := map[string][]string{}
	for line := range strings.Lines(events) {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal([]byte(line), &e) != nil {
			continue
		}
		test, _, isPart := strings.Cut(e.Test, "/")
		switch {
		case e.Action == "output" && strings.TrimSpace(e.Output) != "" && !strings.HasPrefix(e.Output, "=== "):
			said[test] = append(said[test], strings.TrimSpace(e.Output))
		case e.Test == "" && e.Action == "fail" && len(o.failed) == 0:
			o.failed, o.said = append(o.failed, "the package"), append(o.said, said[""]...)
		case e.Test == "" || isPart:
		case e.Action == "pass":
			o.passed++
		case e.Action == "fail":
			o.failed, o.said = append(o.failed, test), append(o.said, said[test]...)
		case e.Action == "skip":
			o.skipped, o.said = append(o.skipped, test), append(o.said, said[test]...)
		}
	}
	if o.passed+len(o.failed)+len(o.skipped) == 0 {
		o.said = said[""]
	}
	return o
}

// renamed are tests that go by another name than before, and why.
var renamed = map[string]struct{ to, why string }{
	"TestDigestIsUnambiguous":                {"TestHashIsUnambiguous", "a digest is what an owner is sent; this is a hash"},
	"TestAnotherHolderMakesUsStepDown":       {"TestAnotherLeaderMakesUsStepDown", "the process that holds the control partition is the leader"},
	"TestControlPassesOn":                    {"TestLeadershipPassesOn", "the process that holds the control partition is the leader"},
	"TestHoldReturnsWhatTheWorkReturns":      {"TestLeadReturnsWhatTheWorkReturns", "the process that holds the control partition is the leader"},
	"TestRunUntilTakesTicksInTheOrderOfTime": {"TestCatchingUpTakesTicksInTheOrderOfTime", "the loop is the leader's, which catches up"},
	"TestChunksCoverEverythingWithinBounds":  {"TestBatchesCoverEverythingWithinBounds", "chunk and block are one word, batch"},
	"TestSettledSaysWhoIsBehind":             {"TestWaitSaysWhoIsBehind", "there is one way to wait, Positions.Wait"},
	"TestShorten":                            {"TestCutBytes", "one function cuts to a size, text.CutBytes; it has every case"},
	"TestABlockKeepsEveryValue":              {"TestABatchKeepsEveryValue", "chunk and block are one word, batch"},
	"TestTwoHolders":                         {"TestTwoLeaders", "the process that holds the control partition is the leader"},
	"TestAWokenHolderChangesNothing":         {"TestAWokenLeaderChangesNothing", "the process that holds the control partition is the leader"},
	"TestADeadUpkeepLeavesNothing":           {"TestADeadUpdateLeavesNothing", "links are updated; upkeep was a word of its own for it"},
	"FuzzEach":                               {"FuzzRecords", "the records of a fetch are an iterator, and nothing is called for each"},
}

// noTestGone holds the names of tests against those before: packages may be others, names may not, but for those renamed.
func noTestGone(ctx context.Context, e *evidence) (value, error) {
	tree, err := e.checkout(ctx, before)
	if err != nil {
		return value{}, err
	}
	then, err := testsOf(os.DirFS(tree))
	if err != nil {
		return value{}, err
	}
	now, err := testsOf(os.DirFS(e.root))
	if err != nil {
		return value{}, err
	}
	gone, moved := goneTests(then, now)
	total := func(tests map[string][]string) (n int) {
		for _, places := range tests {
			n += len(places)
		}
		return n
	}
	return value{
		fmt.Sprintf("%d gone, %d under another name; %d tests (before: %d)", len(gone), len(moved), total(now), total(then)),
		len(gone) == 0, append(gone, moved...),
	}, nil
}

// goneTests compares names and how often each stands there.
func goneTests(then, now map[string][]string) (gone, moved []string) {
	for name, places := range then {
		if n := len(places) - len(now[name]); n > 0 {
			r, known := renamed[name]
			if known && len(now[r.to])-len(then[r.to]) >= n {
				moved = append(moved, fmt.Sprintf("%s -> %s: %s", name, r.to, r.why))
				continue
			}
			gone = append(gone, fmt.Sprintf("gone: %s, which stood in %s", name, strings.Join(places, ", ")))
		}
	}
	slices.Sort(gone)
	slices.Sort(moved)
	return gone, moved
}

// testsOf finds the tests of a tree, and in which folders each name stands.
func testsOf(tree fs.FS) (map[string][]string, error) {
	tests := map[string][]string{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || name != "." && d.Name()[0] == '.'):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && isTest(f.Name.Name) {
				tests[f.Name.Name] = append(tests[f.Name.Name], path.Dir(name))
			}
		}
		return nil
	})
	return tests, err
}

// isTest leaves out TestMain, which sets up, and benchmarks, which show nothing.
func isTest(name string) bool {
	return name != "TestMain" && (strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") || strings.HasPrefix(name, "Example"))
}

const wholeRunAtMost = 5 * time.Minute

var roadLong = subject{"road-long", "the tests that stand, and how long they take", []proof{
	{"all tests pass, and take little time on two processors", fmt.Sprintf("make test in at most %.0f s", wholeRunAtMost.Seconds()), wholeRun},
}}

// wholeRun runs every test. What else this machine does and how many processors it has is said beside the time.
func wholeRun(ctx context.Context, e *evidence) (value, error) {
	busy := loadAverage()
	var said bytes.Buffer
	c := prepare(ctx, e.root, os.Environ(), "make", "test", "TESTFLAGS=-count=1", "PKG=./...") // whatever the environment says
	c.Stdout, c.Stderr = &said, os.Stderr
	began := time.Now()
	err := c.Run()
	took := time.Since(began)
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return value{}, err
	}
	list := strings.Split(strings.TrimSpace(said.String()), "\n")
	v := value{
		text: fmt.Sprintf("%s in %.0f s; %d processors, load average %s before", list[len(list)-1], took.Seconds(), runtime.NumCPU(), busy),
		met:  err == nil && took <= wholeRunAtMost,
	}
	if i := slices.Index(list, "left out:"); i >= 0 {
		v.details = list[i:]
	}
	if err != nil {
		v.details = list
	}
	return v, nil
}

func loadAverage() string {
	text, err := os.ReadFile(filepath.FromSlash("/proc/loadavg"))
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], " ")
}
