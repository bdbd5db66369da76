package attempts

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/aftershock/aftershock/churn"
)

// plainTicket is a support request of about 1.2 KB without any renegotiation.
const plainTicket = `Hello team,

since this morning the nightly export of our orders stops after about twenty minutes. We see the job start in the
activity log, and then nothing happens until somebody restarts it by hand. The last complete file is from Sunday and
holds 48,112 rows, so it is not simply too large. We have tried it with two accounts, in Chrome and in Firefox, and
from the office as well as from home; it made no difference at all.

What we did so far:
- restarted the connector twice, which did not change anything
- removed the filter on the date column and set it again
- looked at the documentation of the scheduler, where we found no limit that would explain this

My colleague Priya mentioned that the region of the storage bucket was changed last week. Could that be the reason?
If so, please tell us which address the connector has to use now. We would also like to know whether the rows that
were skipped will be exported with the next run or whether we need to start a run for each of those days ourselves.

The warehouse people wait for the file every morning at six, so a quick answer would help us a lot. Feel free to call
me on the usual number. Thank you very much for your help, the last time it was solved within an hour, great work.

Kind regards,
Jonas`

func TestClassifyCostIsLinear(t *testing.T) {
	texts := map[string]string{
		"plain":        plainTicket + "\n\n",
		"matches":      "We want a discount and a lower price. We will not renew the contract. ",
		"one sentence": "we want to not lower our contract price rate cancel seats invoice ",
		"anchors":      "discount rebate afford justify clause amendment auto renewal liability plug tender rfp ",
		"tags":         "<a<b<",
		"closed tags":  "<p></p>",
		"quotes":       "you wrote \"",
		"attributions": "you wrote: \"x\" ",
		"on lines":     "On Monday\n",
		"from lines":   "From: x\n",
		"dashes":       "-----\n",
		"marks":        ">\n",
		"blank":        " \n",
		"entities":     "&#39;&",
		"invisible":    "a\u200b",
		"invalid":      "a\xff",
		"one word":     "discount",
	}
	var file modelFile
	if err := json.Unmarshal(classifyV1, &file); err != nil {
		t.Fatal(err)
	}
	var all []string // wakes every pattern, in an order that satisfies few
	for _, group := range slices.Backward(slices.Sorted(maps.Keys(file.Words))) {
		all = append(all, file.Words[group]...)
	}
	for _, p := range slices.Backward(file.Phrases) {
		for _, text := range p.Patterns {
			words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
			slices.Reverse(words)
			all = append(all, words...)
		}
	}
	texts["every word"] = strings.Join(all, " ") + " "
	c := Default()
	steps := func(text string) int {
		var s reading
		c.classify(&churn.SupportTicket{Body: text, OpenedAt: opened}, &s)
		return s.steps
	}
	for name, unit := range texts {
		small, large := strings.Repeat(unit, 1+4_000/len(unit)), strings.Repeat(unit, 10*(1+4_000/len(unit)))
		a, b := steps(small), steps(large)
		t.Logf("%-12s %6.2f steps a byte", name, float64(b)/float64(len(large)))
		if b > 11*a+1000 {
			t.Errorf("%s: %d steps for %d bytes, %d for ten times as many", name, a, len(small), b)
		}
		if b > 400*len(large) {
			t.Errorf("%s: %d steps for %d bytes", name, b, len(large))
		}
	}
}

func TestClassifyPlainTicketAllocatesNothing(t *testing.T) {
	ticket := &churn.SupportTicket{Subject: "Nightly export stops", Body: plainTicket, OpenedAt: opened, Tags: []string{"export", "bug"}, Category: "Technical"}
	if c := Default().Classify(ticket); len(c.Findings) > 0 {
		t.Fatalf("a plain ticket was classified: %v", c.Findings)
	}
	if n := testing.AllocsPerRun(100, func() { Default().Classify(ticket) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkClassify(b *testing.B) {
	for _, bb := range []struct{ name, body string }{
		{"plain", plainTicket},
		{"attempt", plainTicket + "\n\nPS: at this price we cannot justify the renewal. We would like a discount, or fewer seats."},
		{"hostile", strings.Repeat("discount rebate afford justify clause amendment auto renewal liability plug tender rfp ", 14)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			ticket := &churn.SupportTicket{Subject: "Nightly export stops", Body: bb.body, OpenedAt: opened}
			c := Default()
			b.SetBytes(int64(len(bb.body)))
			b.ReportAllocs()
			for b.Loop() {
				c.Classify(ticket)
			}
		})
	}
}
