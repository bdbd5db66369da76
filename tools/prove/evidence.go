package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// evidence is what proofs look at: this tree, checkouts of other commits, and what was found out already, so that two proofs that
// need the same do not make it twice.
type evidence struct {
	root string // of this tree
	dir  string // for everything that is made
	seen map[string]func() (any, error)
	end  []func() error
}

func openEvidence(ctx context.Context) (*evidence, error) {
	root, err := command(ctx, ".", nil, "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "prove")
	return &evidence{root: strings.TrimSpace(root), dir: dir, seen: map[string]func() (any, error){}}, err
}

func (e *evidence) close() error {
	var errs []error
	for i := len(e.end) - 1; i >= 0; i-- {
		errs = append(errs, e.end[i]())
	}
	return errors.Join(append(errs, os.RemoveAll(e.dir))...)
}

// once finds something out, or says what was found before under that name.
func once[T any](e *evidence, name string, find func() (T, error)) (T, error) {
	if e.seen[name] == nil {
		found, err := find()
		e.seen[name] = func() (any, error) { return found, err }
	}
	found, err := e.seen[name]()
	return found.(T), err
}

// checkout is the tree of another commit. The error says so where this clone does not have it.
func (e *evidence) checkout(ctx context.Context, commit string) (string, error) {
	return once(e, "checkout "+commit, func() (string, error) {
		if _, err := e.git(ctx, "rev-parse", "--git-dir"); err != nil {
			return "", fmt.Errorf("there is no history here: %w", err)
		}
		if _, err := e.git(ctx, "cat-file", "-e", commit+"^{commit}"); err != nil {
			return "", fmt.Errorf("the commit %.7s is not in this clone: try git fetch --unshallow", commit)
		}
		dir := filepath.Join(e.dir, commit[:7])
		if _, err := e.git(ctx, "worktree", "add", "--detach", dir, commit); err != nil {
			return "", err
		}
		e.end = append(e.end, func() error {
			_, err := e.git(context.WithoutCancel(ctx), "worktree", "remove", "--force", dir)
			return err
		})
		return dir, nil
	})
}

// program is the binary of a tree.
func (e *evidence) program(ctx context.Context, tree string) (string, error) {
	return once(e, "program "+tree, func() (string, error) {
		dir, err := os.MkdirTemp(e.dir, "bin")
		if err != nil {
			return "", err
		}
		binary := filepath.Join(dir, "aftershock")
		_, err = command(ctx, tree, nil, "go", "build", "-trimpath", "-o", binary, "./cmd/aftershock")
		return binary, err
	})
}

func (e *evidence) git(ctx context.Context, arguments ...string) (string, error) {
	return command(ctx, e.root, nil, "git", arguments...)
}

// whole reports an error where history was cut off: what it says of the past would be wrong.
func (e *evidence) whole(ctx context.Context) error {
	shallow, err := e.git(ctx, "rev-parse", "--is-shallow-repository")
	if err == nil && strings.TrimSpace(shallow) != "false" {
		err = errors.New("this clone is shallow: try git fetch --unshallow")
	}
	return err
}

// environment is this process's, without a configuration of the pipeline, but with the embedded ClickHouse of this tree where it was
// fetched, so that checkouts need none of their own.
func (e *evidence) environment(more ...string) []string {
	environment := []string{}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "AFTERSHOCK_") {
			environment = append(environment, variable)
		}
	}
	const engine = "AFTERSHOCK_ENGINE"
	place := filepath.Join(e.root, "embedded", "engine")
	if set := os.Getenv(engine); set != "" {
		environment = append(environment, engine+"="+set)
	} else if _, err := os.Stat(filepath.Join(place, "node_modules")); !errors.Is(err, fs.ErrNotExist) {
		environment = append(environment, engine+"="+place)
	}
	return append(environment, more...)
}

// command returns what a command says on standard output. Its error ends with what it says on standard error.
func command(ctx context.Context, dir string, environment []string, name string, arguments ...string) (string, error) {
	var complaints bytes.Buffer
	c := prepare(ctx, dir, environment, name, arguments...)
	c.Stderr = &complaints
	said, err := c.Output()
	if err != nil {
		words := append([]string{filepath.Base(name)}, arguments[:min(len(arguments), 3)]...)
		err = fmt.Errorf("%s: %w\n%s", strings.Join(words, " "), err, strings.TrimSpace(complaints.String()))
	}
	return string(said), err
}

// prepare makes a command that is told to end where the context ends, and is given time to stop what it started.
func prepare(ctx context.Context, dir string, environment []string, name string, arguments ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, arguments...)
	c.Dir, c.Env = dir, environment
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = time.Minute
	return c
}
