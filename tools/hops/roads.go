package main

import (
	"errors"
	"slices"
	"strings"
)

// road is what one deal or one tick passes through. It knows the types that hold the data by name alone, so that one may move
// to another package; those that are to be renamed stand here under both names.
type road struct {
	name     string
	carriers []string
	follow   func(r *road, t *trace) (course, error)
}

var roads = []road{
	{
		name: "deal", follow: (*road).deal,
		carriers: []string{
			"Record", "Fetched", "DealClosed", "Deal", "DealEvent", "Stamp", "Hardness", "Rejection",
			"E", "Block", "block", "Batch", "piece", "chunk",
		},
	},
	{
		name: "tick", follow: (*road).tick,
		carriers: []string{
			"ledger", "Ledger", "Tick", "TickStatus", "TopicPartition", "Range", "Progress", "FeedbackEvent",
			"step", "DealVersion", "AttemptVersion", "Link", "Unmatched", "Parameters", "QueryOption",
			"Row", "observation", "alert", "Transition", "Subject", "Run", "Entry", "Batch", "any",
			"Record", "Delivery",
		},
	},
}

// course is what a road passes: its calls in order, who took the data over on each goroutine but the first and those that were
// made for it, and the call that ends it, where that is one by itself.
type course struct {
	calls []*event
	taker map[int]*function
	end   *event
}

// deal begins with the fetch that brings the record, and ends with the commit behind it.
func (r *road) deal(t *trace) (course, error) {
	took := t.next(t.sent, func(e *event) bool { return slices.Contains(e.function.Takes, "Record") && !t.ordinary(e) })
	if took < 0 {
		return course{}, errors.New("nothing takes the deal's record")
	}
	first := t.last(took, func(e *event) bool {
		return e.goroutine == t.events[took].goroutine && slices.Contains(e.function.Gives, "Fetched") && e.entersFile()
	})
	if first < 0 {
		return course{}, errors.New("nothing fetches the deal's record")
	}
	family := t.family(t.events[first].goroutine)
	end := t.next(took, func(e *event) bool { return family[e.goroutine] && strings.HasSuffix(e.function.Name, ".commit") })
	if end < 0 {
		return r.along(t, first, len(t.events)), nil
	}
	c := r.along(t, first, end+1)
	c.end = &t.events[end]
	return c, nil
}

// tick begins with the schedule that says when it is due, and ends when the delivery of its alert is noted.
func (r *road) tick(t *trace) (course, error) {
	noted := t.next(t.sent, delivers)
	if noted < 0 {
		return course{}, errors.New("no alert was delivered")
	}
	appended := t.last(noted, appends)
	// The group's loop is who asks most often when the next tick is.
	asked := map[*function]int{}
	due := func(e *event) bool {
		return e.goroutine == t.events[appended].goroutine && e.function.Name == "Schedule.Next" && len(e.callers) > 0
	}
	var loop *function
	for i := range t.events {
		if e := &t.events[i]; due(e) {
			if asked[e.callers[0]]++; asked[e.callers[0]] > asked[loop] {
				loop = e.callers[0]
			}
		}
	}
	first := t.last(appended, func(e *event) bool { return due(e) && e.callers[0] == loop })
	if first < 0 {
		return course{}, errors.New("no schedule was asked for the tick")
	}
	end := t.next(noted+1, func(e *event) bool {
		return e.goroutine == t.events[noted].goroutine && !slices.Contains(e.callers, t.events[noted].function)
	})
	if end < 0 {
		end = len(t.events)
	}
	return r.along(t, first, end), nil
}

// ordinary reports whether the call is also made where there is no deal.
func (t *trace) ordinary(e *event) bool {
	if t.everyday == nil {
		t.everyday = map[[2]*function]bool{}
		for i := t.quiet; i < t.sent; i++ {
			t.everyday[t.events[i].step()] = true
		}
	}
	return t.everyday[e.step()]
}

// family are the goroutines that have a maker in common with one, beside the program's first.
func (t *trace) family(of int) map[int]bool {
	line := func(g int) (all []int) {
		for ; g > 1; g = t.maker[g] {
			all = append(all, g)
		}
		return all
	}
	ours, family := line(of), map[int]bool{}
	for g := range t.maker {
		family[g] = slices.ContainsFunc(line(g), func(g int) bool { return slices.Contains(ours, g) })
	}
	return family
}

// along follows a road: on the goroutine that it begins on, on those that are made there meanwhile, and on others of the family
// from where they do what they do not do every day. To one of these the data is handed for good: those before have it no more,
// not even since they sent it.
func (r *road) along(t *trace, first, end int) course {
	type part struct{ from, to int }
	parts, c := map[int]part{t.events[first].goroutine: {first, end}}, course{taker: map[int]*function{}}
	family := t.family(t.events[first].goroutine)
	for i := first; i < end; i++ {
		e := &t.events[i]
		if _, known := parts[e.goroutine]; known || !family[e.goroutine] {
			continue
		}
		fresh := t.last(i, func(o *event) bool { return o.goroutine == e.goroutine }) < first
		if maker, known := parts[t.maker[e.goroutine]]; known && fresh && maker.from <= i && i < maker.to {
			parts[e.goroutine] = part{i, end}
			continue
		}
		if e.function.Send || t.ordinary(e) {
			continue
		}
		for g, p := range parts {
			sent := t.last(i, func(o *event) bool { return o.goroutine == g && o.function.Send && r.holds(o.function.Takes) })
			if sent < p.from {
				sent = i
			}
			parts[g] = part{p.from, min(p.to, sent)}
		}
		from := t.within(first, i)
		parts[e.goroutine] = part{from, end}
		if c.taker[e.goroutine] = t.events[from].function; from == i && len(e.callers) > 0 {
			c.taker[e.goroutine] = e.callers[0]
		}
	}
	for i := first; i < end; i++ {
		if p, known := parts[t.events[i].goroutine]; known && p.from <= i && i < p.to {
			c.calls = append(c.calls, &t.events[i])
		}
	}
	return c
}

// within is the earliest call since first that is still under way at i on the same goroutine; i where there is none.
func (t *trace) within(first, i int) int {
	e, earliest := &t.events[i], i
	for _, f := range e.callers {
		at := t.last(i, func(o *event) bool { return o.goroutine == e.goroutine && o.function == f })
		if at >= first {
			earliest = min(earliest, at)
		}
	}
	return earliest
}
