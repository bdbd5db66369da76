package kafka

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aftershock/aftershock/embedded/child"
)

// project is a Maven project that names jars.
type project []byte

//go:embed pom.xml
var broker project

//go:embed tools.xml
var tools project

// cacheDir is where the artifacts of this very project lie: a change of it is another directory.
func (p project) cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	return filepath.Join(cache, "aftershock", fmt.Sprintf("kafka-%.8x", sha256.Sum256(p))), nil
}

// fetched is the directory of the jars, if they are there already.
func (p project) fetched() (string, bool) {
	dir, err := p.cacheDir()
	if err != nil {
		return "", false
	}
	jars := filepath.Join(dir, "lib")
	_, err = os.Stat(jars)
	return jars, err == nil
}

// fetch lets Maven copy the jars and what they need into the cache, once. Several
// processes may call it at a time: the first fetches and the others wait.
func (p project) fetch(ctx context.Context) (jars string, err error) {
	if jars, ok := p.fetched(); ok {
		return jars, nil
	}
	dir, err := p.cacheDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache directory: %w", err)
	}
	lock, err := child.LockWait(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("waiting for another process that fetches Kafka: %w", err)
	}
	defer lock.Close()
	if jars, ok := p.fetched(); ok {
		return jars, nil
	}
	partial := filepath.Join(dir, "partial")
	if err := os.RemoveAll(partial); err != nil {
		return "", fmt.Errorf("clearing an earlier try: %w", err)
	}
	file := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(file, p, 0o644); err != nil {
		return "", fmt.Errorf("writing the Maven project: %w", err)
	}
	maven := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", file,
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+partial)
	if said, err := maven.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetching Kafka with Maven: %w: %s", err, strings.TrimSpace(string(said[:min(len(said), 2000)])))
	}
	// The name appears at once and whole, so whoever sees it can use it.
	jars = filepath.Join(dir, "lib")
	if err := os.Rename(partial, jars); err != nil {
		return "", fmt.Errorf("moving what was fetched: %w", err)
	}
	return jars, nil
}
