package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const golden = "cmd/aftershock/testdata/golden.txt"

// goldenHistory holds each change of the golden file against the words of its commit.
func goldenHistory(ctx context.Context, e *evidence) (value, error) {
	if err := e.whole(ctx); err != nil {
		return value{}, err
	}
	log, err := e.git(ctx, "log", "--reverse", "--format=%h %s", "--", golden)
	if err != nil {
		return value{}, err
	}
	commits := strings.Split(strings.TrimSpace(log), "\n")
	if commits[0] == "" {
		return value{}, fmt.Errorf("no commit has %s", golden)
	}
	v := value{text: fmt.Sprintf("%d changes after the first commit that has it", len(commits)-1), met: true, details: commits[:1]}
	for _, commit := range commits[1:] {
		hash, _, _ := strings.Cut(commit, " ")
		message, err := e.git(ctx, "log", "-1", "--format=%B", hash)
		if err != nil {
			return value{}, err
		}
		diff, err := e.git(ctx, "show", "--format=", "--unified=0", hash, "--", golden)
		if err != nil {
			return value{}, err
		}
		changed := changedLines(diff)
		said := "says so"
		if !slices.ContainsFunc(changed, func(name string) bool { return tells(message, name) }) {
			said, v.met = "does not say so", false
		}
		v.details = append(v.details, fmt.Sprintf("%s: changed %s, and %s", commit, strings.Join(changed, ", "), said))
	}
	open, err := e.git(ctx, "status", "--porcelain", "--", golden)
	if open != "" {
		v.met, v.details = false, append(v.details, "and it is changed in this tree")
	}
	return v, err
}

// changedLines are the names of the golden file's lines in a diff of it: a name, a number of rows and a hash.
func changedLines(diff string) []string {
	changed := map[string]bool{}
	for line := range strings.Lines(diff) {
		if strings.HasPrefix(line, "+++") || strings.HasPrefix(line, "---") || line[0] != '+' && line[0] != '-' {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimSpace(line[1:]), " ")
		changed[name] = true
	}
	return slices.Sorted(maps.Keys(changed))
}

// tells reports whether a commit's message speaks of a line: of its name, without the instant, or of the last word of it, as
// "feedback" is of churn.feedback.
func tells(message, name string) bool {
	name, _, _ = strings.Cut(name, "@")
	last := name[strings.LastIndexAny(name, "./")+1:]
	return names(message, name) || names(message, last) || names(message, strings.ReplaceAll(last, "_", " "))
}
