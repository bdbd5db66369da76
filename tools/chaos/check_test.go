package main

import (
	"maps"
	"testing"
	"time"
)

// entries are markers of the group fresh, two seconds apart, that begin at noon.
func entries(statuses ...string) []transition {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var log []transition
	for i, status := range statuses {
		log = append(log, transition{group: "fresh", n: int64(i + 1), status: status, why: "some reason", tick: noon.Add(time.Duration(2*i) * time.Second)})
	}
	return log
}

func TestCheckTicks(t *testing.T) {
	good := entries("begun", "run", "caught_up", "incomplete", "run")
	standing := transition{group: "standing", n: 1, status: "begun", why: "some reason"}
	for name, c := range map[string]struct {
		change func([]transition) []transition
		want   int
	}{
		"all there":           {func(log []transition) []transition { return log }, 0},
		"a gap in n":          {func(log []transition) []transition { log[4].n = 6; return log }, 1},
		"an n twice":          {func(log []transition) []transition { return append(log, log[4]) }, 1},
		"a tick left out":     {func(log []transition) []transition { log[4].tick = log[4].tick.Add(2 * time.Second); return log }, 1},
		"a tick twice":        {func(log []transition) []transition { log[4].tick = log[3].tick; return log }, 1},
		"missed":              {func(log []transition) []transition { log[4].status = "missed"; return log }, 1},
		"no reason":           {func(log []transition) []transition { log[3].why = ""; return log }, 1},
		"begins with a tick":  {func(log []transition) []transition { log[0].status = "run"; return log }, 1},
		"of an unknown group": {func(log []transition) []transition { log[4].group = "else"; return log }, 1},
	} {
		v := newVerdict()
		v.checkTicks(append(c.change(append([]transition{}, good...)), standing))
		if got := v.counts[countUnaccounted]; got != c.want {
			t.Errorf("%s: %d unaccounted for, want %d: %v", name, got, c.want, v.details)
		}
	}
	v := newVerdict()
	v.checkTicks(good)
	if v.counts[countUnaccounted] != 1 {
		t.Errorf("a group without entries: %v", v.details)
	}
}

func TestCheckLog(t *testing.T) {
	told := transition{group: "fresh", n: 2, i: 1, id: "x", key: "f", episode: 1, sequence: 1, state: "firing", arm: "treatment", started: true,
		topic: "churn.alerts", bytes: "b", toldEpisode: 1, toldState: "firing"}
	for name, c := range map[string]struct {
		change func(*transition)
		want   map[string]int
	}{
		"as it should be": {func(t *transition) { t.id, t.sequence, t.state, t.toldState = "y", 2, "resolved", "resolved" }, map[string]int{}},
		"ended in a catch-up, and told since": {func(t *transition) {
			t.id, t.fingerprint, t.state, t.toldState, t.untold, t.topic = "y", "g", "resolved", "resolved", "catch_up", ""
		}, map[string]int{}},
		"ended in a catch-up, and not told since": {func(t *transition) {
			t.id, t.fingerprint, t.state, t.untold, t.topic = "y", "g", "resolved", "catch_up", ""
		}, map[string]int{countAlertsLost: 1}},
		"began in a catch-up, and not told since": {func(t *transition) { t.id, t.fingerprint, t.episode, t.untold, t.topic = "y", "g", 2, "catch_up", "" }, map[string]int{countAlertsLost: 1}},
		"an id twice":            {func(t *transition) { t.n = 3 }, map[string]int{countDiffering: 1}},
		"not told":               {func(t *transition) { t.id, t.topic = "y", "" }, map[string]int{countAlertsLost: 1}},
		"told to the holdout":    {func(t *transition) { t.id, t.arm = "y", "holdout" }, map[string]int{countAlertsLost: 1}},
		"a holdout, not told":    {func(t *transition) { t.id, t.arm, t.topic = "y", "holdout", "" }, map[string]int{}},
		"pending, and not told":  {func(t *transition) { t.id, t.state, t.topic = "y", "pending", "" }, map[string]int{}},
		"pending, and yet told":  {func(t *transition) { t.id, t.state = "y", "pending" }, map[string]int{countAlertsLost: 1}},
		"the marker of an entry": {func(t *transition) { t.i, t.topic = 0, "" }, map[string]int{}},
	} {
		other := told
		c.change(&other)
		v := newVerdict()
		_, heads := v.checkLog([]transition{told, other})
		if !maps.Equal(v.counts, c.want) {
			t.Errorf("%s: %v, want %v", name, v.counts, c.want)
		}
		if name == "as it should be" && heads[version{topic: "churn.alerts", key: "f"}].sequence != 2 {
			t.Errorf("heads: %v", heads)
		}
	}
}
