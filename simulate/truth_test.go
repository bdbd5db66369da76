package simulate

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/attempts"
	"github.com/aftershock/aftershock/churn/hardness"
)

// exposure is what maximum likelihood needs for a constant hazard: events, and the time (or expected count at rate 1) at risk.
type exposure struct {
	events int
	risk   float64
}

// ratio is the maximum likelihood estimate of the ratio of two constant hazards, with an interval of 3.3 standard errors.
func ratio(over, under exposure) (low, estimate, high float64) {
	estimate = float64(over.events) / over.risk / (float64(under.events) / under.risk)
	width := 3.3 * math.Sqrt(1/float64(over.events)+1/float64(under.events))
	return estimate * math.Exp(-width), estimate, estimate * math.Exp(width)
}

func TestHazardRatioIsRecovered(t *testing.T) {
	for _, configured := range []float64{1, 1.5, 2.5} {
		s := world(t, func(c *Config) { c.Accounts, c.HazardRatio, c.Seed = 4000, configured, 7 })
		c := s.config
		var losses, attempts [3]exposure
		for i := range c.Accounts {
			l := c.live(i, c.To)
			counts := map[int]int{}
			for _, x := range l.tickets {
				if x.about >= 0 {
					counts[x.about]++
				}
			}
			for n, d := range l.deals {
				if !d.base() {
					continue
				}
				days := churn.Earlier(d.overAt, c.To).Sub(d.closedAt).Hours() / 24
				losses[d.group].risk += days
				losses[d.group].events += one(!d.lostAt.IsZero())
				attempts[d.group].risk += attemptsBy(days)
				attempts[d.group].events += counts[n]
			}
		}
		for what, e := range map[string][3]exposure{"losses": losses, "attempts": attempts} {
			for g, want := range map[group]float64{hard: configured, firm: math.Sqrt(configured)} {
				low, estimate, high := ratio(e[g], e[soft])
				t.Logf("configured %.2f, %s over soft, %s: %.2f [%.2f, %.2f] of %d and %d events", configured, g, what, estimate, low, high, e[g].events, e[soft].events)
				if want < low || want > high {
					t.Errorf("configured %.2f, %s over soft, %s: [%.2f, %.2f] does not hold %.2f", configured, g, what, low, high, want)
				}
			}
		}
	}
}

func TestWhenExpectedInvertsAttemptsBy(t *testing.T) {
	for after := 0.5; after < 1200; after *= 1.3 {
		if got := whenExpected(attemptsBy(after)); math.Abs(got-after) > 1e-6*after {
			t.Errorf("%v comes back as %v", after, got)
		}
	}
}

// The score must find most of what was put in, or the world would not look like its truth.
func TestScoresFollowTheTruth(t *testing.T) {
	c := world(t, func(c *Config) { c.Accounts = 1000 }).config
	model := hardness.Default()
	table := map[string]map[churn.Band]int{}
	scored := map[churn.Band]int{}
	for i := range c.Accounts {
		l := c.live(i, c.To)
		for n := range l.deals {
			d := &l.deals[n]
			if !d.base() {
				continue
			}
			f := c.dealFact(&l, d)
			band := model.Score(&f).Band
			if table[d.group.String()] == nil {
				table[d.group.String()] = map[churn.Band]int{}
			}
			table[d.group.String()][band]++
			scored[band]++
		}
	}
	t.Logf("%v", table)
	if scored[churn.BandUnknown] == 0 {
		t.Error("no deal is of band unknown")
	}
	hardRight := float64(table["hard"][churn.BandHard]) / float64(table["hard"][churn.BandHard]+table["hard"][churn.BandFirm]+table["hard"][churn.BandSoft])
	softRight := float64(table["soft"][churn.BandSoft]) / float64(table["soft"][churn.BandHard]+table["soft"][churn.BandFirm]+table["soft"][churn.BandSoft])
	if hardRight < 0.6 || softRight < 0.6 {
		t.Errorf("of deals with a band, %.0f%% of the hard and %.0f%% of the soft ones have theirs", 100*hardRight, 100*softRight)
	}
}

func TestTextsAreManyAndOfEveryClass(t *testing.T) {
	s := world(t, func(c *Config) { c.Accounts = 1000 })
	c := s.config
	templates := map[string]bool{}
	for _, file := range texts() {
		for heading, lines := range file {
			for _, line := range lines {
				if strings.Contains(line, " ") && heading != "subject" {
					templates[line] = true
				}
			}
		}
	}
	var size, tickets, flagged, found, tried int
	seen := map[topic]int{}
	sentences := map[string]bool{}
	wrong := map[string]int{}
	for i := range c.Accounts {
		l := c.live(i, c.To)
		for n := range l.tickets {
			x := &l.tickets[n]
			f := c.ticketFact(&l, x, x.topic)
			f.EventID = eventID(&l, x.n, shipment{ticket: true})
			if strings.ContainsAny(f.Subject+f.Body, "{}[]") {
				t.Fatalf("a slot is not filled in: %s\n%s", f.Subject, f.Body)
			}
			size += len(encodeTicket(f))
			tickets++
			seen[x.topic]++
			for _, p := range strings.FieldsFunc(f.Body, func(r rune) bool { return strings.ContainsRune(".?!\n", r) }) {
				sentences[strings.TrimSpace(p)] = true
			}
			got := attempts.Default().Classify(&f)
			if x.topic.attempt() {
				tried++
				if slices.ContainsFunc(got.Findings, func(f churn.Finding) bool { return f.Class == x.topic.String() }) {
					found++
				} else {
					wrong["missed "+x.topic.String()]++
				}
			} else if len(got.Findings) > 0 {
				flagged++
				wrong["flagged "+x.topic.String()]++
			}
		}
	}
	for k := range topics {
		if seen[topic(k)] == 0 {
			t.Errorf("no ticket about %s", topics[k])
		}
		if n := len(texts()[topics[k]]["ask"]); topic(k).attempt() && n < 15 {
			t.Errorf("%s has only %d ways to ask", topics[k], n)
		}
	}
	t.Logf("%d tickets, %d bytes on average; %d sentence templates, %d different sentences", tickets, size/tickets, len(templates), len(sentences))
	t.Logf("the default classifier finds the class of %d of %d attempts and flags %d of %d others: %v", found, tried, flagged, tickets-tried, wrong)
	if mean := size / tickets; mean < 600 || mean > 1200 {
		t.Errorf("tickets have %d bytes on average", mean)
	}
	if len(templates) < 400 || len(sentences) < 5000 {
		t.Errorf("%d templates and %d sentences", len(templates), len(sentences))
	}
}

func TestEverySlotIsFilled(t *testing.T) {
	c := DefaultConfig()
	a := c.account(3)
	w := newWriter(stream(1, streamText), &a, c.From, 1_000_000)
	for name, file := range texts() {
		for _, lines := range file {
			for _, line := range lines {
				if got := w.fill(line); strings.ContainsAny(got, "{}[]|") || got == "" {
					t.Errorf("%s.txt: %q becomes %q", name, line, got)
				}
			}
		}
	}
}

func TestCompanyNamesDiffer(t *testing.T) {
	c := DefaultConfig()
	names := map[string]bool{}
	for i := range 4000 {
		a := c.account(i)
		if names[a.name()] {
			t.Fatalf("two clients are %s", a.name())
		}
		names[a.name()] = true
	}
}

func BenchmarkRecords(b *testing.B) {
	s := world(b, func(c *Config) { c.Accounts = 2000 })
	for b.Loop() {
		n, size := 0, 0
		start := time.Now()
		for r := range s.Records() {
			n, size = n+1, size+len(r.Value)
		}
		b.ReportMetric(float64(n), "records")
		b.ReportMetric(float64(n)/time.Since(start).Seconds(), "records/s")
		b.ReportMetric(float64(size)/float64(n), "bytes/record")
	}
}

func BenchmarkTruth(b *testing.B) {
	s := world(b, func(c *Config) { c.Accounts = 2000 })
	for b.Loop() {
		var out bytes.Buffer
		if err := s.Truth().Write(&out); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTermsOfTheTruth: what is read back is what the summary counts.
func TestTermsOfTheTruth(t *testing.T) {
	s := world(t, func(c *Config) { c.Accounts, c.ChurnRate = 300, 0.3 })
	var b bytes.Buffer
	if err := s.WriteTruth(&b); err != nil {
		t.Fatal(err)
	}
	terms, err := ReadTerms(&b)
	if err != nil {
		t.Fatal(err)
	}
	sum, bases, fates, downgraded := s.Truth().Summary(), 0, map[churn.Fate]int{}, 0
	for _, n := range sum.Groups {
		bases += n
	}
	for _, x := range terms {
		fates[x.Fate]++
		downgraded += one(!x.DowngradedAt.IsZero())
		if bad := x.EndedBadly(); !bad.IsZero() && (bad.Before(x.ClosedAt) || !x.OverAt.IsZero() && bad.After(x.OverAt)) {
			t.Errorf("%s went wrong outside of its term: %+v", x.DealID, x)
		}
	}
	if len(terms) != bases || fates[churn.Churned] != sum.Lost || fates[churn.Renewed] == 0 || fates[churn.Open] == 0 || downgraded < 10 {
		t.Errorf("%d terms, %v, %d downgraded; the summary says %d, %d lost", len(terms), fates, downgraded, bases, sum.Lost)
	}
	for _, text := range []string{"", `{"type":"ticket"}`, `{"type":"deal","outcome":"won","deal_type":"new"}`, "{", `{"type":"deal","closed_at":5}`} {
		if _, err := ReadTerms(strings.NewReader(text)); err == nil {
			t.Errorf("%q is taken for a truth", text)
		}
	}
}
