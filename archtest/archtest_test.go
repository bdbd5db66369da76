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
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/aftershock/aftershock"

// Three floors: cmd joins the parts, the parts stand on the ground. Folders that are not named here are no part of the
// house and must be added before they may exist.
var (
	ground = []string{"churn", "broker"}
	parts  = []string{"consumers", "warehouse", "rules", "publish", "console", "sources", "simulate", "hindsight", "embedded"}
	top    = []string{"cmd/aftershock"}
	beside = []string{"bench", "chaos", "deploy", "scripts", "tools", "archtest"} // may look at everything, nothing may lean on them
)

// leanedOn are packages outside of the parts that carry only data.
var leanedOn = map[string][]string{
	"deploy/schemas": {"cmd/aftershock"}, // the command `schema` prints the files that a test holds against the types
}

// fenced libraries stand where the reason says, tests apart.
var fenced = []struct {
	library string
	in      []string
	why     string
}{
	{"github.com/robfig/cron", []string{"rules"},
		"its handling of daylight saving and of odd input is corrected in one place (docs/adr/0008)"},
	{"github.com/segmentio/kafka-go", []string{"broker", "consumers", "publish", "embedded/realkafka", "cmd/aftershock", "bench"},
		"its defaults lose data or wait: whoever reads or writes Kafka does it through what broker sets up; cmd has the producer of import and simulate"},
	{"github.com/ClickHouse/clickhouse-go", []string{"warehouse", "embedded"},
		"values are checked before the driver, which damages some without an error, in one place"},
	{"github.com/shopspring/decimal", []string{"warehouse"},
		"it is the driver's type; everywhere else money is govalues/decimal, which never rounds silently (docs/adr/0007)"},
	{"github.com/pressly/goose", []string{"warehouse"}, "migrations are the warehouse's own"},
	{"github.com/twmb/franz-go", []string{"embedded", "bench", "chaos"},
		"it is the embedded broker, and what the chaos test reads topics with, apart from the pipeline, which speaks through kafka-go"},
	{"github.com/ebitengine/purego", []string{"embedded"}, "only the embedded ClickHouse loads a shared library"},
	{"github.com/itchyny/gojq", []string{"sources"}, "mappings are a matter of sources"},
	{"github.com/goccy/go-yaml", []string{"rules", "cmd/aftershock"}, "YAML is read where a person writes it: rules and configuration"},
	{"github.com/caarlos0/env", []string{"cmd/aftershock"}, "parts are given their configuration and never look for it"},
	{"gonum.org/v1/gonum", []string{"hindsight"}, "statistics are told in one place, with the intervals that belong to them"},
	{"github.com/spf13/cobra", []string{"cmd/aftershock"}, "parts do not know that there is a command line"},
	{"github.com/jedib0t/go-pretty", []string{"cmd/aftershock"}, "what a person sees in a terminal is made in cmd"},
	{"github.com/prometheus/client_golang", []string{"consumers", "publish", "console", "cmd/aftershock"},
		"the pure parts return what happened; whoever runs them counts it"},
}

// churnMay is all that the ground may lean on beside the standard library.
var churnMay = []string{"github.com/govalues/decimal"}

func TestFloors(t *testing.T) {
	for _, p := range packages(t) {
		home := homeOf(p.name)
		if home == "" {
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

// forbidden says why a package may not import another one of ours; it is empty where it may.
func forbidden(from, path string) string {
	to, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		if homeOf(from) == "churn" && external(path) && !slices.Contains(churnMay, path) {
			return "churn is facts and pure functions that everyone stands on: the standard library and one decimal type only"
		}
		return ""
	}
	a, b := homeOf(from), homeOf(to)
	switch {
	case a == b, slices.Contains(top, a) && !slices.Contains(beside, b), slices.Contains(beside, a):
		return ""
	case slices.Contains(leanedOn[to], a):
		return ""
	case a == "churn":
		return "churn is the ground: it imports nothing of ours"
	case a == "broker":
		if b == "churn" {
			return ""
		}
		return "broker is ground: it knows connections and positions, and may import churn only"
	case slices.Contains(parts, a) && slices.Contains(ground, b):
		return ""
	case slices.Contains(parts, a) && slices.Contains(parts, b):
		return "parts do not know one another: declare the one- or two-method interface that you need beside its use, and let cmd join the two"
	case slices.Contains(top, b):
		return "cmd joins the parts: nothing imports it"
	}
	return "what stands beside the house is leaned on by nobody"
}

// forbiddenToTests is forbidden, but that every test may start real servers.
func forbiddenToTests(from, path string) string {
	if to, ours := strings.CutPrefix(path, module+"/"); ours && homeOf(to) == "embedded" && homeOf(from) != "churn" {
		return ""
	}
	if homeOf(from) == "churn" && external(path) {
		return "" // a library for tests, such as rapid
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
		if home == "embedded" || slices.Contains(beside, home) {
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
		{"consumers", module + "/publish", false},
		{"churn", module + "/broker", false},
		{"churn", "github.com/segmentio/kafka-go", false},
		{"broker", module + "/consumers", false},
		{"warehouse", module + "/cmd/aftershock", false},
		{"cmd/aftershock", module + "/bench", false},
		{"sources", module + "/deploy/schemas", false},
		{"warehouse", module + "/embedded", false},
		{"cmd/aftershock", module + "/deploy/schemas", true},
		{"cmd/aftershock", module + "/rules", true},
		{"rules", module + "/churn", true},
		{"publish", module + "/broker", true},
		{"broker", module + "/churn", true},
		{"embedded/testservers", module + "/embedded/realkafka", true},
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

// homeOf is the folder that says which floor a package stands on.
func homeOf(name string) string {
	for _, floor := range [][]string{ground, parts, top, beside} {
		for _, folder := range floor {
			if under(name, folder) {
				return folder
			}
		}
	}
	return ""
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
	ImportPath, Dir                             string
	GoFiles, Imports, TestImports, XTestImports []string
	name                                        string // path within the module
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	command := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports", module+"/...")
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
	if len(all) < len(parts) {
		t.Fatalf("only %d packages were found", len(all))
	}
	return all
}
