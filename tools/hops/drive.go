package main

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed scenario
var scenario embed.FS

// patience bounds every single wait.
const patience = 3 * time.Minute

// run is one life of the pipeline: a ticket whose contract is not there yet, some ticks with nothing to do, then the deal that
// the ticket is about, then the tick that links the two and tells of the deal.
type run struct {
	sources *sources
	binary  string
	dir     string
	servers []string // how to reach them, as environment
}

// drive returns the trace.
func (r *run) drive(ctx context.Context) (*trace, error) {
	if err := r.write(time.Now().UTC()); err != nil {
		return nil, err
	}
	sandbox, err := r.start(ctx, "sandbox")
	if err != nil {
		return nil, err
	}
	defer sandbox.stop()
	for len(r.servers) < 2 {
		line, more := <-sandbox.lines
		if !more {
			return nil, fmt.Errorf("the embedded servers did not start: %s", sandbox.complaints())
		}
		if variable, found := strings.CutPrefix(line, "export "); found {
			r.servers = append(r.servers, variable)
		}
	}
	for _, arguments := range [][]string{{"topics", "create"}, {"migrate"}} {
		if _, err := r.command(ctx, arguments...); err != nil {
			return nil, err
		}
	}
	if err := r.send(ctx, "ticket"); err != nil {
		return nil, err
	}
	pipeline, err := r.start(ctx, "run", "--role", "consume,evaluate")
	if err != nil {
		return nil, err
	}
	defer pipeline.stop()

	t := newTrace(r.sources)
	ticks := func(n int) func() bool { return func() bool { return t.count(appends) >= n } }
	// The first entry begins the group's ledger; the tick behind it has waited for the ticket.
	if err := r.await(ctx, pipeline, t, "the first tick", ticks(2)); err != nil {
		return nil, err
	}
	t.quiet = len(t.events)
	if err := r.await(ctx, pipeline, t, "ticks without a deal", ticks(t.count(appends)+2)); err != nil {
		return nil, err
	}
	t.sent = len(t.events)
	if err := r.send(ctx, "deal"); err != nil {
		return nil, err
	}
	if err := r.await(ctx, pipeline, t, "the delivery of the alert", func() bool { return t.count(delivers) > 0 }); err != nil {
		return nil, err
	}
	// One tick more, so that what belongs to the delivery is over.
	return t, r.await(ctx, pipeline, t, "another tick", ticks(t.count(appends)+1))
}

// write lays out the scenario, with the deal an hour ago.
func (r *run) write(now time.Time) error {
	times := strings.NewReplacer("CLOSED", now.Add(-time.Hour).Format(time.RFC3339), "OPENED", now.Add(-time.Minute).Format(time.RFC3339))
	for from, to := range map[string]string{"rule.yaml": "rule.yaml", "deal.json": "deal.jsonl", "ticket.json": "ticket.jsonl"} {
		text, err := scenario.ReadFile("scenario/" + from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.dir, to), []byte(times.Replace(string(text))), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// send brings the one deal or the one ticket to its topic.
func (r *run) send(ctx context.Context, what string) error {
	mapping := filepath.Join(r.dir, what+".jq")
	if err := os.WriteFile(mapping, fmt.Appendf(nil, "module {aftershock: %q}; .", what+"s"), 0o600); err != nil {
		return err
	}
	said, err := r.command(ctx, "import", what+"s", "--json", "--map", mapping, filepath.Join(r.dir, what+".jsonl"))
	if err == nil && !bytes.Contains(said, []byte(`"rows_sent":1,`)) {
		err = fmt.Errorf("the %s was not sent: %s", what, said)
	}
	return err
}

// await reads on in the trace until it shows something.
func (r *run) await(ctx context.Context, p *process, t *trace, what string, shows func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %s", what, ctx.Err(), p.complaints())
		case <-p.ended:
			return fmt.Errorf("waiting for %s: the pipeline ended: %s", what, p.complaints())
		case <-ticker.C:
			if err := t.readOn(r.trace()); err != nil {
				return err
			}
			if shows() {
				return nil
			}
		}
	}
}

// process is a command that runs until it is told to stop.
type process struct {
	command *exec.Cmd
	lines   chan string
	ended   chan struct{}
	log     string
}

func (r *run) start(ctx context.Context, arguments ...string) (*process, error) {
	p := &process{command: r.prepare(ctx, arguments...), lines: make(chan string, 100), ended: make(chan struct{}), log: filepath.Join(r.dir, arguments[0]+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.command.Stderr = log
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
		close(p.lines)
		_ = p.command.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	<-p.ended
}

func (p *process) complaints() string {
	text, _ := os.ReadFile(p.log)
	return string(text)
}

func (r *run) trace() string { return filepath.Join(r.dir, "trace") }

// prepare makes a command whose configuration is ours alone.
func (r *run) prepare(ctx context.Context, arguments ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, r.binary, arguments...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 30 * time.Second
	c.Dir = r.sources.root
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "AFTERSHOCK_") || strings.HasPrefix(variable, "AFTERSHOCK_ENGINE=") {
			c.Env = append(c.Env, variable)
		}
	}
	c.Env = append(append(c.Env, r.servers...),
		"AFTERSHOCK_EVALUATE_RULES="+filepath.Join(r.dir, "rule.yaml"),
		"AFTERSHOCK_EVALUATE_UPKEEP_EVERY=1h",     // links are left to the ticks
		"AFTERSHOCK_CONSUMERS_PARTITION_WATCH=1h", // no other generation meanwhile
	)
	if arguments[0] == "run" {
		c.Env = append(c.Env, recorderVariable+"="+r.trace())
	}
	return c
}

func (r *run) command(ctx context.Context, arguments ...string) ([]byte, error) {
	var complaints bytes.Buffer
	c := r.prepare(ctx, arguments...)
	c.Stderr = &complaints
	said, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("aftershock %s: %w: %s", strings.Join(arguments, " "), err, complaints.String())
	}
	return said, nil
}
