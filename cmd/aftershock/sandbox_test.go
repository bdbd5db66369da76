package main

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aftershock/aftershock/broker"
)

// TestSandboxServesUntilItIsTold: its lines are what a shell and the other commands read, and SIGTERM ends it in order.
func TestSandboxServesUntilItIsTold(t *testing.T) {
	needEngine(t)
	dir := t.TempDir()
	for _, wantTopics := range []string{"created ", "all topics exist"} { // the second time over the data of the first
		sandbox := exec.Command("aftershock", "sandbox", "--data-dir", dir)
		var said bytes.Buffer
		sandbox.Stderr = &said
		out, err := sandbox.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := sandbox.Start(); err != nil {
			t.Fatal(err)
		}
		watchdog := time.AfterFunc(2*time.Minute, func() { _ = sandbox.Process.Kill() })
		defer watchdog.Stop()
		lines := bufio.NewScanner(out)
		address := ""
		for address == "" && lines.Scan() {
			if variable, found := strings.CutPrefix(lines.Text(), "export "); found {
				name, value, _ := strings.Cut(variable, "=")
				t.Setenv(name, value)
			} else if _, at, found := strings.Cut(lines.Text(), "SQL over HTTP: "); found {
				address = at
			} else {
				t.Errorf("unexpected: %s", lines.Text())
			}
		}
		response, err := http.Get(address + "/?query=SELECT+1")
		if err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("SQL over HTTP at %q: %v, %v", address, response, err)
		} else {
			response.Body.Close()
		}
		t.Setenv("AFTERSHOCK_KAFKA_TOPICS_REPLICATION", "1")
		command(t, "migrate")
		if said := command(t, "topics", "create"); !strings.HasPrefix(said, wantTopics) {
			t.Errorf("topics create: %s", said)
		}
		command(t, "doctor")
		if err := sandbox.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := sandbox.Wait(); err != nil {
			t.Errorf("it ended with %v: %s", err, &said)
		}
	}
	kafka, err := broker.Connect(broker.Config{Brokers: []string{os.Getenv("AFTERSHOCK_KAFKA_BROKERS")}, DialTimeout: time.Second, Topics: broker.DefaultTopics()})
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	if kafka.Check(t.Context()) == nil {
		t.Error("the broker outlives the sandbox")
	}
}
