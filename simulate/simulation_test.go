package simulate

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
)

func world(t testing.TB, change func(*Config)) *Simulation {
	t.Helper()
	c := DefaultConfig()
	c.Accounts = 300
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// digest hashes all that a record says.
func digest(records iter.Seq[Record], limit int) (sum [32]byte, n int) {
	h := sha256.New()
	for r := range records {
		if n == limit {
			break
		}
		raw, _ := json.Marshal(r)
		h.Write(raw)
		n++
	}
	return [32]byte(h.Sum(nil)), n
}

func TestSameSeedSameRecords(t *testing.T) {
	a, n := digest(world(t, nil).Records(), -1)
	if b, _ := digest(world(t, nil).Records(), -1); a != b {
		t.Error("two runs of one seed differ")
	}
	if b, _ := digest(world(t, func(c *Config) { c.Seed = 2 }).Records(), -1); a == b {
		t.Error("two seeds give the same records")
	}
	if n < 1000 {
		t.Errorf("only %d records", n)
	}
}

func TestRecordsComeInOrderWithinTheTimes(t *testing.T) {
	s := world(t, nil)
	var last time.Time
	for r := range s.Records() {
		if r.KnownAt.Before(last) {
			t.Fatalf("%s at %s comes after %s", r.EventID, r.KnownAt, last)
		}
		last = r.KnownAt
		if r.KnownAt.Before(s.config.From) || !r.KnownAt.Before(s.config.To) {
			t.Fatalf("%s is known at %s", r.EventID, r.KnownAt)
		}
	}
}

// How records travel must not move the world: the truth stays, but for what it says of travel.
func TestTravelLeavesTheWorldAlone(t *testing.T) {
	truth := func(s *Simulation) (lines []string) {
		var b bytes.Buffer
		if err := s.Truth().Write(&b); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			var v map[string]any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			delete(v, "late")
			delete(v, "mistake")
			if v["type"] != "summary" && v["type"] != "record" {
				raw, _ := json.Marshal(v)
				lines = append(lines, string(raw))
			}
		}
		return lines
	}
	calm := world(t, func(c *Config) { c.LateShare, c.DuplicateShare, c.CorrectedShare, c.BrokenShare = 0, 0, 0, 0 })
	if !slices.Equal(truth(world(t, nil)), truth(calm)) {
		t.Error("the world changed with how its records travel")
	}
	for r := range calm.Records() {
		if r.Duplicate || r.Correction || r.Broken != "" {
			t.Fatalf("%+v", r)
		}
	}
}

// Records up to a time are the same however far one looks ahead, and Live goes on with the same world.
func TestLiveGoesOnWhereRecordsStop(t *testing.T) {
	long := world(t, func(c *Config) { c.Accounts = 60 })
	middle := long.config.From.AddDate(1, 3, 0)
	var want []Record
	for r := range long.Records() {
		if !r.KnownAt.Before(middle) {
			want = append(want, r)
		}
	}
	n := 0
	for r := range long.Live(middle) {
		if n == len(want) {
			if r.KnownAt.Before(long.config.To) {
				t.Errorf("one more record before To: %s", r.EventID)
			}
			break
		}
		if w := want[n]; r.EventID != w.EventID || !bytes.Equal(r.Value, w.Value) || !r.KnownAt.Equal(w.KnownAt) || r.Broken != w.Broken {
			t.Fatalf("record %d: %s at %s (%s), want %s at %s (%s)", n, r.EventID, r.KnownAt, r.Broken, w.EventID, w.KnownAt, w.Broken)
		}
		n++
	}
	joined := 0
	for r := range long.Live(long.config.To) {
		if r.KnownAt.After(long.config.To.AddDate(0, 6, 0)) {
			break
		}
		if r.Key >= "acc-00060" {
			joined++
		}
	}
	if joined == 0 {
		t.Error("no new client in six months")
	}
}

func decode(r Record) (err error) {
	if r.Kind == Deal {
		_, err = churn.DecodeDeal(r.Value, time.Time{})
	} else {
		_, err = churn.DecodeTicket(r.Value, time.Time{})
	}
	return err
}

func TestRecordsDecodeOrAreRefusedAsTheySay(t *testing.T) {
	seen := map[Kind]map[churn.Code]int{Deal: {}, Ticket: {}}
	huge := 0
	for r := range world(t, func(c *Config) { c.BrokenShare = 0.05 }).Records() {
		err := decode(r)
		seen[r.Kind][r.Broken]++
		if len(r.Value) > churn.MaxText {
			huge++
		}
		if r.Broken == "" {
			if err != nil {
				t.Fatalf("%s: %v\n%s", r.EventID, err, r.Value)
			}
			continue
		}
		var refused *churn.Rejection
		if !errors.As(err, &refused) || refused.Code != r.Broken {
			t.Fatalf("%s: %v, want %s\n%.300s", r.EventID, err, r.Broken, r.Value)
		}
	}
	for _, code := range append(slices.Clone(dealBreakages), churn.CodeTextTooLong) {
		if seen[Deal][code] == 0 {
			t.Errorf("no deal is refused with %s", code)
		}
	}
	for _, code := range append(slices.Clone(ticketBreakages), churn.CodeTextTooLong) {
		if seen[Ticket][code] == 0 {
			t.Errorf("no ticket is refused with %s", code)
		}
	}
	if huge != 2 {
		t.Errorf("%d records of more than 1 MiB, want 2", huge)
	}
}

// What a fact says must survive encoding and decoding.
func TestDealsSurviveEncoding(t *testing.T) {
	c := world(t, nil).config
	for i := range 50 {
		l := c.live(i, c.To)
		for n := range l.deals {
			want := c.dealFact(&l, &l.deals[n])
			want.EventID = eventID(&l, l.deals[n].n, shipment{})
			got, err := churn.DecodeDeal(encodeDeal(want), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			want.SchemaVersion = churn.SchemaVersion
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(want)
			if !bytes.Equal(a, b) {
				t.Fatalf("got  %s\nwant %s", a, b)
			}
		}
	}
}

// within reports whether a count fits a binomial share, to 4.5 standard deviations.
func within(t *testing.T, what string, count, of int, share float64) {
	t.Helper()
	want, sd := share*float64(of), math.Sqrt(float64(of)*share*(1-share))
	if math.Abs(float64(count)-want) > 4.5*sd+1 {
		t.Errorf("%s: %d of %d, want about %.0f +- %.0f", what, count, of, want, sd)
	}
}

func TestSharesOfTravel(t *testing.T) {
	s := world(t, func(c *Config) { c.Accounts = 1000 })
	c := s.config
	var facts, late, mistaken, repeats, brokenOnes, named, foreign, plain int
	for i := range c.Accounts {
		l := c.live(i, c.To)
		for _, d := range l.deals {
			j := c.travel(Deal, i, d.n)
			facts, late, mistaken, repeats, brokenOnes = facts+1, late+one(j.late), mistaken+one(j.mistake != noMistake), repeats+one(j.repeat), brokenOnes+one(j.broken)
		}
		for _, x := range l.tickets {
			j := c.travel(Ticket, i, x.n)
			facts, late, mistaken, repeats, brokenOnes = facts+1, late+one(j.late), mistaken+one(j.mistake != noMistake), repeats+one(j.repeat), brokenOnes+one(j.broken)
			plain, named, foreign = plain+1, named+one(x.contract >= 0), foreign+one(x.contract == foreignContract)
		}
	}
	within(t, "late", late, facts, c.LateShare)
	within(t, "corrected", mistaken, facts, c.CorrectedShare)
	within(t, "duplicates", repeats, facts, c.DuplicateShare)
	within(t, "broken", brokenOnes, facts, c.BrokenShare)
	within(t, "tickets that name their contract", named, plain, c.NamedShare)
	within(t, "tickets that name another's", foreign, plain, c.ForeignShare)

	got := Summary{Broken: map[churn.Code]int{}}
	firsts := map[string][]byte{}
	same, altered := 0, 0
	for r := range s.Records() {
		got.Records++
		got.Corrections += one(r.Correction)
		if r.Broken != "" {
			got.Broken[r.Broken]++
		}
		if r.Duplicate {
			got.Duplicates++
			if before, ok := firsts[r.EventID]; !ok {
				t.Fatalf("%s is a duplicate of nothing", r.EventID)
			} else if bytes.Equal(before, r.Value) {
				same++
			} else {
				altered++
			}
		}
		firsts[r.EventID] = r.Value
	}
	if same == 0 || altered == 0 {
		t.Errorf("%d duplicates are the same bytes, %d are not: want both", same, altered)
	}
	var b bytes.Buffer
	if err := s.Truth().Write(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	var sum Summary
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &sum); err != nil {
		t.Fatal(err)
	}
	if sum.Type != "summary" || sum.Records != got.Records || sum.Duplicates != got.Duplicates || sum.Corrections != got.Corrections || len(sum.Broken) != len(got.Broken) {
		t.Errorf("the summary says %+v, counted %+v", sum, got)
	}
	t.Logf("%+v", sum)
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestValidateNamesEveryFault(t *testing.T) {
	c := DefaultConfig()
	c.Accounts, c.To, c.HazardRatio, c.ChurnRate, c.HardShare, c.LateShare = 0, c.From, 0, -1, 0.9, math.NaN()
	_, err := New(c)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"accounts is 0", "is less than a day", "hazard_ratio is 0", "churn_rate is -1", "hard_share + firm_share is 1.2", "late_share is NaN"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
}
