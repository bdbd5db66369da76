package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// event is one call, or one send.
type event struct {
	goroutine int
	function  *function
	callers   []*function // under way on the goroutine, the nearest first
}

// step is who called, nil where nobody of ours did, and what.
func (e *event) step() [2]*function {
	if len(e.callers) == 0 {
		return [2]*function{nil, e.function}
	}
	return [2]*function{e.callers[0], e.function}
}

func (e *event) entersFile() bool {
	return !e.function.Send && len(e.callers) > 0 && e.callers[0].File != e.function.File
}

// appends is the entry of a tick into the log, outermost call.
func appends(e *event) bool {
	append := func(f *function) bool {
		return strings.HasSuffix(f.Name, ".Append") && slices.Contains(f.Takes, "Entry")
	}
	return append(e.function) && !slices.ContainsFunc(e.callers, append)
}

// delivers is the note of what was delivered.
func delivers(e *event) bool {
	return strings.HasSuffix(e.function.Name, ".Delivered") && slices.Contains(e.function.Takes, "Delivery")
}

// trace is what the recorder wrote.
type trace struct {
	events      []event
	maker       map[int]int // of goroutines
	quiet, sent int         // between these two nothing happened but what happens every day
	everyday    map[[2]*function]bool

	sources *sources
	offset  int64
}

func newTrace(s *sources) *trace { return &trace{sources: s, maker: map[int]int{}} }

func (t *trace) count(such func(*event) bool) (n int) {
	for i := range t.events {
		if such(&t.events[i]) {
			n++
		}
	}
	return n
}

// next and last find the first event from there on and the last one before; -1 where there is none.
func (t *trace) next(from int, such func(*event) bool) int {
	for i := from; i < len(t.events); i++ {
		if such(&t.events[i]) {
			return i
		}
	}
	return -1
}

func (t *trace) last(before int, such func(*event) bool) int {
	for i := before - 1; i >= 0; i-- {
		if such(&t.events[i]) {
			return i
		}
	}
	return -1
}

// readOn reads what was written since; a last line that is not whole is left for later.
func (t *trace) readOn(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(t.offset, io.SeekStart); err != nil {
		return err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	whole := string(text[:strings.LastIndexByte(string(text), '\n')+1])
	t.offset += int64(len(whole))
	for line := range strings.Lines(whole) {
		if err := t.line(strings.Fields(line)); err != nil {
			return fmt.Errorf("reading the trace: %q: %w", line, err)
		}
	}
	return nil
}

func (t *trace) line(words []string) error {
	if len(words) < 2 {
		return errors.New("too short")
	}
	g, err := strconv.Atoi(words[0])
	if maker, found := strings.CutPrefix(words[1], "<"); found && err == nil {
		t.maker[g], err = strconv.Atoi(maker)
		return err
	}
	id, wrong := strconv.Atoi(words[1])
	if err := errors.Join(err, wrong); err != nil {
		return err
	}
	e := event{goroutine: g, function: t.sources.functions[id]}
	for _, place := range words[2:] {
		colon := strings.LastIndexByte(place, ':')
		line, err := strconv.Atoi(place[colon+1:])
		if err != nil {
			return err
		}
		if f := t.sources.at(place[:colon], line); f != nil {
			e.callers = append(e.callers, f)
		}
	}
	t.events = append(t.events, e)
	return nil
}
