//go:build linux || darwin

package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// This test binary plays the parent and the child, too, as the variable says.
const roleEnv = "AFTERSHOCK_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "parent":
		if _, err := Start(as("child")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		<-time.After(time.Minute) // longer than any test of it
	case "child":
		fmt.Println("alive")
		<-time.After(time.Minute) // longer than any test of it
	}
	os.Exit(m.Run())
}

func as(role string) *exec.Cmd {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), roleEnv+"="+role)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	return command
}

func TestChildDiesWithAKilledParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux kills a child for its parent's death")
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	parent := as("parent")
	parent.Stdout = theirs
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	said := bufio.NewReader(ours)
	if line, err := said.ReadString('\n'); line != "alive\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	parent.Wait()
	// The pipe ends when the last process that can write to it has ended.
	ours.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.ReadAll(said); err != nil {
		t.Fatalf("the child outlives its parent: %v", err)
	}
}

func TestWaitKillsAtTheEndOfItsContext(t *testing.T) {
	command := as("child")
	command.Stdout = nil
	p, err := Start(command)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-p.Done()
	if got := p.Exit(); got != "it ended with signal: killed" {
		t.Errorf("exit: %q", got)
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	if _, err := Start(exec.Command(filepath.Join(t.TempDir(), "nothing"))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("locked by another process (process %d started it)", os.Getpid())
	if _, err := Lock(path); !errors.Is(err, ErrLocked) || err.Error() != want {
		t.Errorf("a second lock: %v, want %q", err, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	waited := make(chan error)
	go func() {
		second, err := LockWait(ctx, path)
		if err == nil {
			second.Close()
		}
		waited <- err
	}()
	first.Close()
	if err := <-waited; err != nil {
		t.Errorf("waiting for the lock: %v", err)
	}
}
