package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// benched is what a part of the benchmark prints.
func benched(ctx context.Context, e *evidence, part string) (string, error) {
	return once(e, "bench "+part, func() (string, error) {
		return command(ctx, e.root, e.environment(), "go", "run", "./tools/bench", "-only", part)
	})
}

// says is met where the benchmark prints a line that begins so and ends so.
func says(part, begin, end string) func(context.Context, *evidence) (value, error) {
	return func(ctx context.Context, e *evidence) (value, error) {
		said, err := benched(ctx, e, part)
		if err != nil {
			return value{}, err
		}
		for line := range strings.Lines(said) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, begin) {
				return value{text: line, met: strings.Contains(line, end)}, nil
			}
		}
		return value{}, fmt.Errorf("the benchmark prints no line that begins with %q: %s", begin, said)
	}
}

// figure is met where the number that the benchmark prints at a pattern is at most a bar; nth says at which of several.
func figure(part, pattern string, nth int, most float64) func(context.Context, *evidence) (value, error) {
	return func(ctx context.Context, e *evidence) (value, error) {
		said, err := benched(ctx, e, part)
		if err != nil {
			return value{}, err
		}
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(said, -1)
		if len(found) <= nth {
			return value{}, fmt.Errorf("the benchmark prints no %q: %s", pattern, said)
		}
		n, err := strconv.ParseFloat(found[nth][1], 64)
		return value{text: found[nth][0], met: err == nil && n <= most}, err
	}
}
