package past

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/rules/engine"
)

// Scratch is a warehouse to play in.
type Scratch interface {
	engine.Warehouse
	// Reset empties it.
	Reset(ctx context.Context) error
	// Store decodes, scores, inserts and links the events as production does; each is known at its KnownAt.
	Store(ctx context.Context, events []rules.TestEvent) error
}

// TestReport is what rule tests found.
type TestReport struct {
	Results  []TestResult   `json:"results"`
	Coverage []RuleCoverage `json:"coverage"`
}

// TestResult is one test; it passed where it has no failures.
type TestResult struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Name     string   `json:"name"`
	Failures []string `json:"failures"` // each may have several lines
}

// RuleCoverage says what the tests never made a rule do.
type RuleCoverage struct {
	Rule    string   `json:"rule"`
	Reached []string `json:"reached"` // reasons of transitions
	Missed  []string `json:"missed"`
}

// Passed reports whether every test passed.
func (r TestReport) Passed() bool {
	return !slices.ContainsFunc(r.Results, func(t TestResult) bool { return len(t.Failures) > 0 })
}

// Write prints the report for a person: failures as differences, then what no test reaches.
func (r TestReport) Write(w io.Writer) error {
	var b strings.Builder
	failed := 0
	for _, t := range r.Results {
		if len(t.Failures) == 0 {
			fmt.Fprintf(&b, "ok    %s: %s\n", t.File, t.Name)
			continue
		}
		failed++
		fmt.Fprintf(&b, "FAIL  %s:%d: %s\n", t.File, t.Line, t.Name)
		for _, f := range t.Failures {
			b.WriteString("        " + strings.ReplaceAll(f, "\n", "\n        ") + "\n")
		}
	}
	for _, c := range r.Coverage {
		if len(c.Missed) > 0 {
			fmt.Fprintf(&b, "note  no test makes %s reach: %s\n", c.Rule, strings.Join(c.Missed, ", "))
		}
	}
	fmt.Fprintf(&b, "%d of %d tests passed\n", len(r.Results)-failed, len(r.Results))
	_, err := io.WriteString(w, b.String())
	return err
}

// RunTests plays every test on the scratch warehouse, through the production queries and lifecycle, at the instants that
// the test names. An error means that a test could not be played; a difference is in the report.
func RunTests(ctx context.Context, files []*rules.TestFile, scratch Scratch) (TestReport, error) {
	var report TestReport
	reached := map[string]map[string]bool{}
	for _, f := range files {
		for _, g := range f.Set.Groups {
			for _, r := range g.Rules {
				if reached[r.Name] == nil {
					reached[r.Name] = map[string]bool{}
				}
			}
		}
		for _, c := range f.Cases {
			failures, err := play(ctx, f.Set, c, scratch, reached)
			if err != nil {
				return report, fmt.Errorf("%s:%d: playing %q: %w", f.Name, c.Line, c.Name, err)
			}
			report.Results = append(report.Results, TestResult{f.Name, c.Line, c.Name, failures})
		}
	}
	seen := map[string]bool{}
	for _, f := range files {
		for _, g := range f.Set.Groups {
			for _, r := range g.Rules {
				if !seen[r.Name] {
					seen[r.Name] = true
					report.Coverage = append(report.Coverage, coverage(r, reached[r.Name]))
				}
			}
		}
	}
	return report, nil
}

// coverage holds what was reached against what the rule's keys make possible.
func coverage(r *rules.Rule, reached map[string]bool) RuleCoverage {
	possible := []string{alert.ReasonMet, alert.ReasonCleared}
	if r.For > 0 {
		possible = append(possible, alert.ReasonWaiting, alert.ReasonNotHeld)
	}
	if r.KeepFiringFor > 0 {
		possible = append(possible, alert.ReasonHolding, alert.ReasonReturned)
	}
	if r.RepeatEvery > 0 {
		possible = append(possible, alert.ReasonRepeated)
	}
	if r.EscalateAfter > 0 {
		possible = append(possible, alert.ReasonEscalated)
	}
	c := RuleCoverage{Rule: r.Name, Reached: slices.Sorted(maps.Keys(reached))}
	for _, reason := range possible {
		if !reached[reason] {
			c.Missed = append(c.Missed, reason)
		}
	}
	return c
}

// play runs one test and returns what differs.
func play(ctx context.Context, set *rules.Set, c rules.TestCase, scratch Scratch, reached map[string]map[string]bool) ([]string, error) {
	if err := scratch.Reset(ctx); err != nil {
		return nil, fmt.Errorf("emptying the scratch warehouse: %w", err)
	}
	var now time.Time
	log := &engine.MemoryLog{}
	e := &engine.Engine{Set: set, Warehouse: scratch, Log: log, Writer: "test", Clock: func() time.Time { return now }, From: time.Unix(0, 0)}
	var ledgers []*engine.Ledger
	for _, g := range set.Groups {
		l, err := e.Open(ctx, g, time.Unix(0, 0))
		if err != nil {
			return nil, err
		}
		ledgers = append(ledgers, l)
	}
	var failures []string
	events, feedback := c.Events, c.Feedback
	for _, instant := range c.Instants {
		known := 0
		for known < len(events) && !events[known].KnownAt.After(instant.At) {
			known++
		}
		if known > 0 {
			if err := scratch.Store(ctx, events[:known]); err != nil {
				return nil, fmt.Errorf("storing events: %w", err)
			}
			events = events[known:]
		}
		var standing []alert.Transition
		var noData []alert.Run
		for len(feedback) > 0 && !feedback[0].KnownAt.After(instant.At) {
			f := feedback[0]
			feedback = feedback[1:]
			outcome, err := answer(ctx, e, ledgers, f)
			if err != nil {
				return nil, err
			}
			if outcome != churn.FeedbackApplied {
				failures = append(failures, fmt.Sprintf("at %s: %s %s {%s} (line %d) changed nothing: %s", stamp(f.KnownAt), f.Action, f.Rule, rules.Describe(f.Identity), f.Line, outcome))
			}
		}
		for _, l := range ledgers {
			now = instant.At.Add(l.Group.EvalDelay)
			var all alert.Entry
			for entry, err := range e.Evaluate(ctx, l, engine.Tick{At: now, Status: alert.TickRun}) {
				if err == nil {
					err = e.Append(ctx, l, entry)
				}
				if err != nil {
					return nil, err
				}
				entry.Transitions = slices.Concat(all.Transitions, entry.Transitions)
				all = entry
			}
			for _, run := range all.Runs {
				switch run.Status {
				case alert.RunError:
					failures = append(failures, fmt.Sprintf("at %s: rule %s failed: %s", stamp(instant.At), run.Rule, run.Error))
				case alert.RunNoData:
					noData = append(noData, run)
				}
			}
			standing = append(standing, stands(l, all, reached)...)
		}
		failures = append(failures, compare(instant, standing, noData)...)
	}
	return failures, nil
}

// stands are the alerts of a group that a test can expect after an entry: those that ended by it, and those that are open. It notes
// which reasons were reached.
func stands(l *engine.Ledger, entry alert.Entry, reached map[string]map[string]bool) (standing []alert.Transition) {
	for _, t := range entry.Transitions {
		reached[t.Rule][t.Reason] = true
		if t.State == alert.Resolved && !engine.OfRule(t) {
			standing = append(standing, t)
		}
	}
	for _, fingerprint := range slices.Sorted(maps.Keys(l.Standing())) {
		if t := l.Standing()[fingerprint]; t.State.Open() || t.State == alert.Pending {
			standing = append(standing, t)
		}
	}
	return standing
}

// answer applies feedback to the alert of its rule, at once: the instants of a test are not those of the schedule.
func answer(ctx context.Context, e *engine.Engine, ledgers []*engine.Ledger, f rules.TestFeedback) (outcome string, err error) {
	for _, l := range ledgers {
		if l.Group.Rule(f.Rule) == nil {
			continue
		}
		entry, err := e.Apply(ctx, l, f.FeedbackEvent)
		if err != nil {
			return "", err
		}
		return entry.Feedback[0].Outcome, nil
	}
	return "the rule is not under test", nil
}

// compare says how what stands differs from what the test expects.
func compare(i rules.TestInstant, standing []alert.Transition, silent []alert.Run) []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, "at "+stamp(i.At)+": "+strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
	taken := make([]bool, len(standing))
	for _, want := range i.Alerts {
		at := slices.IndexFunc(standing, func(t alert.Transition) bool {
			return means(want, t)
		})
		if at < 0 || taken[at] {
			say("expected but missing (line %d): %s %s {%s}", want.Line, want.Rule, want.Status, rules.Describe(want.Identity))
			continue
		}
		taken[at] = true
		if diff := differs(want, standing[at]); diff != "" {
			say("%s {%s} differs (line %d):%s", want.Rule, rules.Describe(standing[at].Identity), want.Line, diff)
		}
	}
	for n, t := range standing {
		if !taken[n] {
			say("not expected: %s %s (%s) {%s} %s", t.Rule, t.State, t.Reason, rules.Describe(t.Identity), t.Annotations["summary"])
		}
	}
	for _, want := range i.Silent {
		for _, t := range standing {
			if means(want, t) && t.State != alert.Resolved {
				say("must be silent (line %d): %s {%s}", want.Line, t.Rule, rules.Describe(t.Identity))
			}
		}
	}
	var noData []string
	for _, run := range silent {
		noData = append(noData, run.Rule)
		if len(out) > 0 && !i.SaysNoData { // likely the reason, and nobody would guess it
			say("%s had no data here, so its alerts hold though their rows are gone: %s", run.Rule, run.Error)
		}
	}
	slices.Sort(noData)
	if i.SaysNoData && !slices.Equal(i.NoData, noData) {
		say("no data differs:%s", line("rules", strings.Join(i.NoData, ", "), strings.Join(noData, ", ")))
	}
	return out
}

// means reports whether t is the alert that a test means: the rule, and the identity as far as it is written.
func means(a rules.TestAlert, t alert.Transition) bool {
	if a.Rule != t.Rule {
		return false
	}
	for k, v := range a.Identity {
		if t.Identity[k] != v {
			return false
		}
	}
	return true
}

func differs(a rules.TestAlert, t alert.Transition) string {
	var b strings.Builder
	text := func(what, want, got string) {
		if want != "" && want != got {
			b.WriteString(line(what, want, got))
		}
	}
	text("status", string(a.Status), string(t.State))
	text("reason", a.Reason, t.Reason)
	text("severity", a.Severity, t.Severity)
	text("contract_id", a.ContractID, t.ContractID)
	text("currency", a.Currency, t.Currency)
	if a.Episode > 0 {
		text("episode", strconv.Itoa(a.Episode), strconv.Itoa(t.Episode))
	}
	if a.ValueAtRisk.Known && (!t.ValueAtRisk.Known || a.ValueAtRisk.Amount.Cmp(t.ValueAtRisk.Amount) != 0) {
		got := "unknown"
		if t.ValueAtRisk.Known {
			got = rules.Plain(t.ValueAtRisk)
		}
		text("value_at_risk", rules.Plain(a.ValueAtRisk), got)
	}
	for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
		if got := t.Labels[k]; got != a.Labels[k] {
			b.WriteString(line("labels."+k, a.Labels[k], got))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a.Annotations)) {
		if got := t.Annotations[k]; got != a.Annotations[k] {
			b.WriteString(line("annotations."+k, a.Annotations[k], got))
		}
	}
	return b.String()
}

func line(what, want, got string) string {
	return fmt.Sprintf("\n  %s\n    - expected: %s\n    + got:      %s", what, want, got)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
