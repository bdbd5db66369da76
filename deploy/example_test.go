// Package deploy holds what it takes to run Aftershock beside real servers. Its tests hold these files against the code.
package deploy

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
)

var update = flag.Bool("update", false, "write aftershock.example.yaml anew")

// program is the binary under test, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "aftershock-deploy-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "aftershock")
	if said, err := exec.Command("go", "build", "-o", path, "../cmd/aftershock").CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("building aftershock: %w: %s", err, said), os.RemoveAll(dir))
	}
	return path, nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// aftershock runs the program without the environment of whoever runs the tests.
func aftershock(t *testing.T, environment []string, arguments ...string) (stdout, stderr string, err error) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	var out, complaints bytes.Buffer
	command := exec.CommandContext(t.Context(), path, arguments...)
	command.Env, command.Stdout, command.Stderr = environment, &out, &complaints
	err = command.Run()
	return out.String(), complaints.String(), err
}

// key is a row of `aftershock config reference`.
type key struct{ path, env, value, doc string }

var row = regexp.MustCompile("^\\| `([a-z0-9_.]+)` \\| `(AFTERSHOCK_[A-Z0-9_]+)` \\| (?:`(.*)`)? ?\\| (.*) \\|$")

func reference(t *testing.T) []key {
	t.Helper()
	table, complaints, err := aftershock(t, nil, "config", "reference")
	if err != nil {
		t.Fatalf("%v: %s", err, complaints)
	}
	var all []key
	for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
		if i < 2 {
			continue // the head of the table
		}
		m := row.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("config reference: %q is no row of a key", line)
		}
		all = append(all, key{m[1], m[2], m[3], m[4]})
	}
	if len(all) == 0 {
		t.Fatal("config reference lists no key")
	}
	return all
}

// lists are the keys whose value is a list.
var lists = map[string]bool{"kafka.brokers": true, "evaluate.rules": true, "publish.alertmanager.urls": true, "publish.digest.webhooks": true}

// example writes every key with its default.
func example(keys []key) string {
	var b strings.Builder
	b.WriteString(`# Every key of the configuration, with its default. Copy what you change, and start with
#   aftershock --config aftershock.yaml doctor
# Each key is also an environment variable, which goes before the file: kafka.brokers is AFTERSHOCK_KAFKA_BROKERS.
# This file is written by: go test ./deploy -update
`)
	var open []string
	for _, k := range keys {
		steps := strings.Split(k.path, ".")
		sections, name := steps[:len(steps)-1], steps[len(steps)-1]
		shared := 0
		for shared < len(open) && shared < len(sections) && open[shared] == sections[shared] {
			shared++
		}
		for depth := shared; depth < len(sections); depth++ {
			if depth == 0 {
				b.WriteString("\n")
			}
			fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", depth), sections[depth])
		}
		open = sections
		indent := strings.Repeat("  ", len(sections))
		value := k.value
		switch {
		case lists[k.path]:
			value = "[" + value + "]"
		case value == "":
			value = `""`
		}
		fmt.Fprintf(&b, "%s# %s (%s)\n%s%s: %s\n", indent, k.doc, k.env, indent, name, value)
	}
	return b.String()
}

const exampleFile = "aftershock.example.yaml"

func TestExampleHasEveryKey(t *testing.T) {
	want := example(reference(t))
	if *update {
		if err := os.WriteFile(exampleFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the keys of the program give: go test ./deploy -update", exampleFile)
	}
	var any map[string]any
	if err := yaml.NewDecoder(bytes.NewReader(got)).Decode(&any); err != nil && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestExampleLoads asks doctor, which says whether the configuration is right before it looks for servers.
func TestExampleLoads(t *testing.T) {
	nowhere := []string{"AFTERSHOCK_KAFKA_BROKERS=127.0.0.1:1", "AFTERSHOCK_CLICKHOUSE_ADDR=127.0.0.1:1", "AFTERSHOCK_KAFKA_DIAL_TIMEOUT=1s", "AFTERSHOCK_CLICKHOUSE_DIAL_TIMEOUT=1s"}
	said, complaints, _ := aftershock(t, nowhere, "--config", exampleFile, "doctor")
	if !strings.Contains(said, "ok    configuration") {
		t.Errorf("doctor says\n%s%s", said, complaints)
	}
}

func TestUnknownKeyIsAMistake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aftershock.yaml")
	if err := os.WriteFile(path, []byte("kafka:\n  broker: [localhost:9092]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, complaints, err := aftershock(t, nil, "--config", path, "doctor")
	if err == nil || !strings.Contains(complaints, "broker") {
		t.Errorf("%v: %s", err, complaints)
	}
}
