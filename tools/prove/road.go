package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// before is the commit that the house was straightened from.
const before = "96c18d15e1e750dcf4780a7811e3f5a9fe8feb60"

var road = subject{"road", "the road of the data is short, the code is less, and what comes out is what came out before", []proof{
	atMost("hops that a deal makes", 16, hops("deal")),
	atMost("hops that a tick makes", 26, hops("tick")),
	atMost("calls upward on both roads", 0, upward),
	{"lines of production code, without comments, blank lines, tests and tools", "fewer than before", fewerLines},
	atMost("production functions over 70 lines", 0, longFunctions),
	atMost("lines of cmd/aftershock, all but tests", 2200, linesOf("cmd/aftershock")),
	atMost("lines of pipeline, all but tests", 1500, linesOf("pipeline")),
	{"golden.txt changed only where a commit says what changed", "each change after the first names a line of it", goldenHistory},
	{"what comes out of a fixed world is what it was, to the byte", "TestGolden passes", passes("./cmd/aftershock", "TestGolden")},
	{"no record and no alert is lost or doubled under faults", "the chaos run's tests pass", passes("./tools/chaos", "")},
	{"the program goes on with a data folder of the commit before", "same counts, no alert", goesOn},
	{"no migration of that folder is lost or run again", "none", migrationsStay},
	{"the offsets of its consumer groups are kept", "all equal", offsetsStay},
	{"a deal more makes one record more there, as it does under the commit before", "1, as before", oneDealMore},
	{"no test is gone", "0 gone", noTestGone},
	{"go.mod names what is needed and nothing else", "go mod tidy -diff prints nothing", tidy},
	{"docs/architecture.md names every package of the house", "every one", architecture},
}}

// course is what tools/hops says of one road.
type course struct {
	Road   string
	Hops   []struct{ File, Function string }
	Upward []struct{ From, To string }
}

// countHops counts the hops of a tree by the counter of this one.
func countHops(ctx context.Context, e *evidence, tree string) (map[string]course, error) {
	return once(e, "hops "+tree, func() (map[string]course, error) {
		said, err := command(ctx, e.root, e.environment(), "go", "run", "./tools/hops", "-json", "-repo", tree)
		if err != nil {
			return nil, err
		}
		var list []course
		if err := json.Unmarshal([]byte(said), &list); err != nil {
			return nil, fmt.Errorf("reading what tools/hops says: %w", err)
		}
		courses := map[string]course{}
		for _, c := range list {
			courses[c.Road] = c
		}
		return courses, nil
	})
}

// hopsOfBoth counts this tree and the one before.
func hopsOfBoth(ctx context.Context, e *evidence) (now, then map[string]course, err error) {
	if now, err = countHops(ctx, e, e.root); err != nil {
		return nil, nil, err
	}
	tree, err := e.checkout(ctx, before)
	if err != nil {
		return nil, nil, err
	}
	then, err = countHops(ctx, e, tree)
	return now, then, err
}

func hops(name string) func(context.Context, *evidence) (int, string, []string, error) {
	return func(ctx context.Context, e *evidence) (int, string, []string, error) {
		now, then, err := hopsOfBoth(ctx, e)
		var details []string
		for _, h := range now[name].Hops {
			details = append(details, h.File+": "+h.Function)
		}
		return len(now[name].Hops), fmt.Sprintf("(before: %d)", len(then[name].Hops)), details, err
	}
}

func upward(ctx context.Context, e *evidence) (int, string, []string, error) {
	now, then, err := hopsOfBoth(ctx, e)
	was := 0
	for _, c := range then {
		was += len(c.Upward)
	}
	var details []string
	for _, name := range []string{"deal", "tick"} {
		for _, call := range now[name].Upward {
			details = append(details, call.From+" -> "+call.To)
		}
	}
	return len(details), fmt.Sprintf("(before: %d)", was), details, err
}

// lines is what tools/lines says of a tree.
type lines struct {
	Code    int
	Folders []struct {
		Folder    string
		Code, All int
	}
	Functions, Over int
	Longest         []struct {
		File, Name  string
		Line, Lines int
	}
}

func countLines(ctx context.Context, e *evidence, tree string) (lines, error) {
	return once(e, "lines "+tree, func() (l lines, err error) {
		said, err := command(ctx, e.root, nil, "go", "run", "./tools/lines", "-json", "-over", "70", "-repo", tree)
		if err != nil {
			return l, err
		}
		if err := json.Unmarshal([]byte(said), &l); err != nil {
			return l, fmt.Errorf("reading what tools/lines says: %w", err)
		}
		return l, nil
	})
}

func fewerLines(ctx context.Context, e *evidence) (value, error) {
	now, err := countLines(ctx, e, e.root)
	if err != nil {
		return value{}, err
	}
	tree, err := e.checkout(ctx, before)
	if err != nil {
		return value{}, err
	}
	then, err := countLines(ctx, e, tree)
	return value{text: fmt.Sprintf("%d (before: %d)", now.Code, then.Code), met: now.Code < then.Code}, err
}

func longFunctions(ctx context.Context, e *evidence) (n int, beside string, details []string, err error) {
	now, err := countLines(ctx, e, e.root)
	if err != nil {
		return 0, "", nil, err
	}
	for _, f := range now.Longest {
		if f.Lines > now.Over {
			details = append(details, fmt.Sprintf("%d lines: %s:%d: %s", f.Lines, f.File, f.Line, f.Name))
		}
	}
	return len(details), fmt.Sprintf("of %d (the longest: %d lines)", now.Functions, now.Longest[0].Lines), details, nil
}

func linesOf(folder string) func(context.Context, *evidence) (int, string, []string, error) {
	return func(ctx context.Context, e *evidence) (int, string, []string, error) {
		now, err := countLines(ctx, e, e.root)
		if err != nil {
			return 0, "", nil, err
		}
		for _, f := range now.Folders {
			if f.Folder == folder {
				return f.All, "", nil, nil
			}
		}
		return 0, "", nil, fmt.Errorf("there is no folder %s", folder)
	}
}

func tidy(ctx context.Context, e *evidence) (value, error) {
	said, err := command(ctx, e.root, nil, "go", "mod", "tidy", "-diff")
	if said == "" && err != nil { // it fails where it prints a difference, too
		return value{}, err
	}
	if said == "" {
		return value{text: "nothing", met: true}, nil
	}
	return value{text: "a difference", details: strings.Split(strings.TrimSpace(said), "\n")}, nil
}

// architecture looks for every folder of production code in the page that leads a newcomer through the house.
func architecture(ctx context.Context, e *evidence) (value, error) {
	now, err := countLines(ctx, e, e.root)
	if err != nil {
		return value{}, err
	}
	page, err := os.ReadFile(filepath.Join(e.root, "docs", "architecture.md"))
	if os.IsNotExist(err) {
		return value{text: "there is no docs/architecture.md"}, nil
	}
	if err != nil {
		return value{}, err
	}
	var missing []string
	for _, f := range now.Folders {
		if !names(string(page), f.Folder) {
			missing = append(missing, f.Folder)
		}
	}
	return value{fmt.Sprintf("%d of %d", len(now.Folders)-len(missing), len(now.Folders)), len(missing) == 0, missing}, nil
}

// names reports whether a text has the folder as such, and not as a part of another's path.
func names(text, folder string) bool {
	return regexp.MustCompile(`(^|[^\w/-])` + regexp.QuoteMeta(folder) + `/?($|[^\w/-])`).MatchString(text)
}
