package simulate

import (
	"embed"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/aftershock/aftershock/churn/attempts"
)

//go:embed texts/*.txt
var textFiles embed.FS

// topic is what a ticket was written for: first the classes of attempts, then what is none.
type topic uint8

const (
	firstPlain = topic(10)
	noTopic    = topic(255)
)

// topics name the files in texts/. The classes come first, in the order of attemptWeights.
var topics = []string{
	attempts.ClassPriceReduction, attempts.ClassTermsChange, attempts.ClassEarlyTermination, attempts.ClassDowngrade, attempts.ClassSLACredit,
	attempts.ClassInvoiceDispute, attempts.ClassScopeDemand, attempts.ClassCompetitorBenchmark, attempts.ClassContractQuestion, attempts.ClassReferenceRefused,
	"support", "feature", "praise", "angry", "quoted", "lookalike", "outage", "our_error",
}

var (
	attemptWeights = []float64{18, 12, 10, 10, 8, 12, 12, 10, 12, 6}
	plainWeights   = []float64{38, 16, 8, 14, 6, 12, 3, 3}
)

const (
	topicSupport = firstPlain + iota
	topicFeature
	topicPraise
	topicAngry
	topicQuoted
	topicLookalike
	topicOutage
	topicOurError
)

// attempt reports whether a ticket about the topic is a renegotiation attempt. Outages and errors of the vendor explain the
// demands made because of them.
func (t topic) attempt() bool { return t < firstPlain }

func (t topic) String() string { return topics[t] }

// section holds the templates under one "## name" of a file.
type section map[string][]string

// bank is all texts: by file, then by section.
type bank map[string]section

var texts = sync.OnceValue(func() bank {
	b, err := loadBank()
	if err != nil {
		panic("simulate: embedded texts: " + err.Error())
	}
	return b
})

func loadBank() (bank, error) {
	b := bank{}
	names := append([]string{"shared", "table", "slots"}, topics...)
	for _, name := range names {
		raw, err := textFiles.ReadFile("texts/" + name + ".txt")
		if err != nil {
			return nil, err
		}
		s, heading := section{}, ""
		for line := range strings.Lines(string(raw)) {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "## "):
				heading = line[3:]
			case line == "" || strings.HasPrefix(line, "# "):
			case heading == "":
				return nil, fmt.Errorf("%s.txt: %q stands before the first section", name, line)
			default:
				s[heading] = append(s[heading], line)
			}
		}
		b[name] = s
	}
	for _, name := range topics {
		for _, needed := range []string{"subject", "ask", "detail"} {
			if len(b[name][needed]) < 3 {
				return nil, fmt.Errorf("%s.txt has %d lines of %s, want 3 or more", name, len(b[name][needed]), needed)
			}
		}
	}
	return b, nil
}

// writer fills in templates for one ticket or deal. What it once chose for a slot it mostly keeps, as people do.
type writer struct {
	bank
	r       *rand.Rand
	account *account
	at      time.Time
	annual  int64  // cents a year, for amounts that are plausible
	author  string // who writes for the client
	person  string // a colleague of theirs
	agent   string
	module  string
	used    []string // templates, so that none comes twice
}

func newWriter(r *rand.Rand, a *account, at time.Time, annual int64) *writer {
	b := texts()
	return &writer{bank: b, r: r, account: a, at: at, annual: annual, author: person(r), person: person(r), agent: pick(r, b["slots"]["agent"]), module: pick(r, b["slots"]["module"])}
}

// line fills in a template of a section that was not used yet.
func (w *writer) line(file, heading string) string {
	all := w.bank[file][heading]
	template := pick(w.r, all)
	for range len(all) {
		if !contains(w.used, template) {
			break
		}
		template = pick(w.r, all)
	}
	w.used = append(w.used, template)
	return w.fill(template)
}

func contains(all []string, s string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

// lines fills in n templates as sentences of one paragraph.
func (w *writer) lines(file, heading string, n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = w.line(file, heading)
	}
	return strings.Join(parts, " ")
}

// fill replaces {slots} and chooses among [a|b].
func (w *writer) fill(template string) string {
	var b strings.Builder
	for template != "" {
		i := strings.IndexAny(template, "{[")
		if i < 0 {
			break
		}
		b.WriteString(template[:i])
		closing := "}"
		if template[i] == '[' {
			closing = "]"
		}
		end := strings.Index(template[i:], closing)
		if end < 0 {
			break
		}
		inside := template[i+1 : i+end]
		if closing == "]" {
			b.WriteString(w.fill(pick(w.r, strings.Split(inside, "|"))))
		} else {
			b.WriteString(w.slot(inside))
		}
		template = template[i+end+1:]
	}
	b.WriteString(template)
	return b.String()
}

func (w *writer) slot(name string) string {
	r := w.r
	switch name {
	case "amount":
		return w.amount()
	case "percent":
		return fmt.Sprintf("%d%%", 4+r.IntN(22))
	case "date":
		return w.at.AddDate(0, 0, r.IntN(70)-45).Format("2 January")
	case "month":
		return w.at.AddDate(0, 0, -20-r.IntN(60)).Format("January")
	case "months":
		return fmt.Sprint(4 + r.IntN(20))
	case "days":
		return fmt.Sprint(2 + r.IntN(7))
	case "netdays":
		return fmt.Sprint(pick(r, []int{45, 60, 75, 90}))
	case "number":
		return fmt.Sprint(11 + r.IntN(480))
	case "seconds":
		return fmt.Sprint(15 + 5*r.IntN(14))
	case "seats":
		return fmt.Sprint(80 + 5*r.IntN(60))
	case "fewer":
		return fmt.Sprint(8 + r.IntN(60))
	case "clause":
		return fmt.Sprintf("%d.%d", 2+r.IntN(14), 1+r.IntN(6))
	case "invoice":
		return fmt.Sprintf("%d-%05d", w.at.Year(), r.IntN(100_000))
	case "person":
		if happens(r, 0.3) {
			w.person = person(r)
		}
		return w.person
	case "first":
		first, _, _ := strings.Cut(w.author, " ")
		return first
	case "agent":
		return w.agent
	case "module":
		return w.module
	case "company":
		return w.account.name()
	case "executive":
		return w.account.executive()
	case "accountmanager":
		return w.account.accountManager()
	}
	if words := w.bank["slots"][name]; len(words) > 0 {
		return pick(r, words)
	}
	panic("simulate: texts use the slot {" + name + "}, which nothing fills")
}

func (w *writer) amount() string {
	n := int(float64(w.annual)/100*between(w.r, 0.02, 1)) / 10 * 10
	digits := fmt.Sprint(max(n, 50))
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return w.account.currency + " " + digits
}

// subject is about the topic, or says as little as many subjects do.
func (w *writer) subject(t topic) string {
	if happens(w.r, 0.35) {
		return w.line("shared", "subject")
	}
	return w.line(t.String(), "subject")
}

// letter writes the body of a ticket about a topic, and a second class where there is one.
func (w *writer) letter(t, second topic) string {
	name := t.String()
	var paragraphs []string
	add := func(p string) { paragraphs = append(paragraphs, p) }
	add(w.line("shared", "greeting"))
	if happens(w.r, 0.8) {
		add(w.lines("shared", "context", 1+w.r.IntN(3)))
	}
	if t == topicQuoted {
		add(w.line(name, "intro") + "\n" + w.line(name, "quote"))
	}
	add(w.lines(name, "ask", 1) + " " + w.lines(name, "detail", 1+w.r.IntN(3)))
	if second != noTopic {
		add(w.lines(second.String(), "ask", 1) + " " + w.lines(second.String(), "detail", 1))
	}
	if happens(w.r, 0.5) {
		add(w.lines("shared", "context", 1))
	}
	add(w.lines("shared", "closing", 1+w.r.IntN(2)))
	add(w.line("shared", "signoff") + "\n" + w.author + "\n" + w.account.name())
	return strings.Join(paragraphs, "\n\n")
}
