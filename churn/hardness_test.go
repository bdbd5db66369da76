package churn

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func lines(contributions []Contribution) string {
	var b strings.Builder
	for _, c := range contributions {
		proxy := ""
		if c.Proxy {
			proxy = ", proxy"
		}
		fmt.Fprintf(&b, "%+.1f %s (%.4g%s): %s\n", c.Points, c.Component, c.Value, proxy, c.Evidence)
	}
	return b.String()
}

// Each testdata/hardness/NAME.deal.json must be explained as NAME.golden.txt says.
func TestScoreExplains(t *testing.T) {
	files, err := filepath.Glob("testdata/hardness/*.deal.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d deals: %v", len(files), err)
	}
	for _, file := range files {
		deal, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := DecodeDeal(deal, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		h := DefaultHardnessModel().Score(&d)
		got := fmt.Sprintf("%s %.1f, coverage %.3f, discount %.4f, %s\n%smissing: %s\n", h.Band, h.Score, h.Coverage, *h.DiscountDepth, h.ModelVersion,
			lines(h.Contributions), strings.Join(h.Missing, ", "))
		golden := strings.TrimSuffix(file, ".deal.json") + ".golden.txt"
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n%s\nwant:\n%s", file, got, want)
		}
	}
}

func at(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func ptr[T any](v T) *T { return &v }

func concede(values ...string) *[]Concession {
	all := []Concession{}
	for i, v := range values {
		c := Concession{Term: fmt.Sprint("term ", i)}
		if v != "" {
			c.Value = MustMoney(v)
		}
		all = append(all, c)
	}
	return &all
}

// Each case is a deal of which one thing is known, with its points under the default model, and what it covers.
func TestScoreOfOneComponent(t *testing.T) {
	m := DefaultHardnessModel()
	price := func(signed, expected, list string) DealClosed {
		d := DealClosed{SignedPrice: MustMoney(signed), Currency: "EUR"}
		if expected != "" {
			d.Anticipated = MustMoney(expected)
		}
		if list != "" {
			d.ListPrice = MustMoney(list)
		}
		return d
	}
	table := func(n Negotiation) DealClosed { return DealClosed{Negotiation: &n} }
	took := func(days int, segment string) DealClosed {
		closed := at("2025-05-10")
		return DealClosed{Segment: segment, ClosedAt: closed, Negotiation: &Negotiation{OpenedAt: closed.AddDate(0, 0, -days)}}
	}
	messages := func(texts ...string) DealClosed {
		var all []Message
		for _, text := range texts {
			all = append(all, Message{Text: text})
		}
		return table(Negotiation{Messages: all})
	}
	for _, c := range []struct {
		name      string
		deal      DealClosed
		component string
		points    float64
		covers    float64 // of the component's weight
		proxy     bool
	}{
		{"below what was expected", price("90", "100", ""), "price_premium", 0, 1, false},
		{"as expected", price("100", "100", ""), "price_premium", 0, 1, false},
		{"5% above", price("105", "100", ""), "price_premium", 0, 1, false},
		{"6% above", price("106", "100", ""), "price_premium", 1.7, 1, false},
		{"20% above", price("120", "100", ""), "price_premium", 26, 1, false},
		{"far above", price("900", "100", ""), "price_premium", 26, 1, false},
		{"above the list only", price("110", "", "100"), "price_premium", 8.7, 0.5, true},
		{"below the list only", price("90", "", "100"), "price_premium", 0, 0.5, true},
		{"expected nothing", price("90", "0", ""), "price_premium", 0, 0, false},
		{"only the client gave", table(Negotiation{ClientConcessions: concede("100"), VendorConcessions: concede()}), "concession_asymmetry", 18, 1, false},
		{"mostly the client gave", table(Negotiation{ClientConcessions: concede("300"), VendorConcessions: concede("100")}), "concession_asymmetry", 9, 1, false},
		{"mostly the vendor gave", table(Negotiation{ClientConcessions: concede("100"), VendorConcessions: concede("300")}), "concession_asymmetry", 0, 1, false},
		{"nobody gave", table(Negotiation{ClientConcessions: concede(), VendorConcessions: concede()}), "concession_asymmetry", 0, 1, false},
		{"counted", table(Negotiation{ClientConcessions: concede("300", "", "1"), VendorConcessions: concede("100")}), "concession_asymmetry", 9, 0.5, true},
		{"one side not recorded", table(Negotiation{ClientConcessions: concede("300")}), "concession_asymmetry", 0, 0, false},
		{"few rounds", table(Negotiation{Rounds: ptr(3)}), "rounds", 0, 1, false},
		{"many rounds", table(Negotiation{Rounds: ptr(30)}), "rounds", 5, 1, false},
		{"a usual time", took(60, "mid_market"), "duration", 0, 1, false},
		{"twice the usual time", took(60, "SMB"), "duration", 2.5, 1, false},
		{"a segment not listed", took(120, "public sector"), "duration", 2.5, 1, false},
		{"a segment spelt otherwise", took(240, "Enterprise"), "duration", 2.5, 1, false},
		{"opened after the close", took(-3, "smb"), "duration", 0, 0, false},
		{"no ultimatums", table(Negotiation{Ultimatums: ptr(0)}), "ultimatums", 0, 1, false},
		{"an ultimatum", table(Negotiation{Ultimatums: ptr(1)}), "ultimatums", 7, 1, false},
		{"a count below zero", table(Negotiation{Ultimatums: ptr(-4)}), "ultimatums", 0, 1, false},
		{"deadline pressure", table(Negotiation{DeadlinePressure: ptr(true)}), "deadline_pressure", 8, 1, false},
		{"no deadline pressure", DealClosed{ClosedAt: at("2025-03-31"), Negotiation: &Negotiation{DeadlinePressure: ptr(false)}}, "deadline_pressure", 0, 1, false},
		{"last day of a quarter", DealClosed{ClosedAt: at("2025-03-31")}, "deadline_pressure", 2, 0, true},
		{"five days before", DealClosed{ClosedAt: at("2025-12-27")}, "deadline_pressure", 2, 0, true},
		{"six days before", DealClosed{ClosedAt: at("2025-12-26")}, "deadline_pressure", 0, 0, false},
		{"first day of a quarter", DealClosed{ClosedAt: at("2025-04-01")}, "deadline_pressure", 0, 0, false},
		{"escalated", table(Negotiation{Escalations: ptr(2)}), "escalation", 9, 1, false},
		{"hostile", table(Negotiation{Tone: ptr(-0.3)}), "tone", 7, 1, false},
		{"warm", table(Negotiation{Tone: ptr(0.9)}), "tone", 0, 1, false},
		{"no number", table(Negotiation{Tone: ptr(math.NaN())}), "tone", 0, 0, false},
		{"a rude message of four", messages("That is RIDICULOUS!", "Fine.", "Thank you.", "Sent."), "tone", 5.8, 0.5, true},
		{"a phrase across a line", messages("take it\n or leave-it"), "tone", 14, 0.5, true},
		{"words within words", messages("the insultingless éinsult, unacceptables"), "tone", 0, 0.5, true},
		{"refused requests", table(Negotiation{UnresolvedRequests: &[]string{"a", "b", "c", " "}}), "unresolved_requests", 11, 1, false},
		{"give and take", table(Negotiation{ClientConcessions: concede("1", "1"), VendorConcessions: concede("1", "1")}), "give_and_take", -10, 1, false},
		{"one term twice", table(Negotiation{ClientConcessions: &[]Concession{{Term: "Price"}, {Term: "price "}}, VendorConcessions: concede("", "")}), "give_and_take", 0, 1, false},
		{"common ground", table(Negotiation{CommonGround: &[]string{"a joint plan"}}), "common_ground", -4, 1, false},
		{"no common ground", table(Negotiation{CommonGround: &[]string{}}), "common_ground", 0, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := m.Score(&c.deal)
			var got Contribution
			for _, x := range h.Contributions {
				if x.Component == c.component {
					got = x
				}
			}
			if got.Points != c.points || got.Points != 0 && (got.Proxy != c.proxy || got.Evidence == "") {
				t.Errorf("%+v, want %v points, proxy %v", got, c.points, c.proxy)
			}
			i := 0
			for componentNames[i] != c.component {
				i++
			}
			covers := c.covers * math.Abs(m.weights[i].weight)
			switch i { // the two share their inputs
			case compAsymmetry:
				covers += math.Ceil(c.covers) * math.Abs(m.weights[compGiveAndTake].weight)
			case compGiveAndTake:
				for _, x := range h.Missing {
					if strings.HasSuffix(x, ".value") {
						covers += m.proxyCoverage*m.weights[compAsymmetry].weight - m.weights[compAsymmetry].weight
						break
					}
				}
				covers += m.weights[compAsymmetry].weight
			}
			if want := covers / m.total; math.Abs(h.Coverage-want) > 0.0006 {
				t.Errorf("coverage %v, want %.3f", h.Coverage, want)
			}
			if covers < m.minimumCoverage*m.total && h.Band != BandUnknown {
				t.Errorf("band %s with coverage %v", h.Band, h.Coverage)
			}
		})
	}
}

func TestNothingKnownIsUnknown(t *testing.T) {
	for _, d := range []DealClosed{{}, {ClosedAt: at("2025-03-31")}, {Negotiation: &Negotiation{}, Outcome: Lost}} {
		h := DefaultHardnessModel().Score(&d)
		if h.Band != BandUnknown || h.Coverage != 0 || len(h.Missing) != len(componentNames)+3 || h.DiscountDepth != nil {
			t.Errorf("%+v", h)
		}
	}
}

func TestDiscountIsNoPartOfTheScore(t *testing.T) {
	d := DealClosed{SignedPrice: MustMoney("60"), ListPrice: MustMoney("100"), Anticipated: MustMoney("60")}
	h := DefaultHardnessModel().Score(&d)
	if *h.DiscountDepth != 0.4 || h.Score != 0 || len(h.Contributions) != 0 {
		t.Errorf("%+v", h)
	}
}

// Each testdata/hardness/NAME.bad.json must be refused with every line of NAME.bad.txt, all at once.
func TestLoadHardnessModelRefuses(t *testing.T) {
	files, err := filepath.Glob("testdata/hardness/*.bad.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad models: %v", err)
	}
	for _, file := range files {
		model, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(strings.TrimSuffix(file, ".json") + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		_, err = LoadHardnessModel(model)
		if err == nil {
			t.Fatalf("%s loaded", file)
		}
		for line := range strings.Lines(string(want)) {
			if !strings.Contains(err.Error(), strings.TrimSpace(line)) {
				t.Errorf("%s: the error lacks %q:\n%v", file, strings.TrimSpace(line), err)
			}
		}
	}
	if m, err := LoadHardnessModel(bytes.Replace(builtinHardness, []byte(`"hardness.v1"`), []byte(`"ours.v7"`), 1)); err != nil || m.Version() != "ours.v7" {
		t.Errorf("%v, %v", m, err)
	}
}

func typicalDeal(t testing.TB) *DealClosed {
	deal, err := os.ReadFile("testdata/hardness/hard.deal.json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := DecodeDeal(deal, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

func BenchmarkScore(b *testing.B) {
	d, m := typicalDeal(b), DefaultHardnessModel()
	b.ReportAllocs()
	for b.Loop() {
		m.Score(d)
	}
}
