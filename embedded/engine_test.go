package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// elsewhere makes a working directory and a cache from which no engine is in sight.
func elsewhere(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Chdir(dir)
	t.Setenv(EngineEnv, "")
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	t.Setenv("HOME", dir)
	return dir
}

func place(t *testing.T, path ...string) string {
	t.Helper()
	library := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(library), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(library, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return library
}

func TestFindEngineMissing(t *testing.T) {
	elsewhere(t)
	_, err := FindEngine()
	var missing *EngineMissingError
	if !errors.As(err, &missing) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"make engine", "npm ci --prefix embedded/engine", EngineEnv} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if _, err := StartClickHouse(t.Context(), ClickHouseOptions{}); !errors.As(err, &missing) {
		t.Errorf("starting without an engine: %v", err)
	}
}

func TestFindEngineOrder(t *testing.T) {
	dir := elsewhere(t)
	find := func(want string) {
		t.Helper()
		got, err := FindEngine()
		if err != nil || !sameFile(got, want) {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
	if cache, err := os.UserCacheDir(); err != nil {
		t.Fatal(err)
	} else {
		find(place(t, cache, "aftershock", "engine", "libchdb.so"))
	}
	checkout := place(t, dir, "embedded", "engine", "node_modules", "@chdb", "lib-"+npmPlatform(), "libchdb.so")
	find(checkout)
	deep := filepath.Join(dir, "warehouse", "migrations")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	find(checkout)
	named := place(t, dir, "opt", "libchdb.so")
	t.Setenv(EngineEnv, named)
	find(named)
	t.Setenv(EngineEnv, filepath.Dir(named))
	find(named)
	t.Setenv(EngineEnv, filepath.Join(dir, "nowhere"))
	if _, err := FindEngine(); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a wrong %s: %v", EngineEnv, err)
	}
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	two, err := os.Stat(b)
	return err == nil && os.SameFile(one, two)
}
