package main

import (
	"slices"
	"strings"
)

// Rule is how it is counted, in a sentence.
const Rule = "A hop is the first entry from another file into a function that the data goes along into, or the first call of a function " +
	"on another goroutine that takes the data over; who only asks something of the data, or reads or sets a part of it, is no hop."

// Hop is one of them.
type Hop struct {
	File     string `json:"file"`
	Function string `json:"function"`
	From     string `json:"from,omitempty"` // who entered
	HandOver bool   `json:"hand_over,omitempty"`
	Back     bool   `json:"called_back,omitempty"` // through a literal
	Upward   bool   `json:"upward,omitempty"`
}

// Call is a call between floors, whether it takes data along or not.
type Call struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Count is what a road comes to.
type Count struct {
	Road string `json:"road"`
	Hops []Hop  `json:"hops"`
	// Upward are calls into a higher floor, but Back those into a literal of a function that waits for them. Sideways are those
	// from part to part, which an interface of the caller's allows.
	Upward   []Call `json:"upward"`
	Back     []Call `json:"back"`
	Sideways []Call `json:"sideways"`
}

// holds reports whether one of the types holds the data.
func (r *road) holds(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(r.carriers, name) })
}

// carries reports whether the data goes along into a function. Lent are functions that were given a literal that carries, and
// called it: what the types of their own parameters do not say, their calls do.
func (r *road) carries(f *function, lent map[string]bool) bool {
	has := r.holds
	switch {
	case f.Send:
		return false
	case f.Literal && has(f.Gives):
		return true
	case lent[f.String()]:
		return true
	case has(f.Takes): // where it gives no data and cannot fail, something is only asked
		return has(f.Gives) || len(f.Gives) == 0 || slices.Contains(f.Gives, "error")
	case has(f.Owner): // where it takes only scalars and gives none but itself, a part is read or set
		return slices.Contains(f.Takes, "func") || slices.ContainsFunc(f.Gives, func(name string) bool {
			return name != f.Owner[0] && has([]string{name})
		})
	}
	return has(f.Gives)
}

// count counts each function once.
func (r *road) count(c course) Count {
	n := Count{Road: r.name, Hops: []Hop{}, Upward: []Call{}, Back: []Call{}, Sideways: []Call{}}
	lent := map[string]bool{}
	for _, e := range c.calls {
		if e.entersFile() && e.function.Literal && r.carries(e.function, nil) {
			lent[e.callers[0].String()] = true
		}
	}
	counted, reached := map[string]bool{}, map[int]bool{c.calls[0].goroutine: true}
	add := func(f *function, h Hop) {
		if !counted[f.String()] {
			counted[f.String()] = true
			h.File, h.Function = f.File, f.Name
			n.Hops = append(n.Hops, h)
		}
	}
	for i, e := range c.calls {
		upward := n.cross(e)
		if i > 0 && e != c.end && !r.carries(e.function, lent) {
			continue
		}
		if !reached[e.goroutine] {
			reached[e.goroutine] = true
			taker := c.taker[e.goroutine]
			if taker == nil { // the goroutine was made for it, and began with the outermost
				taker = append([]*function{e.function}, e.callers...)[len(e.callers)]
			}
			add(taker, Hop{HandOver: true})
		}
		if e.entersFile() {
			add(e.function, Hop{From: e.callers[0].String(), Back: e.function.Literal, Upward: upward})
		}
	}
	return n
}

// cross notes a call between floors, and reports whether it goes upward.
func (n *Count) cross(e *event) (upward bool) {
	if !e.entersFile() {
		return false
	}
	from, to := e.callers[0], e.function
	note := func(list *[]Call) {
		if call := (Call{from.String(), to.String()}); !slices.Contains(*list, call) {
			*list = append(*list, call)
		}
	}
	switch a, b := floorOf(from.File), floorOf(to.File); {
	case b > a && to.Literal && slices.ContainsFunc(e.callers, func(f *function) bool { return f.String() == to.String() }):
		note(&n.Back)
	case b > a:
		note(&n.Upward)
		return true
	case a == partsFloor && a == b && folder(from.File) != folder(to.File):
		note(&n.Sideways)
	}
	return false
}

// floors of the house by folder; a folder that is not named is a part.
var floors = map[string]int{"cmd": 4, "demo": 4, "pipeline": 3, "broker": 1, "config": 1, "dial": 1, "churn": 0, "text": 0}

const partsFloor = 2

func floorOf(file string) int {
	if floor, named := floors[folder(file)]; named {
		return floor
	}
	return partsFloor
}

func folder(file string) string {
	first, _, _ := strings.Cut(file, "/")
	return first
}
