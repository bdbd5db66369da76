package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRecorder builds and runs a small module that has every way to be called.
func TestRecorder(t *testing.T) {
	dir := t.TempDir()
	s, binary, err := instrument(t.Context(), "testdata/tiny", dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "trace")
	c := exec.CommandContext(t.Context(), binary)
	c.Env = append(os.Environ(), recorderVariable+"="+path)
	if said, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	trace := newTrace(s)
	if err := trace.readOn(path); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range trace.events {
		line := e.function.Name
		if e.function.Literal {
			line += " (literal)"
		}
		if e.function.Send {
			line += " (send)"
		}
		for _, f := range e.callers {
			line += " < " + f.Name
		}
		if trace.maker[e.goroutine] != 0 {
			line = "made: " + line
		}
		got = append(got, line)
	}
	want := []string{
		"main",
		"Records < main",
		"Records (literal) < main",
		"take < main < Records < main", // the loop's body is main's, below the iterator
		"take < main < Records < main",
		"Sorted < main",
		"Sorted (literal) < Sorted < main",
		"Each < main",
		"main (literal) < Each < main",
		"main (literal) < Each < main",
		"made: main (literal)",
		"made: Batch.Add < main",
		"made: main (send)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("the trace (-want +got):\n" + diff)
	}
	var types []string
	for _, f := range s.functions {
		types = append(types, fmt.Sprint(f.Name, f.Owner, f.Takes, f.Gives))
	}
	for _, want := range []string{
		"Records[] [] [func func Record bool]",
		"Each[] [Record func Record] []",
		"Batch.Add[Batch E] [E] [int]",
		"main[] [Record int] []", // the literal takes a variable along
	} {
		if !slices.Contains(types, want) {
			t.Errorf("no function has the types %q: %q", want, types)
		}
	}
}

// made makes a trace out of "goroutine function caller caller ...", and of "goroutine <maker".
func made(t *testing.T, functions map[string]*function, lines string) *trace {
	t.Helper()
	trace := newTrace(nil)
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) == 1 {
			switch words[0] {
			case "quiet":
				trace.quiet = len(trace.events)
			case "sent":
				trace.sent = len(trace.events)
			}
			continue
		}
		var all []*function
		for _, name := range words[1:] {
			if strings.HasPrefix(name, "<") {
				if err := trace.line(words); err != nil {
					t.Fatal(err)
				}
				continue
			}
			f := functions[name]
			if f == nil {
				t.Fatalf("no function %s", name)
			}
			all = append(all, f)
		}
		if len(all) > 0 {
			e := event{function: all[0], callers: all[1:]}
			fmt.Sscan(words[0], &e.goroutine)
			trace.events = append(trace.events, e)
		}
	}
	return trace
}

func TestDeal(t *testing.T) {
	functions := map[string]*function{
		"loop":   {File: "consumers/fetch.go", Name: "partition.loop"},
		"body":   {File: "consumers/fetch.go", Name: "partition.loop", Literal: true, Takes: []string{"Record"}},
		"Fetch":  {File: "broker/fetch.go", Name: "Reader.Fetch", Owner: []string{"Reader"}, Gives: []string{"Fetched", "error"}},
		"Each":   {File: "broker/records.go", Name: "Fetched.Each", Owner: []string{"Fetched"}, Takes: []string{"func", "Record"}},
		"decode": {File: "churn/decode.go", Name: "DecodeDeal", Takes: []string{"byte"}, Gives: []string{"DealClosed", "error"}},
		"money":  {File: "churn/money.go", Name: "Money", Takes: []string{"string"}, Gives: []string{"OptionalMoney", "error"}},
		"weigh":  {File: "consumers/batch.go", Name: "weigh", Takes: []string{"Record"}, Gives: []string{"int"}},
		"full":   {File: "consumers/batch.go", Name: "piece.full", Owner: []string{"piece"}, Gives: []string{"bool"}},
		"keep":   {File: "consumers/batch.go", Name: "piece.keep", Owner: []string{"piece"}, Takes: []string{"Record"}},
		"pieces": {File: "consumers/fetch.go", Name: "partition.loop", Send: true, Takes: []string{"piece"}},
		"open":   {File: "warehouse/insert.go", Name: "Open", Gives: []string{"Batch"}},
		"gather": {File: "consumers/batch.go", Name: "topic.gather"},
		"store":  {File: "consumers/store.go", Name: "topic.store", Takes: []string{"chunk"}},
		"step":   {File: "consumers/store.go", Name: "topic.store", Literal: true, Takes: []string{"Context", "chunk"}},
		"retry":  {File: "dial/retry.go", Name: "Retry", Takes: []string{"Context", "func", "error"}, Gives: []string{"error"}},
		"insert": {File: "warehouse/insert.go", Name: "Table.Insert", Takes: []string{"Batch"}, Gives: []string{"error"}},
		"tell":   {File: "pipeline/metrics.go", Name: "metrics.stored", Takes: []string{"int"}},
		"commit": {File: "broker/group.go", Name: "Group.commit", Takes: []string{"int64"}, Gives: []string{"error"}},
		"free":   {File: "consumers/batch.go", Name: "piece.free", Owner: []string{"piece"}, Takes: []string{"Batch"}},
	}
	trace := made(t, functions, `
		1 <0
		2 <1
		3 <2
		4 <2
		5 <2
		9 <1
		quiet
		3 Fetch loop
		3 Each loop
		sent
		3 Fetch loop
		3 Each loop
		5 Fetch loop
		9 insert store
		3 body Each loop
		3 weigh loop Each loop
		3 decode loop Each loop
		3 money decode loop Each loop
		3 keep loop Each loop
		3 full loop
		3 pieces
		3 open loop
		4 full gather
		4 keep gather
		3 open loop
		2 store
		2 retry store
		2 step retry store
		2 insert store retry store
		2 tell insert store retry store
		2 commit store
		2 free store
	`)
	r := &roads[0]
	c, err := r.follow(r, trace)
	if err != nil {
		t.Fatal(err)
	}
	want := Count{
		Road: "deal",
		Hops: []Hop{
			{File: "broker/fetch.go", Function: "Reader.Fetch", From: "consumers/fetch.go: partition.loop"},
			{File: "broker/records.go", Function: "Fetched.Each", From: "consumers/fetch.go: partition.loop"},
			{File: "consumers/fetch.go", Function: "partition.loop", From: "broker/records.go: Fetched.Each", Back: true},
			{File: "churn/decode.go", Function: "DecodeDeal", From: "consumers/fetch.go: partition.loop"},
			{File: "consumers/batch.go", Function: "piece.keep", From: "consumers/fetch.go: partition.loop"},
			{File: "consumers/batch.go", Function: "topic.gather", HandOver: true},
			// What the fetch loop opens then is for other records.
			{File: "consumers/store.go", Function: "topic.store", HandOver: true},
			{File: "dial/retry.go", Function: "Retry", From: "consumers/store.go: topic.store"},
			{File: "warehouse/insert.go", Function: "Table.Insert", From: "consumers/store.go: topic.store"},
			{File: "broker/group.go", Function: "Group.commit", From: "consumers/store.go: topic.store"},
		},
		Upward: []Call{{"warehouse/insert.go: Table.Insert", "pipeline/metrics.go: metrics.stored"}},
		Back: []Call{
			{"broker/records.go: Fetched.Each", "consumers/fetch.go: partition.loop"},
			{"dial/retry.go: Retry", "consumers/store.go: topic.store"},
		},
		Sideways: []Call{{"consumers/store.go: topic.store", "warehouse/insert.go: Table.Insert"}},
	}
	if diff := cmp.Diff(want, r.count(c)); diff != "" {
		t.Error("the count (-want +got):\n" + diff)
	}
}

func TestTick(t *testing.T) {
	functions := map[string]*function{
		"follow":    {File: "pipeline/leader.go", Name: "Leader.follow"},
		"Next":      {File: "rules/schedule.go", Name: "Schedule.Next", Owner: []string{"Schedule"}, Takes: []string{"Time"}, Gives: []string{"Time"}},
		"plan":      {File: "rules/schedule.go", Name: "plan"},
		"Evaluate":  {File: "rules/engine/evaluate.go", Name: "Engine.Evaluate", Takes: []string{"Ledger", "Tick"}, Gives: []string{"Entry", "error"}},
		"rule":      {File: "rules/engine/evaluate.go", Name: "Engine.rule", Literal: true, Takes: []string{"observation"}},
		"Rows":      {File: "warehouse/query.go", Name: "Warehouse.Rows", Gives: []string{"Row", "error"}},
		"Append":    {File: "rules/engine/ledger.go", Name: "Ledger.Append", Takes: []string{"Entry"}, Gives: []string{"error"}},
		"log":       {File: "warehouse/log.go", Name: "Warehouse.Append", Takes: []string{"Entry"}, Gives: []string{"bool", "error"}},
		"Flush":     {File: "publish/relay.go", Name: "Relay.Flush"},
		"Run":       {File: "publish/relay.go", Name: "Relay.Run"},
		"Published": {File: "warehouse/log.go", Name: "Warehouse.Published", Gives: []string{"Entry", "error"}},
		"Deliver":   {File: "publish/topics.go", Name: "Topics.Deliver", Takes: []string{"Transition"}, Gives: []string{"Delivery", "error"}},
		"Delivered": {File: "warehouse/log.go", Name: "Warehouse.Delivered", Takes: []string{"Delivery"}, Gives: []string{"error"}},
		"Insert":    {File: "warehouse/insert.go", Name: "Insert", Takes: []string{"Batch"}, Gives: []string{"error"}},
		"Mend":      {File: "publish/topics.go", Name: "Topics.Mend", Takes: []string{"Record"}},
	}
	trace := made(t, functions, `
		1 <0
		2 <1
		3 <2
		4 <2
		6 <3
		quiet
		4 Flush Run
		4 Published Flush Run
		3 Next follow
		3 Next follow
		3 Append follow
		3 log Append follow
		sent
		4 Flush Run
		4 Published Flush Run
		3 Next follow
		3 Next plan follow
		3 Next follow
		3 Evaluate follow
		6 rule
		6 Rows rule
		3 Append follow
		3 log Append follow
		4 Flush Run
		4 Published Flush Run
		4 Deliver Flush Run
		4 Delivered Flush Run
		4 Insert Delivered Flush Run
		4 Mend Flush Run
		3 Next follow
	`)
	if n := trace.count(appends); n != 2 {
		t.Errorf("%d entries were appended, and not one in each tick", n)
	}
	r := &roads[1]
	c, err := r.follow(r, trace)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range r.count(c).Hops {
		line := h.File + ": " + h.Function
		if h.HandOver {
			line += " (hand-over)"
		}
		got = append(got, line)
	}
	want := []string{
		"rules/schedule.go: Schedule.Next",
		"rules/engine/evaluate.go: Engine.Evaluate",
		"rules/engine/evaluate.go: Engine.rule (hand-over)",
		"warehouse/query.go: Warehouse.Rows",
		"rules/engine/ledger.go: Ledger.Append",
		"warehouse/log.go: Warehouse.Append",
		"publish/relay.go: Relay.Flush (hand-over)",
		"warehouse/log.go: Warehouse.Published",
		"publish/topics.go: Topics.Deliver",
		"warehouse/log.go: Warehouse.Delivered",
		"warehouse/insert.go: Insert",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("the hops (-want +got):\n" + diff)
	}
}
