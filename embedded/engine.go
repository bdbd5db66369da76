package embedded

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// EngineEnv names the environment variable that points at the library itself or
// at a directory that holds it; it goes before every other place.
const EngineEnv = "AFTERSHOCK_ENGINE"

// EngineMissingError says where the ClickHouse library was looked for.
type EngineMissingError struct {
	Env    string   // what AFTERSHOCK_ENGINE says, if anything
	Looked []string // the paths tried, in order
}

func (e *EngineMissingError) Error() string {
	if e.Env != "" {
		return fmt.Sprintf("finding the ClickHouse library: %s is %q, which is neither libchdb.so nor a directory with it: "+
			"try to unset it after `make engine` or `npm ci --prefix embedded/engine`", EngineEnv, e.Env)
	}
	return fmt.Sprintf("finding the ClickHouse library for %s/%s: not in any of %d places (the first: %s): "+
		"try `make engine` or `npm ci --prefix embedded/engine`, or set %s to the path of libchdb.so",
		runtime.GOOS, runtime.GOARCH, len(e.Looked), firstOf(e.Looked), EngineEnv)
}

// FindEngine looks for libchdb.so: where AFTERSHOCK_ENGINE points, then in
// embedded/engine/node_modules of the working directory and of its parents,
// then beside the executable, then in the user's cache directory under
// aftershock/engine. The error is an *EngineMissingError when it is nowhere.
func FindEngine() (string, error) {
	if place := os.Getenv(EngineEnv); place != "" {
		candidates := append([]string{place}, librariesIn(place)...)
		if path := firstFile(candidates); path != "" {
			return path, nil
		}
		return "", &EngineMissingError{Env: place, Looked: candidates}
	}
	candidates := engineCandidates()
	if path := firstFile(candidates); path != "" {
		return path, nil
	}
	return "", &EngineMissingError{Looked: candidates}
}

func engineCandidates() []string {
	var places []string
	if wd, err := os.Getwd(); err == nil {
		for dir := wd; ; dir = filepath.Dir(dir) {
			places = append(places, librariesIn(filepath.Join(dir, "embedded", "engine"))...)
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	if exe, err := os.Executable(); err == nil {
		beside := filepath.Dir(exe)
		places = append(places, librariesIn(beside)...)
		places = append(places, librariesIn(filepath.Join(beside, "embedded", "engine"))...)
		places = append(places, librariesIn(filepath.Join(filepath.Dir(beside), "embedded", "engine"))...) // built into bin/
	}
	if cache, err := os.UserCacheDir(); err == nil {
		places = append(places, librariesIn(filepath.Join(cache, "aftershock", "engine"))...)
	}
	return places
}

// librariesIn lists where the library may lie under dir: by itself, or in the
// npm package for this machine.
func librariesIn(dir string) []string {
	pkg := filepath.Join(dir, "node_modules", "@chdb", "lib-"+npmPlatform())
	return []string{filepath.Join(pkg, "libchdb.so"), filepath.Join(dir, "libchdb.so")}
}

// npmPlatform is the part of the npm package's name that says which machine it is for.
func npmPlatform() string {
	arch := strings.ReplaceAll(runtime.GOARCH, "amd64", "x64")
	if runtime.GOOS == "linux" {
		return "linux-" + arch + "-gnu"
	}
	return runtime.GOOS + "-" + arch
}

func firstFile(paths []string) string {
	i := slices.IndexFunc(paths, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.Mode()&fs.ModeType == 0
	})
	if i < 0 {
		return ""
	}
	return paths[i]
}

func firstOf(paths []string) string {
	if len(paths) == 0 {
		return "none"
	}
	return paths[0]
}
