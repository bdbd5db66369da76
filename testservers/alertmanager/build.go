package alertmanager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aftershock/aftershock/embedded/child"
)

const program = "github.com/prometheus/alertmanager/cmd/alertmanager@" + Version

func cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	return filepath.Join(cache, "aftershock", "alertmanager-"+Version), nil
}

// build builds it into the cache, once. Several processes may call it at a time: the first builds and the others wait.
func build(ctx context.Context) (binary string, err error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "alertmanager")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache directory: %w", err)
	}
	lock, err := child.LockWait(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("waiting for another process that builds it: %w", err)
	}
	defer lock.Close()
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	partial := filepath.Join(dir, "partial")
	install := exec.CommandContext(ctx, "go", "install", program)
	install.Dir = dir // beside any module
	install.Env = append(os.Environ(), "GOBIN="+partial, "GOFLAGS=")
	if said, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: go install %s: %w: %s", ErrCannotBuild, program, err, lastLines(string(said)))
	}
	// The name appears at once and whole, so whoever sees it can use it.
	if err := os.Rename(filepath.Join(partial, "alertmanager"), binary); err != nil {
		return "", fmt.Errorf("moving what was built: %w", err)
	}
	return binary, nil
}

// ErrCannotBuild says that this machine has no Alertmanager and cannot build one: try with a Go module proxy in reach.
var ErrCannotBuild = errors.New("a real Alertmanager cannot be built here")

func lastLines(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}
