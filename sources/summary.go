package sources

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// Summary is what became of an export. Rows = RowsSent + RowsRefused + RowsPassedOver.
type Summary struct {
	File           string `json:"file"`
	Rows           int    `json:"rows"`
	RowsSent       int    `json:"rows_sent"`
	RowsRefused    int    `json:"rows_refused"`
	RowsPassedOver int    `json:"rows_passed_over"` // the mapping made nothing of them, without giving a reason
	Events         int    `json:"events"`
	// Repeated counts events that were made before in this run, byte for byte: harmless. Conflicting counts those that
	// speak of the same deal or ticket at the same revision and differ: which one becomes the present is then decided
	// by the order of events alone. Both look back over the first million ids.
	Repeated    int `json:"repeated"`
	Conflicting int `json:"conflicting"`

	Refused         []Refusal `json:"refused"` // the most frequent first
	FirstPassedOver []int     `json:"first_passed_over,omitempty"`
	FirstConflicts  []int     `json:"first_conflicts,omitempty"`
}

// Refusal counts the rows that were refused for one reason.
type Refusal struct {
	Code   string `json:"code"`
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"` // of the first such row
	Rows   int    `json:"rows"`
	Lines  []int  `json:"lines"` // the first few
	group  string
}

const (
	firstLines  = 5
	maxReasons  = 200     // distinct refusals that are told apart
	maxIdentity = 1 << 20 // deals or tickets that are remembered to notice repeats
)

// tally keeps a Summary while an import runs.
type tally struct {
	*Summary
	seen map[uint64]uint64 // what an event speaks of -> its bytes, both hashed
	seed maphash.Seed
}

func (t *tally) refuse(line int, why *refusal) {
	t.RowsRefused++
	group := why.group
	i := slices.IndexFunc(t.Refused, func(r Refusal) bool { return r.group == group })
	if i < 0 && len(t.Refused) >= maxReasons {
		group = "other"
		i = slices.IndexFunc(t.Refused, func(r Refusal) bool { return r.group == group })
		why = &refusal{code: why.code, reason: fmt.Sprintf("other reasons, beyond the first %d", maxReasons)}
	}
	if i < 0 {
		i = len(t.Refused)
		t.Refused = append(t.Refused, Refusal{Code: why.code, Field: why.field, Reason: why.reason, group: group})
	}
	t.Refused[i].Rows++
	t.Refused[i].Lines = first(t.Refused[i].Lines, line)
	for ; i > 0 && t.Refused[i].Rows > t.Refused[i-1].Rows; i-- {
		t.Refused[i], t.Refused[i-1] = t.Refused[i-1], t.Refused[i]
	}
}

func (t *tally) pass(line int) {
	t.RowsPassedOver++
	t.FirstPassedOver = first(t.FirstPassedOver, line)
}

func (t *tally) remember(line int, e event) {
	id, content := maphash.String(t.seed, e.identity), maphash.Bytes(t.seed, e.Value)
	before, seen := t.seen[id]
	switch {
	case seen && before == content:
		t.Repeated++
	case seen:
		t.Conflicting++
		t.FirstConflicts = first(t.FirstConflicts, line)
	case len(t.seen) < maxIdentity:
		t.seen[id] = content
	}
}

func first(lines []int, line int) []int {
	if len(lines) < firstLines {
		return append(lines, line)
	}
	return lines
}

// String is the summary for a person.
func (s Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s read, %d sent as %s, %d refused", s.File, plural(s.Rows, "row"), s.RowsSent, plural(s.Events, "event"), s.RowsRefused)
	if s.RowsPassedOver > 0 {
		fmt.Fprintf(&b, ", %d passed over by the mapping (%s)", s.RowsPassedOver, lines(s.FirstPassedOver, s.RowsPassedOver))
	}
	b.WriteString("\n")
	if s.Repeated > 0 {
		fmt.Fprintf(&b, "  %s repeated byte for byte; repeats change nothing\n", plural(s.Repeated, "event"))
	}
	if s.Conflicting > 0 {
		fmt.Fprintf(&b, "  %s about a deal or ticket that another row told differently (%s): set revision or occurred_at in the mapping to say which is later\n",
			plural(s.Conflicting, "event"), lines(s.FirstConflicts, s.Conflicting))
	}
	for _, r := range s.Refused {
		reason := r.Reason
		if r.Field != "" {
			reason = r.Field + ": " + reason
		}
		fmt.Fprintf(&b, "  refused %6d  %-18s  %s (%s)\n", r.Rows, r.Code, reason, lines(r.Lines, r.Rows))
	}
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func lines(some []int, all int) string {
	word := "line"
	if len(some) > 1 {
		word = "lines"
	}
	text := make([]string, len(some))
	for i, n := range some {
		text[i] = fmt.Sprint(n)
	}
	out := word + " " + strings.Join(text, ", ")
	if all > len(some) {
		out += ", ..."
	}
	return out
}
