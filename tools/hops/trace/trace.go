// Package trace is what the tool hops adds to a build of the pipeline: it writes down every call of a function of ours.
package trace

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// Variable names the file to write to; without it nothing is written.
const Variable = "HOPS_TRACE"

// Module is how the names of our own functions begin.
const Module = "github.com/aftershock/aftershock/"

const deepest = 256

var (
	mu   sync.Mutex
	file = open()
	seen = map[string]bool{} // goroutines whose maker is written down
)

func open() *os.File {
	path := os.Getenv(Variable)
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	return f
}

// Enter writes "goroutine id caller caller ..." with the calls of ours that are under way, the nearest first, as file:line. A
// goroutine's first line stands behind one "goroutine <maker". Lines are written at once, so that no death loses one.
func Enter(id int) {
	if file == nil {
		return
	}
	var text [1 << 12]byte
	head := text[:runtime.Stack(text[:], false)]
	me := number(bytes.TrimPrefix(head, []byte("goroutine ")))

	var counters [deepest]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(3, counters[:])])
	line := fmt.Appendf(nil, "%s %d", me, id)
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, Module) || strings.HasPrefix(f.Function, "main.") {
			line = fmt.Appendf(line, " %s:%d", f.File, f.Line)
		}
		if !more {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !seen[me] {
		seen[me] = true
		line = append([]byte(me+" <"+maker()+"\n"), line...)
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		panic(err)
	}
}

// maker is the goroutine that made this one; 0 where none did.
func maker() string {
	text := make([]byte, 1<<20)
	text = text[:runtime.Stack(text, false)]
	if at := bytes.LastIndex(text, []byte(" in goroutine ")); at >= 0 {
		return number(text[at+len(" in goroutine "):])
	}
	return "0"
}

func number(text []byte) string {
	end := bytes.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(text)
	}
	if _, err := strconv.Atoi(string(text[:end])); err != nil {
		return "0"
	}
	return string(text[:end])
}
