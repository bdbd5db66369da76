package rules

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aftershock/aftershock/churn"
)

//go:embed freshness.sql
var freshnessQuery string

// Statuses of a run.
const (
	runOK     = "ok"
	runNoData = "no_data"
	runError  = "error"
)

// ledger is where a group stands in the alert log.
type ledger struct {
	group    *Group
	schedule Schedule
	n        int64
	tick     time.Time // the last tick accounted for
	before   prior
}

// load reads where the group stands; after it the ledger is as the log says.
func (e *Engine) load(ctx context.Context, l *ledger) (churn.Entry, error) {
	last, transitions, err := e.Log.State(ctx, l.group.Name)
	if err != nil {
		return last, fmt.Errorf("reading the alert log of group %s: %w", l.group.Name, err)
	}
	l.n, l.before = last.N, make(prior, len(transitions))
	if last.N > 0 {
		l.tick = last.Tick
	}
	l.remember(transitions)
	return last, nil
}

func (l *ledger) remember(transitions []churn.Transition) {
	for _, t := range transitions {
		if !t.StartsAt.After(time.Unix(0, 0)) { // a warehouse has no zero time
			t.StartsAt = time.Time{}
		}
		t.Value, t.Headers = nil, nil // the log keeps them; here they would only weigh
		l.before[t.Fingerprint] = t
	}
}

// evaluate runs one tick and appends what it decides. Nothing changed where it returns an error, so it can be repeated.
func (e *Engine) evaluate(ctx context.Context, l *ledger, tick time.Time, status churn.TickStatus, reason string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("evaluating group %s: panic: %v", l.group.Name, p)
		}
	}()
	began := e.now()
	at := tick.Add(-l.group.EvalDelay)
	entry := churn.Entry{Group: l.group.Name, N: l.n + 1, Writer: e.Writer, Tick: tick, At: at, Status: status, Reason: reason}
	if status != churn.TickMissed {
		if err := e.look(ctx, l, &entry); err != nil {
			return err
		}
	}
	if err := e.commit(ctx, l, entry); err != nil {
		return err
	}
	e.tell(entry, began)
	return nil
}

// look settles the warehouse, evaluates every rule and puts runs and transitions into the entry.
func (e *Engine) look(ctx context.Context, l *ledger, entry *churn.Entry) error {
	if e.Settle != nil {
		status, reason, err := e.settle(ctx, entry.At)
		if err != nil {
			return fmt.Errorf("waiting for what was known at %s: %w", entry.At.Format(time.RFC3339), err)
		}
		if status == churn.TickIncomplete {
			entry.Status, entry.Reason = status, reason
		}
	}
	ages, agesErr := e.sourceAges(ctx, l.group, entry.At)
	if agesErr != nil && e.unreachable(agesErr) {
		return agesErr
	}
	seen, runs := make([]observation, len(l.group.Rules)), make([]churn.Run, len(l.group.Rules))
	errs := make([]error, len(l.group.Rules))
	var wg sync.WaitGroup
	free := make(chan struct{}, e.parallel())
	for i, r := range l.group.Rules {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			seen[i], runs[i], errs[i] = e.rule(ctx, r, entry.At, ages, agesErr)
		})
	}
	wg.Wait()
	for _, err := range errs { // an outage: the whole tick is repeated
		if err != nil {
			return err
		}
	}
	entry.Runs = runs
	step := lifecycle{at: entry.At, holdoutShare: e.HoldoutShare, retired: e.retired}
	entry.Transitions = step.step(l.before, l.group.Rules, seen)
	return e.dress(ctx, l, entry)
}

func (e *Engine) settle(ctx context.Context, at time.Time) (churn.TickStatus, string, error) {
	e.settling.Lock()
	defer e.settling.Unlock()
	return e.Settle(ctx, at)
}

// rule evaluates one rule. What goes wrong with it is in its run; an error is an outage.
func (e *Engine) rule(ctx context.Context, r *Rule, at time.Time, ages map[string]time.Duration, agesErr error) (observation, churn.Run, error) {
	run := churn.Run{Rule: r.Name, Started: e.now(), Status: runOK}
	o, err := e.observe(ctx, r, at, &run)
	if err != nil && (ctx.Err() != nil || e.unreachable(err)) {
		return o, run, fmt.Errorf("evaluating rule %s: %w", r.Name, err)
	}
	if err == nil && len(r.Sources) > 0 {
		if err = agesErr; err == nil {
			if silent := r.silent(ages); silent != "" {
				o.partial, run.Status, run.Error = true, runNoData, silent
			}
		}
	}
	if err != nil {
		o = observation{rule: r, failed: true}
		run.Status, run.Error = runError, err.Error()
	}
	run.Finished = e.now()
	return o, run, nil
}

// observe runs one rule. A panic is this rule's error and nobody else's.
func (e *Engine) observe(ctx context.Context, r *Rule, at time.Time, run *churn.Run) (o observation, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	rows, err := e.Warehouse.Rows(ctx, r.Query, at)
	if err != nil {
		return o, err
	}
	run.Rows = len(rows)
	alerts, err := r.read(rows)
	return observation{rule: r, alerts: alerts}, err
}

// sourceAges asks how long each source has been silent; only for groups whose rules name sources.
func (e *Engine) sourceAges(ctx context.Context, g *Group, at time.Time) (ages map[string]time.Duration, err error) {
	if !slices.ContainsFunc(g.Rules, func(r *Rule) bool { return len(r.Sources) > 0 }) {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		if err != nil {
			err = fmt.Errorf("reading the age of the sources: %w", err)
		}
	}()
	rows, err := e.Warehouse.Rows(ctx, freshnessQuery, at)
	if err != nil {
		return nil, err
	}
	ages = map[string]time.Duration{}
	for _, row := range rows {
		if minutes, ok := number(row["age_minutes"]); ok {
			ages[plain(row["source"])] = time.Duration(minutes * float64(time.Minute))
		}
	}
	return ages, nil
}

// silent says which of the rule's sources told nothing for too long, or "".
func (r *Rule) silent(ages map[string]time.Duration) string {
	var out []string
	for _, s := range r.Sources {
		age, known := ages[s]
		switch {
		case !known:
			out = append(out, s+" have never arrived")
		case r.StaleAfter > 0 && age > r.StaleAfter:
			out = append(out, fmt.Sprintf("%s have been silent for %s", s, formatDays(age.Hours()/24)))
		}
	}
	return strings.Join(out, "; ")
}

// dress fixes the bytes of every transition that leaves the house.
func (e *Engine) dress(ctx context.Context, l *ledger, entry *churn.Entry) error {
	var keys []churn.ContractKey
	for _, t := range entry.Transitions {
		if published(t) && t.AccountID != "" {
			keys = append(keys, churn.ContractKey{AccountID: t.AccountID, ContractID: t.ContractID})
		}
	}
	var subjects map[churn.ContractKey]churn.Subject
	if len(keys) > 0 {
		var err error
		if subjects, err = e.Warehouse.Subjects(ctx, entry.At, unique(keys)); err != nil {
			return fmt.Errorf("reading what the alerts are about: %w", err)
		}
	}
	for i := range entry.Transitions {
		t := &entry.Transitions[i]
		if !published(*t) {
			continue
		}
		subject := subjects[churn.ContractKey{AccountID: t.AccountID, ContractID: t.ContractID}]
		if err := dress(t, e.topic(l, t), e.source(), subject); err != nil {
			return err
		}
	}
	return nil
}

func unique(keys []churn.ContractKey) []churn.ContractKey {
	seen := make(map[churn.ContractKey]bool, len(keys))
	return slices.DeleteFunc(keys, func(k churn.ContractKey) bool {
		was := seen[k]
		seen[k] = true
		return was
	})
}

// topic is the configured name of the rule's topic; of a removed rule, the topic that its alert went to.
func (e *Engine) topic(l *ledger, t *churn.Transition) string {
	name := DefaultTopic
	if r := l.group.Rule(t.Rule); r != nil {
		name = r.Topic
	} else if was := l.before[t.Fingerprint].Topic; was != "" {
		return was
	}
	if configured := e.Topics[name]; configured != "" {
		return configured
	}
	return name
}

// commit appends the entry. Whenever its fate is not plain, the log decides: an entry of that number, tick and writer is
// ours and was stored; one of another writer means that we are not the holder.
func (e *Engine) commit(ctx context.Context, l *ledger, entry churn.Entry) error {
	won, err := e.Log.Append(ctx, entry)
	if err == nil && won {
		l.n, l.tick = entry.N, entry.Tick
		l.remember(entry.Transitions)
		return nil
	}
	last, stateErr := e.load(ctx, l)
	switch {
	case stateErr != nil && err == nil:
		return stateErr
	case stateErr != nil || last.N < entry.N:
		return fmt.Errorf("appending tick %s of group %s: %w", entry.Tick.Format(time.RFC3339), entry.Group, orUnread(err))
	case last.N == entry.N && last.Writer == entry.Writer && last.Tick.Equal(entry.Tick):
		return nil
	}
	return fmt.Errorf("appending tick %s of group %s: entry %d is by %q: %w",
		entry.Tick.Format(time.RFC3339), entry.Group, last.N, last.Writer, ErrTaken)
}

func orUnread(err error) error {
	if err == nil {
		return fmt.Errorf("its number was taken by an entry that cannot be read yet")
	}
	return err
}

func (e *Engine) tell(entry churn.Entry, began time.Time) {
	ended := e.now()
	if e.Observe.Tick != nil {
		e.Observe.Tick(entry.Group, entry.Status, ended.Sub(began), ended.Sub(entry.Tick))
	}
	for _, run := range entry.Runs {
		if run.Status == runError {
			e.log().Error("a rule failed; its alerts hold", "group", entry.Group, "rule", run.Rule, "tick", entry.Tick, "error", run.Error)
		}
		if e.Observe.Rule != nil {
			e.Observe.Rule(entry.Group, run)
		}
	}
	if e.Observe.Transition != nil {
		for _, t := range entry.Transitions {
			e.Observe.Transition(t)
		}
	}
}
