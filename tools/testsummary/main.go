// Command testsummary reads the events of `go test -json`, prints what `go test` prints, and ends with what was left out
// and one line of counts: "12 passed, 0 failed, 1 skipped". It exits 1 where a test or a package failed, where nothing
// ran, and, with CI=true, where a test was left out for a reason that -may-skip does not match.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	maySkip := flag.String("may-skip", "^$", "regular expression for the reasons that may leave out a test where CI=true")
	flag.Parse()
	allowed, err := regexp.Compile(*maySkip)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsummary: -may-skip:", err)
		os.Exit(2)
	}
	s := summary{out: os.Stdout, strict: os.Getenv("CI") == "true", allowed: allowed}
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsummary: reading the events of go test:", err)
		os.Exit(1)
	}
	if !s.close() {
		os.Exit(1)
	}
}

// event is one line of `go test -json`; see `go doc test2json`.
type event struct{ Action, Package, ImportPath, Test, Output string }

// testCase is a test, or a subtest, that began.
type testCase struct {
	name   string
	output []string
	ended  string // pass, fail, skip
}

// skip is why some tests of a package were left out.
type skip struct {
	pkg, reason string
	tests       []string
}

// wholePackage begins what a package says that leaves out all of its tests in TestMain.
const wholePackage = "left out: "

type summary struct {
	out                     io.Writer
	strict                  bool
	allowed                 *regexp.Regexp
	running                 map[string][]*testCase // by package, in the order in which they began
	packages                int
	passed, failed, skipped int
	left                    []skip
}

func (s *summary) read(r io.Reader) error {
	s.running = map[string][]*testCase{}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				fmt.Fprintf(s.out, "%s", line) // not an event: what a tool had to say
			} else {
				s.take(e)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *summary) take(e event) {
	switch {
	case e.Action == "build-output":
		fmt.Fprint(s.out, e.Output)
	case e.Test == "" && e.Action == "output":
		if reason, ok := strings.CutPrefix(e.Output, wholePackage); ok {
			s.leave(e.Package, "the whole package", strings.TrimSpace(reason))
			return
		}
		if e.Output != "PASS\n" && !strings.HasPrefix(e.Output, "=== ") {
			fmt.Fprint(s.out, e.Output)
		}
	case e.Test == "" && slices.Contains([]string{"pass", "fail", "skip"}, e.Action):
		s.endPackage(e)
	case e.Test == "":
	case e.Action == "output":
		c := s.test(e)
		c.output = append(c.output, e.Output)
	case slices.Contains([]string{"pass", "fail", "skip"}, e.Action):
		s.endTest(e)
	default:
		s.test(e)
	}
}

func (s *summary) test(e event) *testCase {
	for _, c := range s.running[e.Package] {
		if c.name == e.Test {
			return c
		}
	}
	c := &testCase{name: e.Test}
	s.running[e.Package] = append(s.running[e.Package], c)
	return c
}

func (s *summary) endTest(e event) {
	c := s.test(e)
	c.ended = e.Action
	switch e.Action {
	case "pass":
		s.passed++
		c.output = nil
	case "skip":
		s.leave(e.Package, e.Test, reasonOf(c.output))
		c.output = nil
	case "fail":
		s.failed++
	}
}

func (s *summary) leave(pkg, test, reason string) {
	s.skipped++
	for i := range s.left {
		if s.left[i].pkg == pkg && s.left[i].reason == reason {
			s.left[i].tests = append(s.left[i].tests, test)
			return
		}
	}
	s.left = append(s.left, skip{pkg, reason, []string{test}})
}

// reasonOf is what a skipped test said, without the frame that go test puts around it.
func reasonOf(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		said = append(said, position.ReplaceAllString(line, ""))
	}
	return strings.Join(said, " ")
}

var position = regexp.MustCompile(`^[\w.-]+\.go:\d+: `)

// endPackage prints what the package's failed tests said. A test that never ended, because its process died or ran out
// of time, has failed; so has a package that failed without any test that did.
func (s *summary) endPackage(e event) {
	s.packages++
	if e.Action == "fail" {
		culprits := 0
		for _, c := range s.running[e.Package] {
			if c.ended == "" {
				s.failed++
			}
			if c.ended == "" || c.ended == "fail" {
				culprits++
				fmt.Fprint(s.out, strings.Join(c.output, ""))
			}
		}
		if culprits == 0 {
			s.failed++
		}
		fmt.Fprintf(s.out, "FAIL  %s\n", e.Package)
	}
	delete(s.running, e.Package)
}

// close prints the end, and reports whether all is well.
func (s *summary) close() bool {
	good := s.failed == 0 && s.packages > 0
	if s.packages == 0 {
		fmt.Fprintln(s.out, "no package was tested")
	}
	for pkg := range s.running {
		fmt.Fprintf(s.out, "%s: go test ended before the package did\n", pkg)
		s.failed++
		good = false
	}
	if len(s.left) > 0 {
		fmt.Fprintln(s.out, "\nleft out:")
	}
	for _, l := range s.left {
		mark := ""
		if s.strict && !s.allowed.MatchString(l.reason) {
			good, mark = false, "   <- CI=true: must not be left out"
		}
		fmt.Fprintf(s.out, "  %s: %s%s\n      %s\n", l.pkg, l.reason, mark, strings.Join(l.tests, " "))
	}
	fmt.Fprintf(s.out, "\n%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	return good
}
