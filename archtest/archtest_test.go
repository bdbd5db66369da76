// Package archtest holds the rules of docs/adr/0009 and of the README's diagram against the code: which part may import which,
// which library stands in which part, and that SQL stands in .sql files. Each rule says why it is there.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/aftershock/aftershock"

// floor is a storey of the house: imports point down, never up and never sideways between two parts.
type floor int

const (
	pureGround floor = iota // facts and pure functions
	ground                  // touches the world, and knows nothing of what is done with it
	parts                   // each does one thing, and none knows another
	joined                  // the parts joined
	top                     // commands, and the show
	beside                  // may look at everything; nothing leans on it
)

// home is a folder, the floor that it is on, and what of ours it may import: folders, of which "churn/..." means churn and all below.
// A folder that stands here may have no others below it but those that stand here too.
type home struct {
	folder string
	floor  floor
	may    []string
	why    string
}

var (
	facts     = []string{"churn/...", "text"}
	allGround = []string{"churn/...", "text", "broker", "config", "dial"}
	allParts  = slices.Concat(allGround, []string{"consumers/...", "rules/...", "warehouse", "publish", "console", "sources", "simulate", "embedded"})
)

// house is the table of docs/architecture.md. A folder that is not here is no part of the house and must be added before it may exist.
var house = []home{
	{"churn", pureGround, nil, "facts that everyone stands on: it imports nothing of ours"},
	{"churn/hardness", pureGround, []string{"churn"}, "how a score is found from a deal; facts only"},
	{"churn/attempts", pureGround, []string{"churn"}, "what a ticket asks for; facts only"},
	{"churn/links", pureGround, []string{"churn"}, "which attempt reopens which contract; facts only"},
	{"churn/alert", pureGround, []string{"churn", "text"}, "what an alert is and how it is written; facts and words only"},
	{"churn/outcomes", pureGround, []string{"churn", "churn/alert"}, "whether alerts were right; facts and alerts only"},
	{"text", pureGround, nil, "words on a line: it knows nothing of ours"},

	{"broker", ground, []string{"churn", "dial"}, "Kafka's connections and positions: of ours it knows positions only"},
	{"config", ground, nil, "it knows no key by name, so it can import none of those who have keys"},
	{"dial", ground, nil, "reaching a server is the same for every server"},

	{"consumers", parts, slices.Concat(allGround, []string{"consumers/deadletter"}), anotherPart},
	{"consumers/deadletter", parts, allGround, "a dead letter is read and sent again without any consumer"},
	{"rules", parts, facts, "what a person writes is read without engine, warehouse or broker"},
	{"rules/engine", parts, slices.Concat(facts, []string{"rules"}), "it is driven by the leader and by the past, and calls neither"},
	{"rules/past", parts, slices.Concat(facts, []string{"rules", "rules/engine", "dial"}), "the past is the engine over other instants; it waits outages out"},
	{"warehouse", parts, slices.Concat(facts, []string{"dial"}), anotherPart},
	{"publish", parts, allGround, anotherPart},
	{"console", parts, slices.Concat(facts, []string{"dial"}), anotherPart},
	{"sources", parts, slices.Concat(facts, []string{"broker"}), anotherPart},
	{"simulate", parts, []string{"churn/..."}, anotherPart},
	{"embedded", parts, []string{"embedded/child"}, "servers know nothing of what runs on them"},
	{"embedded/child", parts, nil, "a process that dies with its parent knows nothing of what it is"},

	{"pipeline", joined, allParts, "it joins the parts, and is called by what stands above"},

	{"demo", top, slices.Concat(allParts, []string{"pipeline"}), "the show stands on the pipeline and is called by its command only"},
	{"cmd/aftershock", top, slices.Concat(allParts, []string{"pipeline", "demo", "deploy/schemas"}), "nothing of tests and tools goes into the binary"},

	{"deploy", beside, nil, ""},
	{"deploy/schemas", beside, nil, "files that the command schema prints, and nothing more"},
	{"testservers", beside, []string{"testservers/...", "embedded", "embedded/child", "broker", "warehouse"}, "servers for tests stand on the embedded ones"},
	{"testservers/authority", beside, nil, "servers for tests stand on the embedded ones"},
	{"testservers/alertmanager", beside, []string{"embedded/child"}, "servers for tests stand on the embedded ones"},
	{"testservers/dataset", beside, nil, "data for tests, for everyone"},
	{"testservers/kafka", beside, []string{"embedded/child", "testservers/authority"}, "servers for tests stand on the embedded ones"},
	{"tools", beside, []string{"..."}, ""},
	{"archtest", beside, nil, ""},
}

const anotherPart = "parts do not know one another: declare the one- or two-method interface that you need beside its use, and let pipeline join the two"

// fenced libraries stand where the reason says, tests apart.
var fenced = []struct {
	library string
	in      []string
	why     string
}{
	{"github.com/robfig/cron", []string{"rules"},
		"its handling of daylight saving and of odd input is corrected in one place (docs/adr/0008)"},
	{"github.com/segmentio/kafka-go", []string{"broker", "consumers", "publish", "pipeline", "testservers", "tools"},
		"its defaults lose data or wait: whoever reads or writes Kafka does it through what broker sets up"},
	{"github.com/ClickHouse/clickhouse-go", []string{"warehouse", "embedded", "testservers"},
		"values are checked before the driver, which damages some without an error, in one place"},
	{"github.com/shopspring/decimal", []string{"warehouse"},
		"it is the driver's type; everywhere else money is govalues/decimal, which never rounds silently (docs/adr/0007)"},
	{"github.com/pressly/goose", []string{"warehouse"}, "migrations are the warehouse's own"},
	{"github.com/twmb/franz-go", []string{"embedded", "tools"},
		"it is the embedded broker, and what the chaos test reads topics with, apart from the pipeline, which speaks through kafka-go"},
	{"github.com/ebitengine/purego", []string{"embedded"}, "only the embedded ClickHouse loads a shared library"},
	{"github.com/itchyny/gojq", []string{"sources"}, "mappings are a matter of sources"},
	{"github.com/goccy/go-yaml", []string{"rules", "config"}, "YAML is read where a person writes it: rules and configuration"},
	{"github.com/caarlos0/env", []string{"config"}, "parts are given their configuration and never look for it"},
	{"github.com/klauspost/compress", []string{"broker"}, "what is compressed ends where records are read"},
	{"gonum.org/v1/gonum", []string{"churn/outcomes"}, "statistics are told in one place, with the intervals that belong to them"},
	{"github.com/spf13/cobra", []string{"cmd/aftershock"}, "parts do not know that there is a command line"},
	{"github.com/jedib0t/go-pretty", []string{"cmd/aftershock", "demo"}, "what a person sees in a terminal is made in cmd"},
	{"github.com/prometheus/client_golang", []string{"consumers", "publish", "console", "warehouse", "pipeline"},
		"the pure parts return what happened; whoever runs them counts it"},
}

// pureMay is all that the pure ground may lean on beside the standard library.
var pureMay = []string{"github.com/govalues/decimal", "gonum.org/v1/gonum"}

// impure are the packages of the standard library by which a clock, a file or another machine gets in.
var impure = []string{"context", "io/fs", "io/ioutil", "log", "net", "os", "os/exec", "os/signal", "syscall", "database/sql", "net/http", "math/rand", "math/rand/v2"}

func TestFloors(t *testing.T) {
	for _, p := range packages(t) {
		if homeOf(p.name) == nil {
			t.Errorf("%s is on no floor: name its folder in archtest, with its floor", p.name)
			continue
		}
		for _, imported := range p.Imports {
			if why := forbidden(p.name, imported); why != "" {
				t.Errorf("%s imports %s: %s", p.name, imported, why)
			}
		}
		for _, imported := range append(p.TestImports, p.XTestImports...) {
			if why := forbiddenToTests(p.name, imported); why != "" {
				t.Errorf("the tests of %s import %s: %s", p.name, imported, why)
			}
		}
	}
}

// TestTableIsDownhill holds the table itself against its own rule.
func TestTableIsDownhill(t *testing.T) {
	for _, h := range house {
		for _, to := range house {
			if !h.allows(to.folder) || to.folder == h.folder || h.floor == beside || to.folder == "deploy/schemas" {
				continue
			}
			inside := strings.HasPrefix(h.folder, family(to.folder)) && strings.HasPrefix(to.folder, family(h.folder))
			if to.floor > h.floor || to.floor == h.floor && h.floor != pureGround && h.floor != ground && !inside && to.folder != "demo" {
				t.Errorf("the table lets %s import %s, which is not below it", h.folder, to.folder)
			}
		}
	}
}

func family(folder string) string { first, _, _ := strings.Cut(folder, "/"); return first }

// forbidden says why a package may not import another one; it is empty where it may.
func forbidden(from, path string) string {
	a := homeOf(from)
	to, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		switch {
		case a.floor != pureGround:
		case external(path) && !slices.ContainsFunc(pureMay, func(l string) bool { return under(path, l) }):
			return "the ground is facts and pure functions that everyone stands on: the standard library, one decimal type, and statistics in churn/outcomes"
		case slices.Contains(impure, path):
			return "the ground is pure: no context, no clock, no files, no network, no chance"
		}
		return ""
	}
	if a.floor == beside && family(a.folder) != "testservers" && a.folder != "deploy/schemas" || a.allows(to) {
		return ""
	}
	switch b := homeOf(to); {
	case b == nil:
		return "it is on no floor"
	case b.floor == beside:
		return "what stands beside the house is leaned on by nobody"
	case b.floor > a.floor:
		return "imports point down: " + a.why
	}
	return a.why
}

// allows reports whether the table lets a home import a folder of ours.
func (h home) allows(to string) bool {
	return slices.ContainsFunc(h.may, func(pattern string) bool {
		all, below := strings.CutSuffix(pattern, "...")
		return to == pattern || below && (all == "" || to == strings.TrimSuffix(all, "/") || strings.HasPrefix(to, all))
	})
}

// forbiddenToTests is forbidden, but that every test may start real servers and read data sets, and those of the ground too may have
// libraries and files.
func forbiddenToTests(from, path string) string {
	to, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		return ""
	}
	pure := homeOf(from).floor == pureGround
	if homeOf(from).floor == beside {
		return ""
	}
	if to == from || family(to) == "testservers" && (!pure || to == "testservers/dataset") || to == "embedded" && !pure || family(to) == "churn" && pure {
		return ""
	}
	return forbidden(from, path)
}

func TestFences(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			for _, f := range fenced {
				if !under(imported, f.library) {
					continue
				}
				if !slices.ContainsFunc(f.in, func(folder string) bool { return under(p.name, folder) }) {
					t.Errorf("%s imports %s, which stands only in %s: %s", p.name, imported, strings.Join(f.in, ", "), f.why)
				}
			}
		}
	}
}

var sql = regexp.MustCompile(`\b(SELECT\s[\s\S]*\bFROM\b|SELECT\s+[\w*(]|INSERT\s+INTO\b|(CREATE|DROP|ALTER|OPTIMIZE|TRUNCATE)\s+(TABLE|VIEW|DATABASE|MATERIALIZED)\b)`)

// TestSQLStandsInFiles keeps SQL where editors, reviewers and ClickHouse's own tools can read it, and string-built SQL, the
// way of injections, out. Embedded servers are commanded in a line or two of their own.
func TestSQLStandsInFiles(t *testing.T) {
	for _, p := range packages(t) {
		home := homeOf(p.name)
		if family(p.name) == "embedded" || home.floor == beside {
			continue
		}
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				literal, ok := n.(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING {
					return true
				}
				if text, err := strconv.Unquote(literal.Value); err == nil && sql.MatchString(text) {
					t.Errorf("%s/%s:%d: SQL in a string: put it into a .sql file and embed that", p.name, name, files.Position(literal.Pos()).Line)
				}
				return true
			})
		}
	}
}

// TestRulesBite makes sure that the rules above forbid what they should.
func TestRulesBite(t *testing.T) {
	for _, c := range []struct {
		from, to string
		allowed  bool
	}{
		{"rules", module + "/warehouse", false},
		{"rules", module + "/rules/engine", false},
		{"rules/engine", module + "/rules/past", false},
		{"rules/engine", module + "/pipeline", false},
		{"consumers", module + "/publish", false},
		{"consumers/deadletter", module + "/consumers", false},
		{"churn", module + "/broker", false},
		{"churn", module + "/churn/alert", false},
		{"churn/alert", module + "/churn/outcomes", false},
		{"churn", "github.com/segmentio/kafka-go", false},
		{"churn/links", "context", false},
		{"text", "os", false},
		{"broker", module + "/consumers", false},
		{"warehouse", module + "/cmd/aftershock", false},
		{"warehouse", module + "/broker", false},
		{"pipeline", module + "/demo", false},
		{"cmd/aftershock", module + "/tools/bench", false},
		{"cmd/aftershock", module + "/testservers", false},
		{"sources", module + "/deploy/schemas", false},
		{"warehouse", module + "/embedded", false},
		{"cmd/aftershock", module + "/deploy/schemas", true},
		{"cmd/aftershock", module + "/rules", true},
		{"pipeline", module + "/rules/engine", true},
		{"rules", module + "/churn", true},
		{"rules", module + "/churn/alert", true},
		{"publish", module + "/broker", true},
		{"broker", module + "/churn", true},
		{"testservers", module + "/testservers/kafka", true},
		{"tools/bench", module + "/pipeline", true},
		{"churn", "github.com/govalues/decimal", true},
		{"churn", "encoding/json", true},
	} {
		if why := forbidden(c.from, c.to); (why == "") != c.allowed {
			t.Errorf("%s importing %s: %q", c.from, c.to, why)
		}
	}
	for text, is := range map[string]bool{
		"SELECT a FROM b": true, "INSERT INTO t": true, "CREATE TABLE x": true, "please select one from these": false, "SELECT %s": false,
		"SELECT count()": true, "a rule must SELECT account_id": true,
	} {
		if sql.MatchString(text) != is {
			t.Errorf("%q as SQL: %v", text, !is)
		}
	}
}

// TestCommandsRun: a package that has a main.go and another name builds, and cannot be run.
func TestCommandsRun(t *testing.T) {
	for _, p := range packages(t) {
		if slices.Contains(p.GoFiles, "main.go") && p.Name != "main" {
			t.Errorf("%s has a main.go and is package %s", p.name, p.Name)
		}
	}
}

// homeOf is the row of the table for a package: its own, or that of the nearest folder above it where that is beside the house.
func homeOf(name string) *home {
	for i, h := range house {
		if h.folder == name || h.floor == beside && under(name, h.folder) && !slices.ContainsFunc(house, func(h home) bool { return h.folder == name }) {
			return &house[i]
		}
	}
	return nil
}

func under(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// external reports whether a path is neither ours nor the standard library's.
func external(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".") && !under(path, module)
}

type goPackage struct {
	ImportPath, Dir, Name                       string
	GoFiles, Imports, TestImports, XTestImports []string
	name                                        string // path within the module
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	command := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Name,GoFiles,Imports,TestImports,XTestImports", module+"/...")
	var complaints bytes.Buffer
	command.Stderr = &complaints
	said, err := command.Output()
	if err != nil {
		t.Fatalf("listing the packages: %v: %s", err, complaints.String())
	}
	var all []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(said)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(fmt.Errorf("reading the list of packages: %w", err))
		}
		p.name = strings.TrimPrefix(p.ImportPath, module+"/")
		all = append(all, p)
	}
	if len(all) < 20 {
		t.Fatalf("only %d packages were found", len(all))
	}
	return all
}

// TestCmdOnlyWires keeps out of the commands what belongs to a part: clocks, goroutines, templates and wide interfaces. SQL is kept
// out of all parts by TestSQLStandsInFiles.
func TestCmdOnlyWires(t *testing.T) {
	for _, p := range packages(t) {
		if p.name != "cmd/aftershock" {
			continue
		}
		for _, name := range p.GoFiles {
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, why := range wiringFaults(file) {
				t.Errorf("%s: %s", name, why)
			}
		}
	}
}

// wiringFaults says what of a file is no wiring.
func wiringFaults(file *ast.File) (faults []string) {
	for _, imported := range file.Imports {
		if path, _ := strconv.Unquote(imported.Path.Value); path == "text/template" || path == "html/template" {
			faults = append(faults, "it imports "+path+": what is filled in belongs to the part that knows its words")
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			faults = append(faults, "it starts a goroutine: a part's Run does that, and waits for it")
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Now" {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
					faults = append(faults, "it asks time.Now: use the clock that is handed on")
				}
			}
		case *ast.InterfaceType:
			if n.Methods.NumFields() > 3 {
				faults = append(faults, "it declares an interface of more than three methods: that is a part's business")
			}
		}
		return true
	})
	return faults
}

// TestPipelineStaysSmall keeps the floor where parts are joined from becoming a second cmd.
func TestPipelineStaysSmall(t *testing.T) {
	const most = 1500
	lines := 0
	for _, p := range packages(t) {
		if p.name != "pipeline" {
			continue
		}
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			lines += bytes.Count(text, []byte("\n"))
		}
		for _, imported := range p.Imports {
			for _, no := range []string{"github.com/spf13", "github.com/jedib0t", "github.com/ClickHouse", "flag", "text/template", "html/template"} {
				if under(imported, no) {
					t.Errorf("pipeline imports %s: it joins the parts and neither prints, nor reads flags, nor speaks to a server itself", imported)
				}
			}
		}
	}
	if lines > most {
		t.Errorf("pipeline has %d lines, more than %d: what of it is a part's?", lines, most)
	}
}

// TestWiringFaultsBite makes sure that the rules for cmd forbid what they should.
func TestWiringFaultsBite(t *testing.T) {
	source := `package main
import "text/template"
type wide interface { A(); B(); C(); D() }
func f() { go f(); _ = time.Now() }
var clock = time.Now
`
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if faults := wiringFaults(file); len(faults) != 4 {
		t.Errorf("%q", faults)
	}
}
