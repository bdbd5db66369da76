package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	line := func(action, test, output string) string {
		return fmt.Sprintf("{\"Action\":%q,\"Package\":\"p\",\"Test\":%q,\"Output\":%q}\n", action, test, output)
	}
	run := func(test, result string, output ...string) string {
		s := line("run", test, "") + line("output", test, "=== RUN   "+test+"\n")
		for _, o := range output {
			s += line("output", test, o)
		}
		if result != "" {
			s += line(result, test, "")
		}
		return s
	}
	for name, c := range map[string]struct {
		in     string
		strict bool
		good   bool
		want   []string
		not    string
	}{
		"passed": {
			in:   run("TestA", "pass", "noise\n") + line("output", "", "PASS\n") + line("output", "", "ok  \tp\t0.1s\n") + line("pass", "", ""),
			good: true, want: []string{"ok  \tp\t0.1s\n\n1 passed, 0 failed, 0 skipped\n"}, not: "noise",
		},
		"failed": {
			in:   run("TestA", "fail", "    a_test.go:1: wrong\n") + run("TestB", "pass") + line("output", "", "FAIL\tp\t0.1s\n") + line("fail", "", ""),
			want: []string{"a_test.go:1: wrong", "FAIL  p", "\n1 passed, 1 failed, 0 skipped\n"},
		},
		"skipped": {
			in:   run("TestA", "skip", "    a_test.go:1: no kcat\n", "--- SKIP: TestA (0.00s)\n") + line("pass", "", ""),
			good: true, want: []string{"left out:\n  p: no kcat\n      TestA\n\n0 passed, 0 failed, 1 skipped\n"},
		},
		"skipped for one reason": {
			in:   run("TestA", "skip", "    a_test.go:1: no kcat\n") + run("TestB", "skip", "    b_test.go:7: no kcat\n") + line("pass", "", ""),
			good: true, want: []string{"left out:\n  p: no kcat\n      TestA TestB\n\n0 passed, 0 failed, 2 skipped\n"},
		},
		"whole package left out": {
			in:     line("output", "", "left out: package p (no engine)\n") + line("pass", "", ""),
			strict: true, want: []string{"p: package p (no engine)   <- CI=true", "\n0 passed, 0 failed, 1 skipped\n"},
		},
		"skipped in CI": {
			in:     run("TestA", "skip", "    a_test.go:1: no kcat\n") + line("pass", "", ""),
			strict: true, want: []string{"no kcat   <- CI=true", "\n0 passed, 0 failed, 1 skipped\n"},
		},
		"skipped in CI as it may": {
			in:     run("TestA", "skip", "    a_test.go:1: no DATASET\n") + line("pass", "", ""),
			strict: true, good: true, want: []string{"no DATASET\n", "\n0 passed, 0 failed, 1 skipped\n"},
		},
		"does not build": {
			in:   `{"ImportPath":"p","Action":"build-output","Output":"a.go:1: undefined: x\n"}` + "\n" + line("fail", "", ""),
			want: []string{"undefined: x", "\n0 passed, 1 failed, 0 skipped\n"},
		},
		"out of time": {
			in:   run("TestA", "", "panic: test timed out\n") + line("fail", "", ""),
			want: []string{"panic: test timed out", "\n0 passed, 1 failed, 0 skipped\n"},
		},
		"cut off": {
			in:   run("TestA", ""),
			want: []string{"no package was tested", "p: go test ended before", "\n0 passed, 1 failed, 0 skipped\n"},
		},
		"no event":   {in: "go: cannot find main module\n", want: []string{"cannot find main module", "no package was tested"}},
		"no testing": {in: line("skip", "", ""), good: true, want: []string{"\n0 passed, 0 failed, 0 skipped\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			s := summary{out: &out, strict: c.strict, allowed: regexp.MustCompile("DATASET")}
			if err := s.read(strings.NewReader(c.in)); err != nil {
				t.Fatal(err)
			}
			if good := s.close(); good != c.good {
				t.Errorf("good is %v", good)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
			if c.not != "" && strings.Contains(out.String(), c.not) {
				t.Errorf("%q in\n%s", c.not, out.String())
			}
		})
	}
}
