package sources

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzMapping: any text is a mapping or a mistake in that file, with a place inside of it where it has one. It is not run: a
// program may run for as long as its author wants.
func FuzzMapping(f *testing.F) {
	found := 0
	for _, pattern := range []string{"../deploy/mappings/*/*.jq", "testdata/*.jq", "testdata/mappings/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil {
				f.Add(string(text))
				found++
			}
		}
	}
	if found < 5 {
		f.Fatalf("%d seeds", found)
	}
	path := filepath.Join(f.TempDir(), "fuzzed.jq")
	f.Fuzz(func(t *testing.T, text string) {
		m := &Mapping{path: path, wants: map[string]string{}, tables: &tables{byName: map[string]*table{}}, knows: []string{"$row", "$file", "$tables"}}
		err := m.compile(text)
		if err == nil {
			if m.code == nil || m.kind != "" && m.kind != Deals && m.kind != Tickets {
				t.Fatalf("%+v", m)
			}
			for name, base := range m.wants {
				if base != filepath.Base(base) {
					t.Fatalf("table %s is read from %q", name, base)
				}
			}
			return
		}
		var mistake *MappingError
		if !errors.As(err, &mistake) || mistake.File != path || mistake.Reason == "" {
			t.Fatalf("%T: %v", err, err)
		}
		if mistake.Line < 0 || mistake.Column < 0 || mistake.Line > strings.Count(text, "\n")+1 {
			t.Fatalf("the mistake is at %d:%d of %d lines: %v", mistake.Line, mistake.Column, strings.Count(text, "\n")+1, err)
		}
	})
}
