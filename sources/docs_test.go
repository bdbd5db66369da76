package sources

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheExampleInTheDocs runs the example of docs/import.md and holds its output against what the page shows.
func TestTheExampleInTheDocs(t *testing.T) {
	page, err := os.ReadFile("../docs/import.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string) string {
		m := regexp.MustCompile("(?s)```" + kind + "\n(.*?)```").FindSubmatch(page)
		if m == nil {
			t.Fatalf("docs/import.md has no block of %s", kind)
		}
		return string(m[1])
	}
	_, s := collect(t, Import{Kind: Deals, Mapping: write(t, block("jq")), File: "deals.csv"}, block("csv"))
	if s.String() != block("text") {
		t.Errorf("the page shows\n%s\nbut it is\n%s", block("text"), s)
	}
}

// TestEveryMappingIsInTheDocs: all mappings compile, say what they make, and stand in the table.
func TestEveryMappingIsInTheDocs(t *testing.T) {
	page, err := os.ReadFile("../docs/import.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, pattern := range []string{"*/deals.jq", "*/tickets.jq", "*/*/deals.jq", "*/*/tickets.jq"} {
		files, err := filepath.Glob(filepath.Join("../deploy/mappings", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			found++
			m, err := LoadMapping(file)
			if err != nil {
				t.Error(err)
				continue
			}
			if string(m.Kind())+".jq" != filepath.Base(file) {
				t.Errorf("%s says that it makes %q", file, m.Kind())
			}
			if name := strings.TrimPrefix(filepath.ToSlash(file), "../"); !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("%s is not in docs/import.md", name)
			}
		}
	}
	if found < 5 {
		t.Errorf("%d mappings found", found)
	}
}
