package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	_ "go.etcd.io/gofail/runtime" // replicas are built with it: this keeps it among the module's requirements
)

// edit is one replacement in one file of the copy. Its text must stand there exactly once, so that a sabotage cannot rot.
type edit struct{ file, old, new string }

func (e edit) apply(root string) error {
	path := filepath.Join(root, e.file)
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("sabotaging %s: %w", e.file, err)
	}
	if n := bytes.Count(text, []byte(e.old)); n != 1 {
		return fmt.Errorf("sabotaging %s: %q stands there %d times, and not once: aim the sabotage anew", e.file, e.old, n)
	}
	return os.WriteFile(path, bytes.Replace(text, []byte(e.old), []byte(e.new), 1), 0o644)
}

// build makes a replica's binary out of the sources, with the named steps enabled and the edits applied to a copy, which lies in
// dir. The compiler takes from the copy only what differs there, so that all else comes from its cache.
func build(ctx context.Context, source, dir string, edits []edit) (binary string, err error) {
	root := filepath.Join(dir, "source")
	stepped, err := copySources(ctx, source, root)
	if err != nil {
		return "", fmt.Errorf("copying the sources of the replica: %w", err)
	}
	for _, e := range edits {
		if err := e.apply(root); err != nil {
			return "", err
		}
	}
	if _, err := command(ctx, source, append([]string{"go", "run", "go.etcd.io/gofail", "enable"}, stepped...)...); err != nil {
		return "", fmt.Errorf("enabling the named steps: %w", err)
	}
	changes := filepath.Join(dir, "changes.json")
	if err := overlay(changes, source, root); err != nil {
		return "", fmt.Errorf("comparing the sources of the replica: %w", err)
	}
	binary = filepath.Join(dir, "aftershock")
	if _, err := command(ctx, source, "go", "build", "-overlay", changes, "-buildvcs=false", "-o", binary, "./cmd/aftershock"); err != nil {
		return "", fmt.Errorf("building the replica: %w", err)
	}
	return binary, nil
}

// overlay writes which files of the sources the compiler is to take from the copy instead.
func overlay(path, source, root string) error {
	replace := map[string]string{}
	err := filepath.WalkDir(root, func(copied string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := filepath.Rel(root, copied)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(copied)
		if err != nil {
			return err
		}
		original := filepath.Join(source, file)
		if was, err := os.ReadFile(original); err != nil || !bytes.Equal(was, text) { // there may be none: named steps add files
			replace[original] = copied
		}
		return nil
	})
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// copySources copies go.mod and every file of the module that the binary is made of, and returns the folders of the copy that
// have named steps.
func copySources(ctx context.Context, source, root string) (stepped []string, err error) {
	listed, err := command(ctx, source, "go", "list", "-deps", "-json=Dir,GoFiles,EmbedFiles,Module", "./cmd/aftershock")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if _, err := copyFile(filepath.Join(source, name), filepath.Join(root, name)); err != nil {
			return nil, err
		}
	}
	for decoder := json.NewDecoder(bytes.NewReader(listed)); ; {
		var p struct {
			Dir                 string
			GoFiles, EmbedFiles []string
			Module              *struct {
				Main bool
				Dir  string
			}
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return stepped, nil
		} else if err != nil {
			return nil, err
		}
		if p.Module == nil || !p.Module.Main {
			continue
		}
		folder, err := filepath.Rel(p.Module.Dir, p.Dir)
		if err != nil {
			return nil, err
		}
		steps := false
		for _, name := range append(p.GoFiles, p.EmbedFiles...) {
			text, err := copyFile(filepath.Join(p.Dir, name), filepath.Join(root, folder, name))
			if err != nil {
				return nil, err
			}
			steps = steps || bytes.Contains(text, []byte("// gofail: "))
		}
		if steps {
			stepped = append(stepped, filepath.Join(root, folder))
		}
	}
}

func copyFile(from, to string) ([]byte, error) {
	text, err := os.ReadFile(from)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return nil, err
	}
	return text, os.WriteFile(to, text, 0o644)
}

// command runs a program to its end and returns what it wrote; what it complained of is in the error.
func command(ctx context.Context, dir string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir = dir
	var complaints bytes.Buffer
	c.Stderr = &complaints
	said, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(args[:min(len(args), 3)], " "), err, strings.TrimSpace(complaints.String()))
	}
	return said, nil
}

// moduleRoot is the folder of go.mod.
func moduleRoot(ctx context.Context) (string, error) {
	path, err := command(ctx, ".", "go", "env", "GOMOD")
	if err != nil {
		return "", err
	}
	return filepath.Dir(strings.TrimSpace(string(path))), nil
}
