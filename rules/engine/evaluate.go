package engine

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
)

//go:embed freshness.sql
var FreshnessQuery string

// Evaluate runs one tick and appends what it decides. Nothing changed where it returns an error, so it can be repeated.
func (e *Engine) Evaluate(ctx context.Context, l *Ledger, tick time.Time, status alert.TickStatus, reason string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("evaluating group %s: panic: %v", l.Group.Name, p)
		}
	}()
	began := e.now()
	if err := e.hear(ctx, l, tick); err != nil {
		return err
	}
	at := tick.Add(-l.Group.EvalDelay)
	entry := alert.Entry{Group: l.Group.Name, N: l.n + 1, Writer: e.attempt(), Tick: tick, At: at, Status: status, Reason: reason}
	if status != alert.TickMissed {
		if err := e.look(ctx, l, &entry); err != nil {
			return err
		}
	}
	if err := e.commit(ctx, l, entry); err != nil {
		return err
	}
	l.overload = 0
	e.tell(entry, began)
	return nil
}

// look settles the warehouse, evaluates every rule and puts runs and transitions into the entry.
func (e *Engine) look(ctx context.Context, l *Ledger, entry *alert.Entry) error {
	if e.Settle != nil {
		status, reason, err := e.settle(ctx, entry.At)
		if err != nil {
			return fmt.Errorf("waiting for what was known at %s: %w", entry.At.Format(time.RFC3339), err)
		}
		if status == alert.TickIncomplete {
			if entry.Reason != "" { // a tick that is caught up can be incomplete too
				reason = entry.Reason + "; " + reason
			}
			entry.Status, entry.Reason = status, reason
		}
	}
	ages, agesErr := e.sourceAges(ctx, l.Group, entry.At)
	if agesErr != nil && e.unreachable(l, agesErr) {
		return agesErr
	}
	seen, runs := make([]observation, len(l.Group.Rules)), make([]alert.Run, len(l.Group.Rules))
	errs := make([]error, len(l.Group.Rules))
	var wg sync.WaitGroup
	free := make(chan struct{}, e.parallel())
	for i, r := range l.Group.Rules {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			seen[i], runs[i], errs[i] = e.rule(ctx, r, entry.At, ages, agesErr)
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil && (ctx.Err() != nil || e.unreachable(l, err)) { // an outage: the whole tick is repeated
			return fmt.Errorf("evaluating rule %s: %w", runs[i].Rule, err)
		}
		if err != nil {
			seen[i], runs[i].Status, runs[i].Error = observation{rule: l.Group.Rules[i], failed: true, why: err.Error()}, alert.RunError, err.Error()
		}
	}
	entry.Runs = runs
	return e.conclude(ctx, l, entry, seen)
}

// conclude turns what was seen into transitions. A rule whose alerts cannot be concluded from fails, and its alerts hold:
// neither the other rules nor the ticks after this one wait for it.
func (e *Engine) conclude(ctx context.Context, l *Ledger, entry *alert.Entry, seen []observation) (err error) {
	if entry.Transitions, err = e.decide(ctx, l, *entry, seen); err == nil || ctx.Err() != nil || e.unreachable(l, err) {
		return err
	}
	for i, o := range seen {
		alone := make([]observation, len(seen))
		for j, other := range seen {
			alone[j] = observation{rule: other.rule, failed: true}
		}
		alone[i] = o
		_, err := e.decide(ctx, l, *entry, alone)
		switch {
		case err == nil:
		case ctx.Err() != nil || e.unreachable(l, err):
			return err
		default:
			seen[i] = observation{rule: o.rule, failed: true, why: err.Error()}
			entry.Runs[i].Status, entry.Runs[i].Error = alert.RunError, err.Error()
		}
	}
	if entry.Transitions, err = e.decide(ctx, l, *entry, seen); err == nil || ctx.Err() != nil || e.unreachable(l, err) {
		return err
	}
	for i := range entry.Runs { // no rule alone is at fault
		entry.Runs[i].Status, entry.Runs[i].Error = alert.RunError, err.Error()
	}
	entry.Transitions = nil
	return nil
}

// decide applies the lifecycle and fixes what is published. A panic is an error like any other.
func (e *Engine) decide(ctx context.Context, l *Ledger, entry alert.Entry, seen []observation) (transitions []alert.Transition, err error) {
	defer recovered(&err)
	step := e.lifecycle(l, entry.At)
	step.unattended = l.unattended
	if entry.Transitions, err = step.step(l.Before, l.Group.Rules, seen); err != nil {
		return nil, err
	}
	if err := e.dress(ctx, l, &entry); err != nil {
		return nil, err
	}
	return entry.Transitions, nil
}

func (e *Engine) lifecycle(l *Ledger, at time.Time) lifecycle {
	step := lifecycle{at: at, zone: l.Schedule.Zone, maximum: l.Group.OwnerWeeklyMaximum, holdoutShare: e.HoldoutShare, retired: e.retired}
	if l.n > 0 {
		step.since = at.Sub(l.Tick.Add(-l.Group.EvalDelay))
	}
	return step
}

// recovered turns a panic into the error of the function that defers it.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}

func (e *Engine) settle(ctx context.Context, at time.Time) (alert.TickStatus, string, error) {
	e.settling.Lock()
	defer e.settling.Unlock()
	return e.Settle(ctx, at)
}

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
	if o.alerts, err = r.Read(rows); err != nil || len(r.Sources) == 0 {
		return o, run, err
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
	rows, err := e.Warehouse.Rows(ctx, FreshnessQuery, at)
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

// dress fixes the bytes of every transition that leaves the house.
func (e *Engine) dress(ctx context.Context, l *Ledger, entry *alert.Entry) error {
	var keys []churn.ContractKey
	for _, t := range entry.Transitions {
		if published(t) && t.AccountID != "" {
			keys = append(keys, churn.ContractKey{AccountID: t.AccountID, ContractID: t.ContractID})
		}
	}
	var subjects map[churn.ContractKey]alert.Subject
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
		if err := alert.Encode(t, e.topic(l, t), e.source(), subject); err != nil {
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
func (e *Engine) topic(l *Ledger, t *alert.Transition) string {
	name := rules.DefaultTopic
	if r := l.Group.Rule(t.Rule); r != nil {
		name = r.Topic
	} else if was := l.Before[t.Fingerprint].Topic; was != "" {
		return was
	}
	if configured := e.Topics[name]; configured != "" {
		return configured
	}
	return name
}

func (e *Engine) tell(entry alert.Entry, began time.Time) {
	ended := e.now()
	if e.Observe.Tick != nil {
		e.Observe.Tick(entry.Group, entry.Status, ended.Sub(began), ended.Sub(entry.Tick))
	}
	for _, run := range entry.Runs {
		if run.Status == alert.RunError {
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
