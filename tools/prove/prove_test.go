package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestSubjects: a line is chosen by its words and a subject by its name, so each stands once.
func TestSubjects(t *testing.T) {
	names, said := map[string]bool{}, map[string]bool{}
	for _, s := range subjects {
		if s.name == "" || s.about == "" || len(s.proofs) == 0 || names[s.name] {
			t.Errorf("subject %q stands twice or says nothing", s.name)
		}
		names[s.name] = true
		for _, p := range s.proofs {
			if p.line == "" || p.bar == "" || p.show == nil || said[p.line] {
				t.Errorf("line %q of %s stands twice or says nothing", p.line, s.name)
			}
			said[p.line] = true
		}
	}
}

func TestAtMost(t *testing.T) {
	for n, met := range map[int]bool{15: true, 16: true, 17: false} {
		p := atMost("hops", 16, func(context.Context, *evidence) (int, string, []string, error) { return n, "(before: 20)", nil, nil })
		if r := p.prove(t.Context(), nil); r.Met != met || r.Bar != "at most 16" || !strings.HasSuffix(r.Value, " (before: 20)") {
			t.Errorf("%d: %+v", n, r)
		}
	}
}

// TestWhatCannotBeShownIsNotMet holds even where the value would meet the bar.
func TestWhatCannotBeShownIsNotMet(t *testing.T) {
	p := proof{"a line", "a bar", func(context.Context, *evidence) (value, error) {
		return value{text: "3", met: true}, errors.New("no history\nfatal: not here")
	}}
	want := result{Line: "a line", Bar: "a bar", Value: "not run: no history", Details: []string{"fatal: not here"}}
	if diff := cmp.Diff(want, p.prove(t.Context(), nil)); diff != "" {
		t.Error(diff)
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := table(&b, []result{
		{"hops that a deal makes", "at most 16", "14 (before: 20)", true, nil},
		{strings.Repeat("words ", 10) + "last", "none", "1", false, []string{"this one"}},
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"line                                                 | bar                      | value                                              | met",
		"-----------------------------------------------------+--------------------------+----------------------------------------------------+-----",
		"hops that a deal makes                               | at most 16               | 14 (before: 20)                                    | met",
		"words words words words words words words words      | none                     | 1                                                  | NOT",
		"words words last                                     |                          |                                                    |",
		"", strings.Repeat("words ", 10) + "last:", "    this one", "", "1 of 2 lines are met", "",
	}
	if diff := cmp.Diff(want, strings.Split(b.String(), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestEvidenceIsFoundOnce(t *testing.T) {
	e, n := &evidence{seen: map[string]func() (any, error){}}, 0
	for range 2 {
		got, err := once(e, "a", func() (int, error) { n++; return n, errors.New("and no more") })
		if got != 1 || err == nil {
			t.Errorf("%d, %v", got, err)
		}
	}
}

func TestCheckout(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is missing")
	}
	repo := t.TempDir()
	e := &evidence{root: repo, dir: t.TempDir(), seen: map[string]func() (any, error){}}
	git := func(arguments ...string) string {
		said, err := e.git(t.Context(), append([]string{"-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"}, arguments...)...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(said)
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "empty")
	if err := os.WriteFile(filepath.Join(repo, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	git("add", "file")
	git("commit", "-q", "-m", "a file")
	if err := e.whole(t.Context()); err != nil {
		t.Error(err)
	}
	dir, err := e.checkout(t.Context(), git("rev-parse", "HEAD~"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "file")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the checkout is of another commit: %v", err)
	}
	if _, err := e.checkout(t.Context(), before); err == nil || !strings.Contains(err.Error(), "the commit 96c18d1 is not in this clone") {
		t.Errorf("a commit that is not there: %v", err)
	}
	if err := e.close(); err != nil {
		t.Error(err)
	}
	if left := git("worktree", "list"); strings.Contains(left, "\n") {
		t.Errorf("left behind: %s", left)
	}
}

func TestNames(t *testing.T) {
	for text, named := range map[string]bool{
		"`rules` is": true, "rules/ holds": true, "rules": true, "(rules)": true, "see rules.": true,
		"rules/engine": false, "built-rules": false, "the/rules": false, "myrules": false, "": false,
	} {
		if names(text, "rules") != named {
			t.Errorf("%q names rules: %v", text, !named)
		}
	}
}

func TestGoldenChanges(t *testing.T) {
	got := changedLines("--- a/golden.txt\n+++ b/golden.txt\n@@ -3 +3 @@\n-alert_log/ticks 70 ab\n+alert_log/ticks 71 cd\n@@ -9,0 +10 @@\n+churn.alerts 2 ef\n")
	if diff := cmp.Diff([]string{"alert_log/ticks", "churn.alerts"}, got); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct {
		message, name string
		tells         bool
	}{
		{"consumers: feedback is a topic like others", "feedback", true},
		{"consumers: alerts come once", "churn.alerts", true},
		{"rules: account_risk counts days", "account_risk@2018-06-15", true},
		{"rules: dead letters are counted", "dead_letters", true},
		{"rules: tidied up", "churn.alerts", false},
	} {
		if tells(c.message, c.name) != c.tells {
			t.Errorf("%q tells of %s: %v", c.message, c.name, !c.tells)
		}
	}
}

func TestOutcome(t *testing.T) {
	lines := func(lines ...string) string { return strings.Join(lines, "\n") }
	for _, c := range []struct {
		events string
		want   outcome
	}{
		{lines(`{"Action":"output","Test":"TestA","Output":"=== RUN   TestA\n"}`, `{"Action":"pass","Test":"TestA/part"}`, `{"Action":"pass","Test":"TestA"}`, `{"Action":"pass"}`), outcome{passed: 1}},
		{lines(`{"Action":"output","Test":"TestA/part","Output":"a.go:1: why\n"}`, `{"Action":"fail","Test":"TestA"}`, `{"Action":"fail"}`), outcome{failed: []string{"TestA"}, said: []string{"a.go:1: why"}}},
		{lines(`{"Action":"output","Test":"TestA","Output":"a.go:1: no engine\n"}`, `{"Action":"skip","Test":"TestA"}`, `{"Action":"pass"}`), outcome{skipped: []string{"TestA"}, said: []string{"a.go:1: no engine"}}},
		{lines(`{"Action":"output","Output":"left out: no engine\n"}`, `{"Action":"pass"}`), outcome{said: []string{"left out: no engine"}}},
		{lines(`{"Action":"output","Output":"panic\n"}`, `{"Action":"fail"}`), outcome{failed: []string{"the package"}, said: []string{"panic"}}},
		{"not JSON", outcome{}},
	} {
		if diff := cmp.Diff(c.want, readOutcome(c.events), cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("%s: %s", c.events, diff)
		}
	}
}

func TestTestsOf(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("package a\n" + text)} }
	tests, err := testsOf(fstest.MapFS{
		"a/a_test.go":          file("func TestA() {}\nfunc FuzzA() {}\nfunc TestMain() {}\nfunc BenchmarkA() {}\nfunc ExampleT_a() {}\nfunc (T) TestMethod() {}"),
		"b/b_test.go":          file("func TestA() {}"),
		"b/b.go":               file("func TestB() {}"),
		"b/testdata/c_test.go": file("func TestC() {}"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]string{"TestA": {"a", "b"}, "FuzzA": {"a"}, "ExampleT_a": {"a"}}, tests); diff != "" {
		t.Error(diff)
	}
}

func TestGoneTests(t *testing.T) {
	then := map[string][]string{"TestA": {"a", "b"}, "TestB": {"a"}, "FuzzEach": {"broker"}, "TestDigestIsUnambiguous": {"churn"}}
	now := map[string][]string{"TestA": {"c"}, "TestB": {"z"}, "FuzzRecords": {"broker"}, "TestNew": {"a"}}
	gone, moved := goneTests(then, now)
	if len(gone) != 2 || !strings.Contains(gone[0], "TestA, which stood in a, b") || !strings.Contains(gone[1], "TestDigestIsUnambiguous") {
		t.Errorf("gone are %q: one of two of a name is, and one whose new name is not there", gone)
	}
	if len(moved) != 1 || !strings.HasPrefix(moved[0], "FuzzEach -> FuzzRecords") {
		t.Errorf("moved are %q", moved)
	}
}

// TestEnvironment: what a person has configured must not decide what is proved.
func TestEnvironment(t *testing.T) {
	t.Setenv("AFTERSHOCK_KAFKA_BROKERS", "mine")
	t.Setenv("AFTERSHOCK_ENGINE", "/engine")
	got := (&evidence{root: t.TempDir()}).environment("AFTERSHOCK_A=b")
	var ours []string
	for _, variable := range got {
		if strings.HasPrefix(variable, "AFTERSHOCK_") {
			ours = append(ours, variable)
		}
	}
	if !slices.Equal(ours, []string{"AFTERSHOCK_ENGINE=/engine", "AFTERSHOCK_A=b"}) {
		t.Errorf("the environment has %q", ours)
	}
}
