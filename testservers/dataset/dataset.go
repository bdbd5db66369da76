// Package dataset finds the public data sets that tests read and that cannot be part of this repository.
package dataset

import (
	"os"
	"path/filepath"
	"testing"
)

// Variable names the directory of the data sets; without it they are looked for in shared/data beside the checkout.
const Variable = "AFTERSHOCK_TESTDATA"

// Path finds an export that nobody here wrote; a test that needs one skips where there is none.
func Path(t testing.TB, parts ...string) string {
	t.Helper()
	name := filepath.Join(parts...)
	for _, root := range []string{os.Getenv(Variable), beside(t)} {
		if root == "" {
			continue
		}
		if path := filepath.Join(root, name); exists(path) {
			return path
		}
	}
	t.Skipf("%s is neither in %s nor in ../shared/data beside the checkout", name, Variable)
	return ""
}

// Read is the content of the file that Path finds.
func Read(t testing.TB, parts ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(Path(t, parts...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// beside looks for the checkout, which holds go.mod, from the folder of the test upward.
func beside(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; !exists(filepath.Join(dir, "go.mod")); dir = filepath.Dir(dir) {
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
	return filepath.Join(filepath.Dir(dir), "shared", "data")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
