package hardness

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/testservers/dataset"
)

func lines(contributions []churn.Contribution) string {
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

// Each testdata/NAME.deal.json must be explained as NAME.golden.txt says.
func TestScoreExplains(t *testing.T) {
	files, err := filepath.Glob("testdata/*.deal.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d deals: %v", len(files), err)
	}
	for _, file := range files {
		deal, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := churn.DecodeDeal(deal, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		h := Default().Score(&d)
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

func concede(values ...string) *[]churn.Concession {
	all := []churn.Concession{}
	for i, v := range values {
		c := churn.Concession{Term: fmt.Sprint("term ", i)}
		if v != "" {
			c.Value = churn.MustMoney(v)
		}
		all = append(all, c)
	}
	return &all
}

// Each case is a deal of which one thing is known, with its points under the default model, and what it covers.
func TestScoreOfOneComponent(t *testing.T) {
	m := Default()
	price := func(signed, expected, list string) churn.DealClosed {
		d := churn.DealClosed{SignedPrice: churn.MustMoney(signed), Currency: "EUR"}
		if expected != "" {
			d.Anticipated = churn.MustMoney(expected)
		}
		if list != "" {
			d.ListPrice = churn.MustMoney(list)
		}
		return d
	}
	table := func(n churn.Negotiation) churn.DealClosed { return churn.DealClosed{Negotiation: &n} }
	took := func(days int, segment string) churn.DealClosed {
		closed := at("2025-05-10")
		return churn.DealClosed{Segment: segment, ClosedAt: closed, Negotiation: &churn.Negotiation{OpenedAt: closed.AddDate(0, 0, -days)}}
	}
	messages := func(texts ...string) churn.DealClosed {
		var all []churn.Message
		for _, text := range texts {
			all = append(all, churn.Message{Text: text})
		}
		return table(churn.Negotiation{Messages: all})
	}
	for _, c := range []struct {
		name      string
		deal      churn.DealClosed
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
		{"only the client gave", table(churn.Negotiation{ClientConcessions: concede("100"), VendorConcessions: concede()}), "concession_asymmetry", 18, 1, false},
		{"mostly the client gave", table(churn.Negotiation{ClientConcessions: concede("300"), VendorConcessions: concede("100")}), "concession_asymmetry", 9, 1, false},
		{"mostly the vendor gave", table(churn.Negotiation{ClientConcessions: concede("100"), VendorConcessions: concede("300")}), "concession_asymmetry", 0, 1, false},
		{"nobody gave", table(churn.Negotiation{ClientConcessions: concede(), VendorConcessions: concede()}), "concession_asymmetry", 0, 1, false},
		{"counted", table(churn.Negotiation{ClientConcessions: concede("300", "", "1"), VendorConcessions: concede("100")}), "concession_asymmetry", 9, 0.5, true},
		{"one side not recorded", table(churn.Negotiation{ClientConcessions: concede("300")}), "concession_asymmetry", 0, 0, false},
		{"few rounds", table(churn.Negotiation{Rounds: new(3)}), "rounds", 0, 1, false},
		{"many rounds", table(churn.Negotiation{Rounds: new(30)}), "rounds", 5, 1, false},
		{"a usual time", took(60, "mid_market"), "duration", 0, 1, false},
		{"twice the usual time", took(60, "SMB"), "duration", 2.5, 1, false},
		{"a segment not listed", took(120, "public sector"), "duration", 2.5, 1, false},
		{"a segment spelt otherwise", took(240, "Enterprise"), "duration", 2.5, 1, false},
		{"opened after the close", took(-3, "smb"), "duration", 0, 0, false},
		{"no ultimatums", table(churn.Negotiation{Ultimatums: new(0)}), "ultimatums", 0, 1, false},
		{"an ultimatum", table(churn.Negotiation{Ultimatums: new(1)}), "ultimatums", 7, 1, false},
		{"a count below zero", table(churn.Negotiation{Ultimatums: new(-4)}), "ultimatums", 0, 1, false},
		{"deadline pressure", table(churn.Negotiation{DeadlinePressure: new(true)}), "deadline_pressure", 8, 1, false},
		{"no deadline pressure", churn.DealClosed{ClosedAt: at("2025-03-31"), Negotiation: &churn.Negotiation{DeadlinePressure: new(false)}}, "deadline_pressure", 0, 1, false},
		{"last day of a quarter", churn.DealClosed{ClosedAt: at("2025-03-31")}, "deadline_pressure", 2, 0, true},
		{"five days before", churn.DealClosed{ClosedAt: at("2025-12-27")}, "deadline_pressure", 2, 0, true},
		{"six days before", churn.DealClosed{ClosedAt: at("2025-12-26")}, "deadline_pressure", 0, 0, false},
		{"first day of a quarter", churn.DealClosed{ClosedAt: at("2025-04-01")}, "deadline_pressure", 0, 0, false},
		{"escalated", table(churn.Negotiation{Escalations: new(2)}), "escalation", 9, 1, false},
		{"hostile", table(churn.Negotiation{Tone: new(-0.3)}), "tone", 7, 1, false},
		{"warm", table(churn.Negotiation{Tone: new(0.9)}), "tone", 0, 1, false},
		{"no number", table(churn.Negotiation{Tone: new(math.NaN())}), "tone", 0, 0, false},
		{"a rude message of four", messages("That is RIDICULOUS!", "Fine.", "Thank you.", "Sent."), "tone", 5.8, 0.5, true},
		{"a phrase across a line", messages("take it\n or leave-it"), "tone", 14, 0.5, true},
		{"words within words", messages("the insultingless éinsult, unacceptables"), "tone", 0, 0.5, true},
		{"refused requests", table(churn.Negotiation{UnresolvedRequests: &[]string{"a", "b", "c", " "}}), "unresolved_requests", 11, 1, false},
		{"give and take", table(churn.Negotiation{ClientConcessions: concede("1", "1"), VendorConcessions: concede("1", "1")}), "give_and_take", -10, 1, false},
		{"one term twice", table(churn.Negotiation{ClientConcessions: &[]churn.Concession{{Term: "Price"}, {Term: "price "}}, VendorConcessions: concede("", "")}), "give_and_take", 0, 1, false},
		{"common ground", table(churn.Negotiation{CommonGround: &[]string{"a joint plan"}}), "common_ground", -4, 1, false},
		{"no common ground", table(churn.Negotiation{CommonGround: &[]string{}}), "common_ground", 0, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := m.Score(&c.deal)
			var got churn.Contribution
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
			if covers < m.minimumCoverage*m.total && h.Band != churn.BandUnknown {
				t.Errorf("band %s with coverage %v", h.Band, h.Coverage)
			}
		})
	}
}

func TestNothingKnownIsUnknown(t *testing.T) {
	for _, d := range []churn.DealClosed{{}, {ClosedAt: at("2025-03-31")}, {Negotiation: &churn.Negotiation{}, Outcome: churn.Lost}} {
		h := Default().Score(&d)
		if h.Band != churn.BandUnknown || h.Coverage != 0 || len(h.Missing) != len(componentNames)+3 || h.DiscountDepth != nil {
			t.Errorf("%+v", h)
		}
	}
}

func TestDiscountIsNoPartOfTheScore(t *testing.T) {
	d := churn.DealClosed{SignedPrice: churn.MustMoney("60"), ListPrice: churn.MustMoney("100"), Anticipated: churn.MustMoney("60")}
	h := Default().Score(&d)
	if *h.DiscountDepth != 0.4 || h.Score != 0 || len(h.Contributions) != 0 {
		t.Errorf("%+v", h)
	}
}

// Each testdata/NAME.bad.json must be refused with every line of NAME.bad.txt, all at once.
func TestLoadHardnessModelRefuses(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.json")
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
		_, err = Load(model)
		if err == nil {
			t.Fatalf("%s loaded", file)
		}
		for line := range strings.Lines(string(want)) {
			if !strings.Contains(err.Error(), strings.TrimSpace(line)) {
				t.Errorf("%s: the error lacks %q:\n%v", file, strings.TrimSpace(line), err)
			}
		}
	}
	if m, err := Load(bytes.Replace(builtinHardness, []byte(`"hardness.v1"`), []byte(`"ours.v7"`), 1)); err != nil || m.Version() != "ours.v7" {
		t.Errorf("%v, %v", m, err)
	}
}

// docs/hardness.md must name every component, with its direction, and none of the model's numbers.
func TestDocNamesEveryComponent(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "hardness.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range componentNames {
		found := false
		for line := range strings.Lines(string(doc)) {
			if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `"+name+"` |") && len(cells) == 5 {
				found = strings.HasPrefix(cells[3], "**down**") == protects(i) && strings.HasPrefix(cells[3], "up") != protects(i)
			}
		}
		if !found {
			t.Errorf("%s has no line with its direction", name)
		}
	}
	if w := Default().weights[compPremium]; strings.Contains(string(doc), fmt.Sprint(w.weight)+" points") || strings.Contains(string(doc), fmt.Sprintf("%v%%", 100*w.bites)) {
		t.Error("it repeats numbers of the model file")
	}
}

func typicalDeal(t testing.TB) *churn.DealClosed {
	deal, err := os.ReadFile("testdata/hard.deal.json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := churn.DecodeDeal(deal, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

func BenchmarkScore(b *testing.B) {
	d, m := typicalDeal(b), Default()
	b.ReportAllocs()
	for b.Loop() {
		m.Score(d)
	}
}

// casinoDialogue is one line of the CaSiNo corpus: two people share out camping supplies.
type casinoDialogue struct {
	Logs []struct {
		Text string `json:"text"`
		From string `json:"id"`
	} `json:"chat_logs"`
	People map[string]struct {
		Outcomes struct {
			Satisfaction string `json:"satisfaction"`
			Liking       string `json:"opponent_likeness"`
		} `json:"outcomes"`
	} `json:"participant_info"`
}

// dealOf is the dialogue as a deal of which only what happened at the table is known, seen by one of the two as the client:
// offers are rounds, walking away is an ultimatum, the client's offers that the other rejected are unresolved requests.
func (c *casinoDialogue) dealOf(client string) *churn.DealClosed {
	rounds, ultimatums, refused, offeredBy := 0, 0, []string{}, ""
	n := &churn.Negotiation{Rounds: &rounds, Ultimatums: &ultimatums, UnresolvedRequests: &refused}
	for _, l := range c.Logs {
		switch l.Text {
		case "Submit-Deal":
			rounds++
			offeredBy = l.From
		case "Reject-Deal":
			if offeredBy == client && l.From != client {
				refused = append(refused, "an offer")
			}
		case "Walk-Away":
			ultimatums++
		case "Accept-Deal":
		default:
			from := churn.Vendor
			if l.From == client {
				from = churn.Client
			}
			n.Messages = append(n.Messages, churn.Message{From: from, Text: l.Text})
		}
	}
	return &churn.DealClosed{Negotiation: n}
}

// ranks are 1.. with the mean for ties.
func ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	out := make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			out[k] = float64(i+j+1) / 2
		}
		i = j
	}
	return out
}

// spearman is the rank correlation, NaN where one side is constant.
func spearman(x, y []float64) float64 {
	x, y = ranks(x), ranks(y)
	mean := float64(len(x)+1) / 2
	var xy, xx, yy float64
	for i := range x {
		dx, dy := x[i]-mean, y[i]-mean
		xy, xx, yy = xy+dx*dy, xx+dx*dx, yy+dy*dy
	}
	return xy / math.Sqrt(xx*yy)
}

func TestSpearman(t *testing.T) {
	for _, c := range []struct {
		x, y []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4}, []float64{10, 20, 30, 4000}, 1}, {[]float64{1, 2, 3, 4}, []float64{4, 3, 2, 1}, -1}, {[]float64{1, 2, 2, 3}, []float64{1, 3, 2, 4}, 0.9486832980505138},
		{[]float64{106, 86, 100, 101, 99, 103, 97, 113, 112, 110}, []float64{7, 0, 27, 50, 28, 29, 20, 12, 6, 17}, -0.17575757575757575}, // a textbook's
	} {
		if got := spearman(c.x, c.y); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v and %v: %v, want %v", c.x, c.y, got, c.want)
		}
	}
	if got := spearman([]float64{1, 1}, []float64{1, 2}); !math.IsNaN(got) {
		t.Errorf("a constant correlates with %v", got)
	}
}

// What does hardness, from what happened at the table alone, tell of how the other side felt about it? Logged with its
// interval and asserted of nothing: campers are no clients, and satisfaction is not churn.
func TestHardnessAgainstSatisfactionInCaSiNo(t *testing.T) {
	satisfaction := []string{"Extremely dissatisfied", "Slightly dissatisfied", "Undecided", "Slightly satisfied", "Extremely satisfied"}
	liking := []string{"Extremely dislike", "Slightly dislike", "Undecided", "Slightly like", "Extremely like"}
	m := Default()
	measures := []string{"score", "score without ultimatums", "tone", "satisfaction", "liking"}
	var dialogues [][][]float64 // dialogue, then person, then measure
	bands := map[churn.Band]int{}
	hits := map[string]int{}
	for line := range bytes.Lines(dataset.Read(t, "casino", "dialogues.jsonl")) {
		var c casinoDialogue
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		var people [][]float64
		for _, client := range slices.Sorted(maps.Keys(c.People)) {
			out := c.People[client].Outcomes
			s, l := slices.Index(satisfaction, out.Satisfaction), slices.Index(liking, out.Liking)
			if s < 0 || l < 0 {
				t.Fatalf("%+v is not an answer of the corpus", out)
			}
			h := m.Score(c.dealOf(client))
			points := map[string]float64{}
			for _, x := range h.Contributions {
				points[x.Component] = x.Points
				hits[x.Component]++
			}
			bands[h.Band]++
			people = append(people, []float64{h.Score, h.Score - points["ultimatums"], points["tone"], float64(s), float64(l)})
		}
		dialogues = append(dialogues, people)
	}
	if len(dialogues) <= 500 {
		t.Fatalf("%d dialogues are too few", len(dialogues))
	}
	correlate := func(sample [][][]float64, a, b int) float64 {
		var x, y []float64
		for _, people := range sample {
			for _, p := range people {
				x, y = append(x, p[a]), append(y, p[b])
			}
		}
		return spearman(x, y)
	}
	t.Logf("%d dialogues, bands %v, people for whom a component counted: %v", len(dialogues), bands, hits)
	const resamples = 400
	r := rand.New(rand.NewSource(1))
	for a := range 3 {
		for b := 3; b < 5; b++ {
			// The two of a dialogue are not independent: whole dialogues are drawn.
			var drawn []float64
			sample := make([][][]float64, len(dialogues))
			for range resamples {
				for i := range sample {
					sample[i] = dialogues[r.Intn(len(dialogues))]
				}
				if rho := correlate(sample, a, b); !math.IsNaN(rho) {
					drawn = append(drawn, rho)
				}
			}
			rho := correlate(dialogues, a, b)
			if math.IsNaN(rho) || len(drawn) < resamples*9/10 {
				t.Logf("%s and %s: no correlation, %s hardly varies", measures[a], measures[b], measures[a])
				continue
			}
			slices.Sort(drawn)
			low, high := drawn[len(drawn)*25/1000], drawn[len(drawn)*975/1000]
			t.Logf("%s and %s: rho %+.3f, 95%% interval %+.3f to %+.3f, n = %d dialogues", measures[a], measures[b], rho, low, high, len(dialogues))
			if !(-1 <= low && low <= high && high <= 1) {
				t.Errorf("%v to %v is no interval", low, high)
			}
		}
	}
}
