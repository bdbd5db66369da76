package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// sabotage takes one guarantee out of the replicas, and makes the faults under which the checker must see it.
type sabotage struct {
	name     string
	replicas int
	edits    []edit
	scenario func(ctx context.Context, h *house) error
	seen     []string // the counts of which one at least must not be zero
}

// countRepeats is not among those that must be zero in a storm: it must be where nothing but a kill happens to a publisher.
const countRepeats = "repeats"

var sabotages = []sabotage{
	{
		name: "commit-before-insert", replicas: 1,
		edits: []edit{{"consumers/store.go", "	refused, err := l.insert(ctx, live, g, b.pieces)\n",
			"	if err := l.commit(g, b.next); err != nil {\n		return err\n	}\n	refused, err := l.insert(ctx, live, g, b.pieces)\n"}},
		scenario: killedAt("consumersBeforeInsert", 3, 0), seen: []string{countLost},
	},
	{
		name: "dead-letters-unacknowledged", replicas: 1,
		edits: []edit{{"consumers/store.go", "		letters, err = c.letters.Write(ctx, letters)\n",
			"		go func() { _, _ = c.letters.Write(context.WithoutCancel(ctx), letters) }()\n"}},
		// The writing waits at the step; a sound replica waits with it, and commits nothing.
		scenario: killedAt("consumersBeforeDeadLetters", 3, 2*time.Second), seen: []string{countLost},
	},
	{
		name: "events-not-deduplicated", replicas: 1,
		edits:    []edit{{"warehouse/views/10_present.sql", "value_hash DESC, known_at\nLIMIT 1 BY ticket_id;", "value_hash DESC, known_at;"}},
		scenario: undisturbed, seen: []string{countTwice},
	},
	{
		name: "links-not-deduplicated", replicas: 1,
		edits: []edit{
			{"warehouse/views/03_contract_attempts.sql", "FROM link_versions FINAL\n", "FROM link_versions\n"},
			// Upkeep writes only what differs, so that little would stand twice.
			{"warehouse/queries/upkeep_links.sql", "WHERE (found.known_to != stored.known_to OR found.digest != stored.digest)\n", "WHERE true\n"},
		},
		scenario: unmerged, seen: []string{countTwice},
	},
	{
		name: "no-compare-and-set", replicas: 2,
		edits: []edit{{"warehouse/log.go", `token := fmt.Sprintf("%s/%d", e.Group, e.N)`,
			`token := fmt.Sprintf("%s/%d/%s", e.Group, e.N, e.Writer)`}},
		scenario: pausedAt("logBeforeClaim", 3, 0), seen: []string{countDiffering, countUnaccounted},
	},
	{
		name: "no-mending", replicas: 2,
		edits: []edit{{"publish/topics.go", "			if !at.stale() {\n				continue", "			if true {\n				continue"}},
		// While it sleeps what it was about to tell of is told by another, and resolved.
		scenario: pausedAt("publishBeforeWrite", 3, freshFor+4*time.Second), seen: []string{countStaleHeads},
	},
	{
		name: "no-read-back", replicas: 1,
		edits:    []edit{{"publish/topics.go", "	if _, err := d.readOn(ctx, topic, h); err != nil {", "	if err := ctx.Err(); err != nil {"}},
		scenario: killedAt("publishAfterWrite", 2, 0), seen: []string{countRepeats},
	},
}

// steadily is how long records flow before the first fault, so that alerts fire and resolve.
const steadily = 8 * time.Second

// pace is how many records a second flow in a scenario.
const pace = 300

var errUnreached = errors.New("the step was not reached: the scenario must be aimed anew")

// killedAt kills the replica at the step, some time after it arrived there, and starts it again.
func killedAt(step string, times int, after time.Duration) func(context.Context, *house) error {
	return func(ctx context.Context, h *house) error {
		sleep(ctx, steadily)
		for range times {
			happened, err := h.atStep(ctx, step, time.Minute, func(ctx context.Context, r *replica) error {
				sleep(ctx, after)
				r.kill()
				return r.start()
			})
			if err != nil || !happened {
				return errors.Join(err, errUnreached)
			}
			sleep(ctx, 2*time.Second)
		}
		return nil
	}
}

// pausedAt pauses a replica at the step until another has taken its work, and some more time, and wakes it.
func pausedAt(step string, times int, more time.Duration) func(context.Context, *house) error {
	return func(ctx context.Context, h *house) error {
		sleep(ctx, steadily)
		for range times {
			happened, err := h.atStep(ctx, step, time.Minute, func(ctx context.Context, r *replica) error {
				r.signal(syscall.SIGSTOP)
				defer r.signal(syscall.SIGCONT)
				if !h.anotherAppends(ctx) {
					return errors.New("no other replica took over")
				}
				sleep(ctx, more)
				return nil
			})
			if err != nil {
				return err
			}
			if !happened {
				return errUnreached
			}
			sleep(ctx, 3*time.Second)
			if v := newVerdict(); h.checkAlerts(ctx, v) == nil && v.counts[countDiffering]+v.counts[countStaleHeads] > 0 {
				return nil // there is something to be seen
			}
		}
		return nil
	}
}

// anotherAppends waits until some more ticks are accounted for: with the leader paused that is another's work.
func (h *house) anotherAppends(ctx context.Context) bool {
	after := time.Now().Add(slowestTick)
	return until(ctx, time.Minute, func() bool {
		ok, err := h.evaluatedUpTo(ctx, after)
		return err == nil && ok
	})
}

func undisturbed(ctx context.Context, _ *house) error {
	sleep(ctx, steadily)
	return nil
}

// unmerged keeps the server from merging superseded versions away, which would hide that they are counted.
func unmerged(ctx context.Context, h *house) error {
	err := h.query(ctx, "SYSTEM STOP MERGES aftershock.link_versions", nil, func(io.Reader) error { return nil })
	sleep(ctx, 2*steadily)
	return err
}

// runSabotages tries every chosen sabotage, and fails where the checker does not see one.
func (o options) runSabotages(ctx context.Context, out *os.File) (err error) {
	chosen, err := sabotagesNamed(o.sabotage)
	if err != nil {
		return err
	}
	dir, source, leave, err := o.workshop(ctx)
	if err != nil {
		return err
	}
	defer func() { leave(err != nil && ctx.Err() == nil) }()
	fmt.Fprintf(out, "seed %d\n", o.seed)
	var errs []error
	for _, s := range chosen {
		began := time.Now()
		v, err := o.try(ctx, filepath.Join(dir, s.name), source, s)
		if err != nil {
			return fmt.Errorf("trying %s: %w", s.name, err)
		}
		sabotaged := len(s.edits) > 0
		told, missed := s.judge(v)
		fmt.Fprintf(out, "%-30s %s (%.0fs)\n", s.name, told, time.Since(began).Seconds())
		if o.verbose {
			v.printCounts(out)
		}
		if missed {
			errs = append(errs, fmt.Errorf("%s: %s", s.name, told))
		}
		if sabotaged && !missed {
			_ = os.RemoveAll(filepath.Join(dir, s.name))
		}
	}
	return errors.Join(errs...)
}

// judge says what the checker saw. A sabotage must be seen; a sound replica must pass the same scenario.
func (s sabotage) judge(v *verdict) (told string, wrong bool) {
	v.counts[countRepeats] = v.repeats
	var saw []string
	for _, count := range append([]string{countRepeats}, wantedZero...) {
		if v.counts[count] > 0 {
			saw = append(saw, fmt.Sprintf("%s %d", count, v.counts[count]))
		}
	}
	seen := false
	for _, count := range s.seen {
		seen = seen || v.counts[count] > 0
	}
	switch {
	case len(s.edits) == 0 && (seen || !v.clean()):
		return "the checker blames a sound replica: " + strings.Join(saw, ", "), true
	case len(s.edits) == 0:
		return fmt.Sprintf("sound: passed, with %d records, %d transitions, %d repeats", v.records, v.transitions, v.repeats), false
	case !seen:
		return "NOT CAUGHT: wanted " + strings.Join(s.seen, " or ") + "; saw: " + strings.Join(saw, ", "), true
	}
	return "caught: " + strings.Join(saw, ", "), false
}

func (o options) try(ctx context.Context, dir, source string, s sabotage) (*verdict, error) {
	binary, err := build(ctx, source, filepath.Join(dir, "build"), s.edits)
	if err != nil {
		return nil, err
	}
	const most = 3 * time.Minute
	h, err := openHouse(ctx, dir, binary, s.replicas, pace*int(most.Seconds()))
	if err != nil {
		return nil, err
	}
	defer h.close()
	for _, r := range h.replicas {
		if err := r.start(); err != nil {
			return nil, err
		}
	}
	p, err := h.produce(ctx, o.seed, pace*int(most.Seconds()), most)
	if err != nil {
		return nil, err
	}
	scenario := s.scenario(ctx, h)
	p.stop()
	if err := errors.Join(scenario, p.wait()); err != nil {
		return nil, err
	}
	// A sabotaged pipeline need not settle: what it leaves is what is judged.
	if err := h.settle(ctx, time.Minute); err != nil && len(s.edits) == 0 {
		return nil, err
	}
	for _, r := range h.replicas {
		_ = r.stop(30 * time.Second)
	}
	return h.check(ctx)
}
