package outcomes

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// TestAsR: the ratio, its variance under the model and the one of the accounts are those of R's package survival, as
// testdata/cox.R prints them.
func TestAsR(t *testing.T) {
	f, err := os.Open("testdata/stays.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	c := &cohort{}
	for _, row := range rows[1:] {
		var x [5]float64
		for i := range row {
			if x[i], err = strconv.ParseFloat(row[i], 64); err != nil {
				t.Fatal(err)
			}
		}
		c.stays = append(c.stays, stay{account: int(x[0]), alerted: x[1] == 1, from: x[2], to: x[3], wrong: x[4] == 1})
		c.accounts = max(c.accounts, int(x[0])+1)
	}
	c.begin()
	l := c.lift(level)
	is := func(what string, got, want, within float64) {
		t.Helper()
		if math.Abs(got-want) > within {
			t.Errorf("%s is %.5f, R says %.5f", what, got, want)
		}
	}
	is("the ratio", *l.Ratio, 1.8546, 1e-4)
	is("the number of events", float64(l.Wrong), 47, 0)
	u, _ := c.score(0)
	model, accounts := c.variances(0)
	is("the score test", u*u/model, 2.66, 5e-3)
	is("the score test by accounts", u*u/accounts, 2.04, 5e-3)

	// R's errors are of the estimate: the score's variance over the square of the information.
	beta := math.Log(*l.Ratio)
	model, accounts = c.variances(beta)
	is("the error of the model", 1/math.Sqrt(model), 0.3814, 1e-4)
	is("the error by accounts", math.Sqrt(accounts)/model, 0.3745, 1e-4)
}

// world draws terms whose accounts differ in luck, and alerts that come at random times to those that still go on: the ratio of
// the rates after an alert and before is known.
func world(r *rand.Rand, accounts int, ratio float64) (terms []churn.Term, alerts []Alert) {
	day := func(x float64) time.Duration { return time.Duration(x * 24 * float64(time.Hour)) }
	for a := range accounts {
		luck := r.ExpFloat64() + r.ExpFloat64()
		for k := range 1 + r.IntN(3) {
			t := churn.Term{AccountID: strconv.Itoa(a), ContractID: strconv.Itoa(k), ClosedAt: begin.Add(day(r.Float64() * 300)), Fate: churn.Open}
			t.EndsAt = t.ClosedAt.Add(day(365))
			over := t.EndsAt
			alerted := t.ClosedAt.Add(day(r.ExpFloat64() * 300))
			rate := 0.3 / 365 * luck
			lost := t.ClosedAt.Add(day(r.ExpFloat64() / rate))
			if lost.After(alerted) { // what is left of its luck is spent faster, for as long as the horizon
				left := lost.Sub(alerted)
				if sooner := time.Duration(float64(left) / ratio); sooner < horizon {
					lost = alerted.Add(sooner)
				} else {
					lost = alerted.Add(horizon + left - time.Duration(float64(horizon)*ratio))
				}
			}
			if lost.Before(over) {
				t.Fate, over = churn.Churned, lost
			} else {
				t.Fate = churn.Lapsed
			}
			t.OverAt = over
			if alerted.Before(over) { // nobody is alerted of what is over: those who live long are alerted more
				alerts = append(alerts, Alert{Rule: "r", AccountID: t.AccountID, ContractID: t.ContractID, At: alerted})
			}
			terms = append(terms, t)
		}
	}
	return terms, alerts
}

var begin = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

const horizon = 180 * 24 * time.Hour

// TestIntervalsHoldTheTruth: of many worlds in which the ratio is known, its interval holds it in nearly all of them. One that
// took longer lives for an effect of alerts would not, nor one that took the contracts of an account for strangers.
func TestIntervalsHoldTheTruth(t *testing.T) {
	const worlds = 400
	for _, ratio := range []float64{1, 2.5} {
		r := rand.New(rand.NewPCG(1, uint64(ratio*10)))
		held, above := 0, 0
		for range worlds {
			terms, alerts := world(r, 150, ratio)
			report, err := Span{From: begin, To: begin.AddDate(2, 0, 0), Horizon: horizon}.Judge(terms, []string{"r"}, alerts)
			if err != nil {
				t.Fatal(err)
			}
			l := report.Rules[0].Lift
			if l.Ratio == nil {
				t.Fatalf("too few cases: %+v", l)
			}
			held += btoi(*l.Low <= ratio && (l.High == nil || *l.High >= ratio))
			above += btoi(*l.Low > 1)
		}
		t.Logf("ratio %.1f: the interval holds it in %d of %d worlds, and is above 1 in %d", ratio, held, worlds, above)
		if held < worlds*93/100 { // at 95 %, fewer happen once in 14 seeds
			t.Errorf("ratio %.1f: the interval holds it in only %d of %d worlds", ratio, held, worlds)
		}
		if ratio == 1 && above > worlds*5/100 {
			t.Errorf("alerts without any effect are said to foretell in %d of %d worlds", above, worlds)
		}
		if ratio > 1 && above < worlds/2 {
			t.Errorf("alerts that foretell are seen to do so in only %d of %d worlds", above, worlds)
		}
	}
}
