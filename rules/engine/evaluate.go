package engine

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"iter"
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

// Evaluate runs one tick and yields the entries that account for it, each of which the caller appends before it asks for the next: one, or
// several where more changed than one entry holds, of which the last is the tick itself. An error is the last that is yielded. A tick
// that was not appended to its end can be repeated: what its first entries say has changed then, and what they do not say follows.
func (e *Engine) Evaluate(ctx context.Context, l *Ledger, tick Tick) iter.Seq2[alert.Entry, error] {
	return func(yield func(alert.Entry, error) bool) {
		at := tick.At.Add(-l.Group.EvalDelay)
		whole := alert.Entry{Group: l.Group.Name, Tick: tick.At, At: at, Status: tick.Status, Reason: tick.Reason}
		var seen []observation
		var err error
		if tick.Status != alert.TickMissed {
			seen, whole.Runs, err = e.look(ctx, l, at)
		}
		var left *decided
		for over := false; !over; {
			var entry alert.Entry
			if err == nil {
				entry, left, err = e.entry(ctx, l, whole, tick, seen, left)
			}
			if err != nil {
				yield(entry, fmt.Errorf("evaluating group %s: %w", l.Group.Name, err))
				return
			}
			over = !yield(entry, nil) || entry.Status != alert.TickPart
		}
	}
}

// entry is the next one of a tick: what is left of it, or as much of that as an entry holds. It returns what is left then.
func (e *Engine) entry(ctx context.Context, l *Ledger, whole alert.Entry, tick Tick, seen []observation, left *decided) (entry alert.Entry, _ *decided, err error) {
	defer recovered(&err)
	entry = whole
	entry.N, entry.Writer, entry.Runs = l.n+1, e.attempt(), slices.Clone(whole.Runs)
	if tick.Status == alert.TickMissed {
		return entry, nil, nil
	}
	step := e.lifecycle(l, entry.At)
	step.unattended = tick.Unattended
	left, err = e.conclude(ctx, l, &entry, step, slices.Clone(seen), left)
	return entry, left, err
}

// decided is what a tick changes, and which rules are at fault.
type decided struct {
	changes []alert.Transition
	faults  map[string]error
}

// first are as many changes as an entry holds, and what is left: nil where nothing is.
func (d *decided) first(most int) (some []alert.Transition, left *decided) {
	if len(d.changes) <= most {
		return d.changes, nil
	}
	return slices.Clone(d.changes[:most]), &decided{d.changes[most:], d.faults}
}

// part makes an entry one that more follow of the same tick: the group goes on from the tick before.
func (l *Ledger) part(entry *alert.Entry, left int) {
	entry.Reason = fmt.Sprintf("%d changes of the tick %s, %d follow", len(entry.Transitions), entry.Tick.UTC().Format(time.RFC3339), left)
	entry.Tick, entry.Status, entry.Runs = l.last, alert.TickPart, nil
	for i := range entry.Transitions {
		entry.Transitions[i].Part = true
	}
}

// changesOfAPart bounds the memory that an entry takes: an alert with its evidence can have as many bytes as a record may.
const changesOfAPart = 2_000

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
	for fingerprint, by := range l.said {
		if by.Equal(at) {
			if step.said == nil {
				step.said = map[string]bool{}
			}
			step.said[fingerprint] = true
		}
	}
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
func (e *Engine) conclude(ctx context.Context, l *Ledger, entry *alert.Entry, step lifecycle, seen []observation, d *decided) (left *decided, err error) {
	for ; ; d = nil {
		if d == nil {
			d = &decided{}
			if d.changes, d.faults, err = step.guarded(l.before, l.Group.Rules, seen); err != nil {
				blameAll(entry, err)
				return nil, nil
			}
		}
		entry.Transitions, left = d.first(cmp.Or(e.Part, changesOfAPart))
		unwritten, bad, err := e.encode(ctx, l, entry)
		if err != nil {
			return nil, err
		}
		again := len(unwritten) > 0 || len(bad) > 0
		faults := maps.Clone(d.faults)
		maps.Copy(faults, unwritten)
		for i, o := range seen {
			for fingerprint, err := range bad[o.rule.Name] {
				if o.bad[fingerprint] != nil { // it was to hold: to decide again would not end
					blameAll(entry, err)
					return nil, nil
				}
			}
			seen[i] = o.without(bad[o.rule.Name])
			delete(bad, o.rule.Name)
		}
		for _, rows := range bad { // of a rule that is gone
			blameAll(entry, rows)
			return nil, nil
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
			return nil, nil
		}
		if !again {
			if left != nil {
				l.part(entry, len(left.changes))
			}
			return left, nil
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
