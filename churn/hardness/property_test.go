package hardness

import (
	"math"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aftershock/aftershock/churn"
)

func maybe[T any](t *rapid.T, name string, g *rapid.Generator[T]) *T {
	if rapid.Bool().Draw(t, name+" given") {
		return new(g.Draw(t, name))
	}
	return nil
}

func anyMoney(t *rapid.T, name string) churn.OptionalMoney {
	if !rapid.Bool().Draw(t, name+" given") {
		return churn.OptionalMoney{}
	}
	return churn.MoneyFromUnits(rapid.Int64Range(0, 999_999_999_999_999_999).Draw(t, name))
}

// anyDeal draws any deal, also ones that no decoder would let pass.
func anyDeal(t *rapid.T) *churn.DealClosed {
	text := rapid.SampledFrom([]string{"", "price", "Price", "term", "a joint plan", "That is ridiculous", "take it or leave it", "\x00\xff", strings.Repeat("long ", 30)})
	concession := rapid.Custom(func(t *rapid.T) churn.Concession {
		return churn.Concession{Term: text.Draw(t, "term"), Value: anyMoney(t, "value")}
	})
	d := &churn.DealClosed{
		Segment: rapid.SampledFrom([]string{"", "smb", "Mid-Market", "enterprise", "other"}).Draw(t, "segment"), Currency: "EUR",
		SignedPrice: anyMoney(t, "signed"), ListPrice: anyMoney(t, "list"), Anticipated: anyMoney(t, "anticipated"),
		ClosedAt: time.Unix(rapid.Int64Range(0, 7e9).Draw(t, "closed"), 0).UTC(),
	}
	if rapid.IntRange(0, 9).Draw(t, "negotiation") == 0 {
		return d
	}
	n := &churn.Negotiation{
		Rounds: maybe(t, "rounds", rapid.IntRange(-1, 40)), Ultimatums: maybe(t, "ultimatums", rapid.IntRange(-1, 9)),
		Escalations: maybe(t, "escalations", rapid.IntRange(0, math.MaxInt32)), DeadlinePressure: maybe(t, "deadline", rapid.Bool()),
		Tone:               maybe(t, "tone", rapid.OneOf(rapid.Float64Range(-1, 1), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}))),
		ClientConcessions:  maybe(t, "client", rapid.SliceOfN(concession, 0, 5)),
		VendorConcessions:  maybe(t, "vendor", rapid.SliceOfN(concession, 0, 5)),
		UnresolvedRequests: maybe(t, "requests", rapid.SliceOfN(text, 0, 6)),
		CommonGround:       maybe(t, "ground", rapid.SliceOfN(text, 0, 6)),
	}
	if rapid.Bool().Draw(t, "opened") {
		n.OpenedAt = d.ClosedAt.Add(-time.Duration(rapid.Int64Range(-1e6, 9e7).Draw(t, "took")) * time.Second)
	}
	for _, m := range rapid.SliceOfN(text, 0, 6).Draw(t, "messages") {
		n.Messages = append(n.Messages, churn.Message{Text: m})
	}
	d.Negotiation = n
	return d
}

func TestScoreIsExplainedAndBounded(t *testing.T) {
	m := Default()
	rapid.Check(t, func(t *rapid.T) {
		h := m.Score(anyDeal(t))
		tenths := 0
		for i, c := range h.Contributions {
			if math.IsNaN(c.Points) || math.IsNaN(c.Value) || c.Points == 0 || c.Evidence == "" || !strings.HasSuffix(c.Evidence, ".") {
				t.Errorf("%+v", c)
			}
			if strings.ContainsAny(c.Evidence, "\x00\n") || len(c.Evidence) > 400 {
				t.Errorf("evidence %q", c.Evidence)
			}
			if i > 0 {
				b := h.Contributions[i-1]
				if x, y := math.Abs(b.Points), math.Abs(c.Points); x < y || x == y && b.Component >= c.Component {
					t.Errorf("%v before %v", b, c)
				}
			}
			if protects(slices.Index(componentNames[:], c.Component)) == (c.Points > 0) {
				t.Errorf("%s has %v points", c.Component, c.Points)
			}
			tenths += int(math.Round(c.Points * 10))
		}
		if want := float64(min(max(tenths, 0), 1000)) / 10; h.Score != want {
			t.Errorf("score %v, its contributions add up to %v", h.Score, want)
		}
		if !(h.Coverage >= 0 && h.Coverage <= 1) || (h.Coverage < m.minimumCoverage) != (h.Band == churn.BandUnknown) {
			t.Errorf("coverage %v, band %s", h.Coverage, h.Band)
		}
		if h.Coverage == 1 && len(h.Missing) > 0 {
			t.Errorf("all is known, but missing are %v", h.Missing)
		}
	})
}

func TestScoreIgnoresTheOrderOfLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyDeal(t)
		before := Default().Score(d)
		if n := d.Negotiation; n != nil {
			r := rand.New(rand.NewSource(rapid.Int64().Draw(t, "order")))
			for _, list := range []any{n.ClientConcessions, n.VendorConcessions, n.UnresolvedRequests, n.CommonGround, &n.Messages} {
				if v := reflect.ValueOf(list); !v.IsNil() {
					r.Shuffle(v.Elem().Len(), reflect.Swapper(v.Elem().Interface()))
				}
			}
		}
		if after := Default().Score(d); !reflect.DeepEqual(before, after) {
			t.Errorf("%+v\nin another order\n%+v", before, after)
		}
	})
}

// Raising an input that counts up never lowers the score, and more of what protects never raises it.
func TestScoreIsMonotone(t *testing.T) {
	up := map[string]func(*churn.DealClosed){
		"price": func(d *churn.DealClosed) { d.SignedPrice = churn.MoneyFromUnits(d.SignedPrice.Units()/2*3 + 1) },
		"client's value": func(d *churn.DealClosed) {
			for i := range *d.Negotiation.ClientConcessions {
				c := &(*d.Negotiation.ClientConcessions)[i]
				c.Value = churn.MoneyFromUnits(min(c.Value.Units()*2, 999_999_999_999_999_999))
			}
		},
		"rounds":      func(d *churn.DealClosed) { *d.Negotiation.Rounds++ },
		"duration":    func(d *churn.DealClosed) { d.Negotiation.OpenedAt = d.Negotiation.OpenedAt.AddDate(0, 0, -20) },
		"ultimatums":  func(d *churn.DealClosed) { *d.Negotiation.Ultimatums++ },
		"deadline":    func(d *churn.DealClosed) { *d.Negotiation.DeadlinePressure = true },
		"escalations": func(d *churn.DealClosed) { *d.Negotiation.Escalations++ },
		"tone":        func(d *churn.DealClosed) { *d.Negotiation.Tone -= 0.2 },
		"requests": func(d *churn.DealClosed) {
			*d.Negotiation.UnresolvedRequests = append(*d.Negotiation.UnresolvedRequests, "another")
		},
		"messages": func(d *churn.DealClosed) {
			d.Negotiation.Tone = nil
			for i := range d.Negotiation.Messages {
				d.Negotiation.Messages[i].Text = "an insult"
			}
		},
	}
	down := map[string]func(*churn.DealClosed){
		"give and take": func(d *churn.DealClosed) {
			n := d.Negotiation // equal counts on both sides, so that the asymmetry moves towards none
			n.ClientConcessions, n.VendorConcessions = concede("1", "1"), concede("1", "1")
		},
		"common ground": func(d *churn.DealClosed) {
			*d.Negotiation.CommonGround = append(*d.Negotiation.CommonGround, "one more")
		},
	}
	known := func(t *rapid.T) *churn.DealClosed {
		d := typicalDeal(testingT(t))
		n := d.Negotiation
		d.SignedPrice = churn.MoneyFromUnits(rapid.Int64Range(1, 1e12).Draw(t, "signed"))
		d.Anticipated = churn.MoneyFromUnits(rapid.Int64Range(1, 1e12).Draw(t, "anticipated"))
		n.Rounds, n.Ultimatums, n.Escalations = new(rapid.IntRange(0, 12).Draw(t, "rounds")), new(rapid.IntRange(0, 4).Draw(t, "ultimatums")), new(rapid.IntRange(0, 4).Draw(t, "escalations"))
		n.DeadlinePressure, n.Tone = new(rapid.Bool().Draw(t, "deadline")), new(rapid.Float64Range(-1, 1).Draw(t, "tone"))
		n.OpenedAt = d.ClosedAt.AddDate(0, 0, -rapid.IntRange(0, 500).Draw(t, "days"))
		n.UnresolvedRequests, n.CommonGround = new(make([]string, 0)), new(make([]string, 0))
		return d
	}
	rapid.Check(t, func(t *rapid.T) {
		for name, raise := range up {
			d := known(t)
			if name == "messages" {
				d.Negotiation.Tone = nil
			}
			before := Default().Score(d).Score
			if raise(d); Default().Score(d).Score < before {
				t.Errorf("more %s lowers the score", name)
			}
		}
		for name, lower := range down {
			d := known(t)
			before := Default().Score(d).Score
			if lower(d); Default().Score(d).Score > before {
				t.Errorf("more %s raises the score", name)
			}
		}
	})
}

// testingT lets a rapid.T stand where a testing.TB is asked for, to fail only.
func testingT(t *rapid.T) testing.TB { return failing{nil, t} }

type failing struct {
	testing.TB
	t *rapid.T
}

func (f failing) Fatal(args ...any) { f.t.Fatal(args...) }
