package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// stalls watches how long consumption stood still while there was something to consume.
type stalls struct {
	cancel  context.CancelFunc
	done    sync.WaitGroup
	mu      sync.Mutex
	longest time.Duration
}

// watchStalls looks at the committed offsets until stop.
func (h *house) watchStalls(ctx context.Context) *stalls {
	ctx, cancel := context.WithCancel(ctx)
	s := &stalls{cancel: cancel}
	s.done.Go(func() {
		moved, sum := time.Now(), int64(-1)
		for ; ctx.Err() == nil; sleep(ctx, 500*time.Millisecond) {
			asking, answered := context.WithTimeout(ctx, 5*time.Second)
			progress, err := h.positions.Now(asking)
			answered()
			if err == nil {
				now := int64(0)
				for _, offset := range progress.Committed {
					now += offset
				}
				if now > sum || progress.Lag() == 0 {
					moved, sum = time.Now(), now
				}
			}
			s.mu.Lock()
			s.longest = max(s.longest, time.Since(moved))
			s.mu.Unlock()
		}
	})
	return s
}

func (s *stalls) stop() {
	s.cancel()
	s.done.Wait()
}

// peak is the most resident memory that any replica had in any of its lives.
func (h *house) peak() (bytes int64) {
	for _, r := range h.replicas {
		r.mu.Lock()
		bytes = max(bytes, r.peak)
		r.mu.Unlock()
	}
	return bytes
}

// revivals is how often a replica ended by itself, as one that finds no broker at its start does, and was started again.
func (h *house) revivals() (n int) {
	for _, r := range h.replicas {
		r.mu.Lock()
		n += r.revived
		r.mu.Unlock()
	}
	return n
}

// report is what is printed at the end.
type report struct {
	*verdict
	storm   *storm
	stalls  *stalls
	peak    int64
	revived int
	took    time.Duration
	settled time.Duration
}

func (r report) print(out io.Writer) {
	line := func(what string, format string, args ...any) {
		fmt.Fprintf(out, "%-52s"+format+"\n", append([]any{what}, args...)...)
	}
	fmt.Fprintln(out, "\nfaults by kind")
	for _, kind := range slices.Sorted(maps.Keys(r.storm.made)) {
		line("  "+kind, "%8d", r.storm.made[kind])
	}
	line("faults", "%8d", r.storm.count())
	line("records", "%8d   of them broken: %d", r.records, r.broken)
	r.printCounts(out)
	line("longest stall of consumption", "%7.1fs", r.stalls.longest.Seconds())
	line("longest from a tick to its entry", "%7.1fs", r.latest.Seconds())
	line("peak resident memory of a replica", "%5d MB", r.peak>>20)
	line("replicas that ended by themselves, and were revived", "%8d", r.revived)
	broker, clickhouse := r.storm.broker.falls(), r.storm.clickhouse.falls()
	line("servers that ended by themselves, and were revived", "%8d   broker: %d, ClickHouse: %d", broker+clickhouse, broker, clickhouse)
	line("took", "%7.0fs   of it settling after the last fault: %.0fs", r.took.Seconds(), r.settled.Seconds())
}

// printCounts prints what was counted, with some of what must not be.
func (v *verdict) printCounts(out io.Writer) {
	line := func(what string, n int, more string) { fmt.Fprintf(out, "%-52s%8d%s\n", what, n, more) }
	for _, count := range []string{countLost, countTwice, countAlertsLost} {
		line(count, v.counts[count], "")
	}
	line("repeats", v.repeats, "   transitions on their topic again, with equal bytes")
	for _, count := range []string{countDiffering, countStaleHeads, countUnaccounted} {
		line(count, v.counts[count], "")
	}
	statuses := ""
	for _, status := range slices.Sorted(maps.Keys(v.entries)) {
		statuses += fmt.Sprintf("  %s: %d", status, v.entries[status])
	}
	line("ticks", v.entries["run"]+v.entries["caught_up"]+v.entries["incomplete"]+v.entries["missed"], " "+statuses)
	line("transitions", v.transitions, fmt.Sprintf("   records on the alert topics: %d", v.topicRecords))
	line("links", v.links, "")
	line("events stored again, and counted once", v.storedAgain, fmt.Sprintf("   dead letters written again: %d", v.deadLettersAgain))
	for _, count := range wantedZero {
		for _, detail := range v.details[count] {
			fmt.Fprintf(out, "  ! %s: %s\n", count, detail)
		}
		if more := v.counts[count] - len(v.details[count]); more > 0 && len(v.details[count]) == detailsOfEachKind {
			fmt.Fprintf(out, "  ! %s: and more\n", count)
		}
	}
}
