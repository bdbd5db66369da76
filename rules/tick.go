package rules

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

//go:embed freshness.sql
var freshnessQuery string

// Statuses of a run.
const (
	runOK     = "ok"
	runNoData = "no_data"
	runError  = "error"
)

// RunStatuses are the words that alert.Run.Status can hold.
var RunStatuses = []string{runOK, runNoData, runError}

// ledger is where a group stands in the alert log.
type ledger struct {
	group    *Group
	schedule Schedule
	n        int64
	tick     time.Time // the last tick accounted for
	before   prior
	mu       sync.Mutex // held while an entry is made

	unattended bool                 // the tick at hand came due while nobody evaluated, and another did so too
	answered   map[string]time.Time // feedback that this process answered, and when
	overload   int                  // times that the warehouse answered the tick at hand with "not now"
}

// load reads where the group stands; after it the ledger is as the log says.
func (e *Engine) load(ctx context.Context, l *ledger) (alert.Entry, error) {
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

func (l *ledger) remember(transitions []alert.Transition) {
	for _, t := range transitions {
		if !t.StartsAt.After(time.Unix(0, 0)) { // a warehouse has no zero time
			t.StartsAt = time.Time{}
		}
		t.Value, t.Headers = nil, nil // the log keeps them; here they would only weigh
		l.before[t.Fingerprint] = t
	}
}

// begin opens the ledger of a group that has none: ticks that come due from now on are accounted for, also where this
// process ends before the first of them.
func (e *Engine) begin(ctx context.Context, l *ledger, now time.Time) error {
	entry := alert.Entry{Group: l.group.Name, N: 1, Writer: e.attempt(), Tick: now, At: now, Status: alert.TickBegun, Reason: "the group's ledger begins"}
	return e.commit(ctx, l, entry)
}

// evaluate runs one tick and appends what it decides. Nothing changed where it returns an error, so it can be repeated.
func (e *Engine) evaluate(ctx context.Context, l *ledger, tick time.Time, status alert.TickStatus, reason string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("evaluating group %s: panic: %v", l.group.Name, p)
		}
	}()
	began := e.now()
	if err := e.hear(ctx, l, tick); err != nil {
		return err
	}
	at := tick.Add(-l.group.EvalDelay)
	entry := alert.Entry{Group: l.group.Name, N: l.n + 1, Writer: e.attempt(), Tick: tick, At: at, Status: status, Reason: reason}
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
func (e *Engine) look(ctx context.Context, l *ledger, entry *alert.Entry) error {
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
	ages, agesErr := e.sourceAges(ctx, l.group, entry.At)
	if agesErr != nil && e.unreachable(l, agesErr) {
		return agesErr
	}
	seen, runs := make([]observation, len(l.group.Rules)), make([]alert.Run, len(l.group.Rules))
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
	for i, err := range errs {
		if err != nil && (ctx.Err() != nil || e.unreachable(l, err)) { // an outage: the whole tick is repeated
			return fmt.Errorf("evaluating rule %s: %w", runs[i].Rule, err)
		}
		if err != nil {
			seen[i], runs[i].Status, runs[i].Error = observation{rule: l.group.Rules[i], failed: true, why: err.Error()}, runError, err.Error()
		}
	}
	entry.Runs = runs
	return e.conclude(ctx, l, entry, seen)
}

// conclude turns what was seen into transitions. A rule whose alerts cannot be concluded from fails, and its alerts hold:
// neither the other rules nor the ticks after this one wait for it.
func (e *Engine) conclude(ctx context.Context, l *ledger, entry *alert.Entry, seen []observation) (err error) {
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
			entry.Runs[i].Status, entry.Runs[i].Error = runError, err.Error()
		}
	}
	if entry.Transitions, err = e.decide(ctx, l, *entry, seen); err == nil || ctx.Err() != nil || e.unreachable(l, err) {
		return err
	}
	for i := range entry.Runs { // no rule alone is at fault
		entry.Runs[i].Status, entry.Runs[i].Error = runError, err.Error()
	}
	entry.Transitions = nil
	return nil
}

// decide applies the lifecycle and fixes what is published. A panic is an error like any other.
func (e *Engine) decide(ctx context.Context, l *ledger, entry alert.Entry, seen []observation) (transitions []alert.Transition, err error) {
	defer recovered(&err)
	step := e.lifecycle(l, entry.At)
	step.unattended = l.unattended
	if entry.Transitions, err = step.step(l.before, l.group.Rules, seen); err != nil {
		return nil, err
	}
	if err := e.dress(ctx, l, &entry); err != nil {
		return nil, err
	}
	return entry.Transitions, nil
}

func (e *Engine) lifecycle(l *ledger, at time.Time) lifecycle {
	step := lifecycle{at: at, zone: l.schedule.Zone, maximum: l.group.OwnerWeeklyMaximum, holdoutShare: e.HoldoutShare, retired: e.retired}
	if l.n > 0 {
		step.since = at.Sub(l.tick.Add(-l.group.EvalDelay))
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
func (e *Engine) rule(ctx context.Context, r *Rule, at time.Time, ages map[string]time.Duration, agesErr error) (o observation, run alert.Run, err error) {
	run = alert.Run{Rule: r.Name, Started: e.now(), Status: runOK}
	defer func() { run.Finished = e.now() }()
	defer recovered(&err)
	rows, err := e.Warehouse.Rows(ctx, r.Query, at)
	if err != nil {
		return o, run, err
	}
	run.Rows = len(rows)
	o.rule = r
	if o.alerts, err = r.read(rows); err != nil || len(r.Sources) == 0 {
		return o, run, err
	}
	if agesErr != nil {
		return o, run, agesErr
	}
	if silent := r.silent(ages); silent != "" {
		o.partial, o.why, run.Status, run.Error = true, silent, runNoData, silent
	}
	return o, run, nil
}

// sourceAges asks how long each source has been silent; only for groups whose rules name sources.
func (e *Engine) sourceAges(ctx context.Context, g *Group, at time.Time) (ages map[string]time.Duration, err error) {
	if !g.namesSources() {
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
func (e *Engine) dress(ctx context.Context, l *ledger, entry *alert.Entry) error {
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
func (e *Engine) topic(l *ledger, t *alert.Transition) string {
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

// attempt names one attempt to append. Were two attempts of one process named alike, an insert that was given up and took
// effect later would pass for the one after it, and what that one decided would be remembered though it is not in the log.
func (e *Engine) attempt() string { return e.Writer + attemptMark + rand.Text()[:8] }

const attemptMark = "#"

// commit appends the entry. Whenever its fate is not plain, the log decides, and what it holds is what we remember: an entry
// of that number and tick by any attempt of ours is ours; one of another writer means that we are not the holder.
func (e *Engine) commit(ctx context.Context, l *ledger, entry alert.Entry) error {
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
	case last.N == entry.N && strings.HasPrefix(last.Writer, e.Writer+attemptMark) && last.Tick.Equal(entry.Tick):
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

func (e *Engine) tell(entry alert.Entry, began time.Time) {
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
