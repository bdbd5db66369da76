package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aftershock/aftershock/embedded"
	realkafka "github.com/aftershock/aftershock/testservers/kafka"
)

func TestMain(m *testing.M) {
	embedded.ChildMain()
	os.Exit(m.Run())
}

// TestShortForm is the storm in little: what `make chaos` does without arguments.
func TestShortForm(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute or two")
	}
	missing := t.Skip
	if os.Getenv("CI") == "true" {
		missing = t.Fatal
	}
	if ok, reason := realkafka.Available(); !ok {
		missing(reason)
	}
	if _, err := embedded.FindEngine(); err != nil {
		missing(err)
	}
	o, err := readOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "report"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	err = o.runStorm(t.Context(), out)
	said, _ := os.ReadFile(out.Name())
	t.Log(string(said))
	if err != nil {
		t.Fatal(err)
	}
}

// TestSabotagesStillAim applies every sabotage to the sources, without building them.
func TestSabotagesStillAim(t *testing.T) {
	source, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sabotages {
		root := t.TempDir()
		for _, e := range s.edits {
			if _, err := copyFile(filepath.Join(source, e.file), filepath.Join(root, e.file)); err != nil {
				t.Fatal(err)
			}
			if err := e.apply(root); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
		}
	}
	if err := (edit{"consumers/store.go", "func", "func"}).apply(source); err == nil {
		t.Error("a text that stands there many times was replaced")
	}
}

// TestNamedSteps holds the list of steps to the comments in the code.
func TestNamedSteps(t *testing.T) {
	source, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, pattern := range []string{"*/*.go", "*/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(source, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "// gofail: var "); ok {
					found[strings.Fields(rest)[0]]++
				}
			}
		}
	}
	for _, step := range namedSteps {
		if found[step] != 1 {
			t.Errorf("step %s stands %d times in the code", step, found[step])
		}
		delete(found, step)
	}
	for step := range found {
		t.Errorf("step %s of the code is not among namedSteps: no fault happens at it", step)
	}
}

// TestOptions refuses what makes no sense.
func TestOptions(t *testing.T) {
	for _, args := range []string{"-records 0", "-replicas 1", "-for 1ms", "-sabotage nothing-of-ours", "now"} {
		if _, err := readOptions(strings.Fields(args)); err == nil {
			t.Errorf("%s was accepted", args)
		}
	}
	o, err := readOptions(strings.Fields("-records 1000000 -faults 200 -for 35m -sabotage no-mending,no-read-back"))
	if err != nil || o.records != 1_000_000 {
		t.Errorf("%+v, %v", o, err)
	}
}
