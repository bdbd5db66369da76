package engine

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
)

//go:embed freshness.sql
var freshnessQuery string

// Queries are what Evaluate will ask the warehouse for a tick of a group.
func Queries(g *rules.Group) (queries []string) {
	if g.NamesSources() {
		queries = append(queries, freshnessQuery)
	}
	for _, r := range g.Rules {
		queries = append(queries, r.Query)
	}
	return queries
}

// Evaluate runs one tick and returns the entry that accounts for it, which Append stores. Nothing changed where it returns an
// error, so it can be repeated.
func (e *Engine) Evaluate(ctx context.Context, l *Ledger, tick Tick) (entry alert.Entry, err error) {
	entry = alert.Entry{Group: l.Group.Name, N: l.n + 1, Writer: e.attempt(), Tick: tick.At, At: tick.At.Add(-l.Group.EvalDelay), Status: tick.Status, Reason: tick.Reason}
	if tick.Status == alert.TickMissed {
		return entry, nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("evaluating group %s: %w", l.Group.Name, err)
		}
	}()
	defer recovered(&err)
	seen, runs, err := e.look(ctx, l, entry.At)
	if err != nil {
		return entry, err
	}
	entry.Runs = runs
	step := e.lifecycle(l, entry.At)
	step.unattended = tick.Unattended
	return entry, e.conclude(ctx, l, &entry, step, seen)
}

// look asks every rule. A rule that fails is seen as failed; an error is an outage.
func (e *Engine) look(ctx context.Context, l *Ledger, at time.Time) ([]observation, []alert.Run, error) {
	ages, agesErr := e.sourceAges(ctx, l.Group, at)
	if agesErr != nil && e.unreachable(l, agesErr) {
		return nil, nil, agesErr
	}
	seen, runs, errs := make([]observation, len(l.Group.Rules)), make([]alert.Run, len(l.Group.Rules)), make([]error, len(l.Group.Rules))
	var wg sync.WaitGroup
	free := make(chan struct{}, e.parallel())
	for i, r := range l.Group.Rules {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			seen[i], runs[i], errs[i] = e.rule(ctx, r, at, ages, agesErr)
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil && (ctx.Err() != nil || e.unreachable(l, err)) { // an outage: the whole tick is repeated
			return nil, nil, fmt.Errorf("rule %s: %w", runs[i].Rule, err)
		}
		if err != nil {
			seen[i] = fault(l.Group.Rules[i], err)
			failed(&runs[i], err)
		}
	}
	return seen, runs, nil
}

func failed(run *alert.Run, err error) { run.Status, run.Error = alert.RunError, err.Error() }

// rule evaluates one rule. Its error is a failure of this rule, or an outage. A panic is this rule's error and nobody else's.
func (e *Engine) rule(ctx context.Context, r *rules.Rule, at time.Time, ages map[string]time.Duration, agesErr error) (o observation, run alert.Run, err error) {
	run = alert.Run{Rule: r.Name, Started: e.now(), Status: alert.RunOK}
	defer func() { run.Finished = e.now() }()
	defer recovered(&err)
	rows, err := e.Warehouse.Rows(ctx, r.Query, at)
	if err != nil {
		return o, run, err
	}
	run.Rows = len(rows)
	o.rule = r
	if o.alerts, o.bad = r.Read(rows); len(r.Sources) == 0 {
		return o, run, nil
	}
	if agesErr != nil {
		return o, run, agesErr
	}
	if silent := r.Silent(ages); silent != "" {
		o.partial, o.why, run.Status, run.Error = true, silent, alert.RunNoData, silent
	}
	return o, run, nil
}

// sourceAges asks how long each source has been silent; only for groups whose rules name sources.
func (e *Engine) sourceAges(ctx context.Context, g *rules.Group, at time.Time) (ages map[string]time.Duration, err error) {
	if !g.NamesSources() {
		return nil, nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("reading the age of the sources: %w", err)
		}
	}()
	defer recovered(&err)
	rows, err := e.Warehouse.Rows(ctx, freshnessQuery, at)
	if err != nil {
		return nil, err
	}
	ages = map[string]time.Duration{}
	for _, row := range rows {
		if minutes, ok := rules.Number(row["age_minutes"]); ok {
			ages[rules.Plain(row["source"])] = time.Duration(minutes * float64(time.Minute))
		}
	}
	return ages, nil
}

func (e *Engine) lifecycle(l *Ledger, at time.Time) lifecycle {
	e.mu.Lock()
	defer e.mu.Unlock()
	step := lifecycle{at: at, zone: l.Schedule.Zone, maximum: l.Group.OwnerWeeklyMaximum, holdoutShare: e.HoldoutShare, retired: e.retired}
	if e.SetAside != nil {
		step.aside = e.SetAside()
	}
	if l.n > 0 {
		step.since = at.Sub(l.last.Add(-l.Group.EvalDelay))
	}
	return step
}

// conclude turns what was seen into transitions and fixes what is published. An alert that cannot be concluded from, or written,
// holds, and its rule is at fault: neither its other alerts nor the ticks after this one wait for it. Where one could not be written it
// is decided without it, for it counted in what its owner is told.
func (e *Engine) conclude(ctx context.Context, l *Ledger, entry *alert.Entry, step lifecycle, seen []observation) error {
	for {
		changes, faults, err := step.guarded(l.before, l.Group.Rules, seen)
		if err != nil {
			blameAll(entry, err)
			return nil
		}
		entry.Transitions = changes
		unwritten, bad, err := e.encode(ctx, l, entry)
		if err != nil {
			return err
		}
		again := len(unwritten) > 0 || len(bad) > 0
		maps.Copy(faults, unwritten)
		for i, o := range seen {
			for fingerprint, err := range bad[o.rule.Name] {
				if o.bad[fingerprint] != nil { // it was to hold: to decide again would not end
					blameAll(entry, err)
					return nil
				}
			}
			seen[i] = o.without(bad[o.rule.Name])
			delete(bad, o.rule.Name)
		}
		for _, rows := range bad { // of a rule that is gone
			blameAll(entry, rows)
			return nil
		}
		for i, o := range seen {
			err := faults[o.rule.Name]
			if err == nil {
				continue
			}
			failed(&entry.Runs[i], err)
			if unwritten[o.rule.Name] != nil && !o.failed {
				seen[i] = fault(o.rule, err)
				delete(unwritten, o.rule.Name)
			}
		}
		for _, err := range unwritten { // of a rule that is gone, or of what a failed one still has to tell
			blameAll(entry, err)
			return nil
		}
		if !again {
			return nil
		}
	}
}

// blameAll is an entry that no rule alone is at fault for: the alerts of all hold.
func blameAll(entry *alert.Entry, err error) {
	for i := range entry.Runs {
		failed(&entry.Runs[i], err)
	}
	entry.Transitions = nil
}

// encode fixes the bytes of every transition that leaves the house. Where it cannot, it says of which rules, or of which of their
// alerts; an error is an outage.
func (e *Engine) encode(ctx context.Context, l *Ledger, entry *alert.Entry) (faults map[string]error, bad map[string]rules.BadRows, err error) {
	byRule := map[string][]churn.ContractKey{}
	var all []churn.ContractKey
	for _, t := range entry.Transitions {
		if published(t) && t.AccountID != "" {
			key := churn.ContractKey{AccountID: t.AccountID, ContractID: t.ContractID}
			all, byRule[t.Rule] = append(all, key), append(byRule[t.Rule], key)
		}
	}
	faults, bad = map[string]error{}, map[string]rules.BadRows{}
	subjects, err := e.subjects(ctx, entry.At, all)
	switch {
	case err == nil:
	case ctx.Err() != nil || e.unreachable(l, err):
		return nil, nil, err
	case len(byRule) == 1:
		for rule := range byRule {
			faults[rule] = err
		}
	default: // what one rule's alerts are about must not silence the others
		subjects = map[churn.ContractKey]alert.Subject{}
		for rule, keys := range byRule {
			some, err := e.subjects(ctx, entry.At, keys)
			if err != nil && (ctx.Err() != nil || e.unreachable(l, err)) {
				return nil, nil, err
			} else if err != nil {
				faults[rule] = err
			}
			for key, subject := range some {
				subjects[key] = subject
			}
		}
	}
	for i := range entry.Transitions {
		t := &entry.Transitions[i]
		if !published(*t) || faults[t.Rule] != nil {
			continue
		}
		subject := subjects[churn.ContractKey{AccountID: t.AccountID, ContractID: t.ContractID}]
		if err := alert.Encode(t, e.topic(l, t), e.source(), subject); err != nil {
			if bad[t.Rule] == nil {
				bad[t.Rule] = rules.BadRows{}
			}
			bad[t.Rule][t.Fingerprint] = fmt.Errorf("%s: %w", rules.Describe(t.Identity), err)
		}
	}
	return faults, bad, nil
}

// subjects reads what alerts are about. A panic is an error like any other.
func (e *Engine) subjects(ctx context.Context, at time.Time, keys []churn.ContractKey) (subjects map[churn.ContractKey]alert.Subject, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	defer recovered(&err)
	seen := make(map[churn.ContractKey]bool, len(keys))
	keys = slices.DeleteFunc(slices.Clone(keys), func(k churn.ContractKey) bool {
		was := seen[k]
		seen[k] = true
		return was
	})
	if subjects, err = e.Warehouse.Subjects(ctx, at, keys); err != nil {
		return nil, fmt.Errorf("reading what the alerts are about: %w", err)
	}
	return subjects, nil
}

// topic is the configured name of the rule's topic; of a removed rule, the topic that its alert went to.
func (e *Engine) topic(l *Ledger, t *alert.Transition) string {
	name := rules.DefaultTopic
	if r := l.Group.Rule(t.Rule); r != nil {
		name = r.Topic
	} else if was := l.before[t.Fingerprint].Topic; was != "" {
		return was
	}
	if configured := e.Topics[name]; configured != "" {
		return configured
	}
	return name
}
