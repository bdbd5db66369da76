package pipeline

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/dial"
	"github.com/aftershock/aftershock/rules"
)

// rulebook holds the rules in force and takes changed files in. The files are read again and again, and not watched: that sees
// every way in which a file changes, also through the links by which Kubernetes mounts a ConfigMap, and on network file
// systems, which notify nobody. It costs some kilobytes now and then.
type rulebook struct {
	paths []string // empty: the built-in rules, which do not change
	every time.Duration

	warehouse interface {
		rules.Explainer
		Ping(context.Context) error
	}
	kafka   *broker.Connection
	metrics *metrics

	mu   sync.Mutex
	set  *rules.Set
	over context.Context // ends when other rules come into force
	end  func()

	inForce, seen, judged [sha256.Size]byte // digests of the files: of set, of the last look, of what was taken or refused
}

// errAway says that rules could not be checked, which says nothing about the rules.
var errAway = errors.New("ClickHouse could not be asked")

// openRulebook reads the rules to begin with.
func openRulebook(config EvaluateConfig) (*rulebook, error) {
	b := &rulebook{paths: config.Rules, every: config.ReloadEvery}
	b.over, b.end = context.WithCancel(context.Background())
	var err error
	if len(b.paths) == 0 {
		b.set, err = rules.LoadOrBuiltin(nil)
		return b, err
	}
	docs, err := rules.ReadPaths(b.paths...)
	if err != nil {
		return nil, err
	}
	if b.set, err = rules.Load(docs...); err != nil {
		return nil, err
	}
	b.inForce = digest(docs, nil)
	b.judged, b.seen = b.inForce, b.inForce
	return b, nil
}

// current returns the rules in force, and a context that ends when they no longer are.
func (b *rulebook) current() (*rules.Set, context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.set, b.over
}

// run takes changes in until the context ends.
func (b *rulebook) run(ctx context.Context) error {
	if len(b.paths) == 0 || b.every <= 0 {
		<-ctx.Done()
		return nil
	}
	for dial.Sleep(ctx, b.every) == nil {
		b.look(ctx)
	}
	return nil
}

// look reads the files once. What changed must look the same twice, for it may still be being written.
func (b *rulebook) look(ctx context.Context) {
	docs, err := rules.ReadPaths(b.paths...)
	now := digest(docs, err)
	settled := now == b.seen
	b.seen = now
	if !settled || now == b.judged {
		return
	}
	if now == b.inForce {
		b.judged = now
		b.metrics.rulesRefused.Set(0)
		slog.Info("the rule files are those in force again", "rules", b.paths)
		return
	}
	var set *rules.Set
	if err == nil {
		set, err = rules.Load(docs...)
	}
	if err == nil {
		err = b.check(ctx, set)
	}
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, errAway) {
		slog.Warn("rule files changed and cannot be checked yet; the old rules go on, and it is tried again", "error", err)
		return
	}
	b.judged = now
	if err != nil {
		b.metrics.rulesRefused.Set(1)
		slog.Error("rule files changed and are refused as a whole; the old rules go on: try `aftershock rules check`", "error", err)
		return
	}
	if err := ruleTopics(ctx, b.kafka, set); err != nil {
		slog.Warn("what changed rules have to tell waits in the log for their topics", "error", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inForce, b.set = now, set
	b.end()
	b.over, b.end = context.WithCancel(context.Background())
	b.metrics.follow(set)
	slog.Info("changed rules are in force", "rules", b.paths, "groups", len(set.Groups))
}

// digest tells one content of the files from another.
func digest(docs []rules.Document, err error) [sha256.Size]byte {
	if err != nil {
		return sha256.Sum256([]byte(err.Error()))
	}
	h := sha256.New()
	for _, d := range docs {
		fmt.Fprintf(h, "%q %d\n%s\n", d.Name, len(d.Data), d.Data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// check holds rules against the warehouse, as `rules check` does.
func (b *rulebook) check(ctx context.Context, set *rules.Set) error {
	err := rules.Check(ctx, set, b.warehouse)
	if err == nil {
		return nil
	}
	if away := b.warehouse.Ping(ctx); away != nil { // what was found may be the fault of that
		return fmt.Errorf("%w: %w", errAway, away)
	}
	return err
}
