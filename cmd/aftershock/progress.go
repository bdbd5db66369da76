package main

import (
	"os"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"
)

// bar shows a person how far a long piece of work is: on standard error, and only where that is a terminal.
type bar struct {
	writer  progress.Writer
	tracker *progress.Tracker

	painting sync.WaitGroup
}

func newBar(what string) *bar {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return &bar{}
	}
	w := progress.NewWriter()
	w.SetOutputWriter(os.Stderr)
	w.SetUpdateFrequency(200 * time.Millisecond)
	w.SetAutoStop(false)
	w.Style().Visibility.ETA = true
	t := &progress.Tracker{Message: what}
	w.AppendTracker(t)
	b := &bar{writer: w, tracker: t}
	b.painting.Go(w.Render)
	return b
}

func (b *bar) to(done, total int) { b.bytes(int64(done), int64(total)) }

func (b *bar) bytes(done, total int64) {
	if b.writer != nil {
		b.tracker.UpdateTotal(total)
		b.tracker.SetValue(done)
	}
}

func (b *bar) end() {
	if b.writer != nil {
		b.tracker.MarkAsDone()
		b.writer.Stop()
		b.painting.Wait()
	}
}
