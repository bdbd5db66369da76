package outcomes

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// TestShares: the intervals are those that the tables of Clopper and Pearson give.
func TestShares(t *testing.T) {
	for _, x := range []struct {
		hits, of         int
		share, low, high float64
	}{{0, 10, 0, 0, 0.3085}, {5, 10, 0.5, 0.1871, 0.8129}, {10, 10, 1, 0.6915, 1}, {8, 20, 0.4, 0.1912, 0.6395}, {300, 1000, 0.3, 0.2717, 0.3295}} {
		s := newShare(x.hits, x.of)
		if math.Abs(*s.Share-x.share) > 1e-9 || math.Abs(*s.Low-x.low) > 5e-5 || math.Abs(*s.High-x.high) > 5e-5 {
			t.Errorf("%d of %d: %.4f (%.4f to %.4f), want %.4f (%.4f to %.4f)", x.hits, x.of, *s.Share, *s.Low, *s.High, x.share, x.low, x.high)
		}
	}
	if s := newShare(9, 9); s.Share != nil || s.Low != nil || s.High != nil || s.Of != 9 {
		t.Errorf("of nine cases a share is told: %+v", s)
	}
}

// TestMedians: of ten numbers the second and the ninth hold the middle with 97.9 %, the third and the eighth with 89.1 only.
func TestMedians(t *testing.T) {
	m := newMedian([]float64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1})
	if *m.Median != 5.5 || *m.Low != 2 || *m.High != 9 {
		t.Errorf("the median of 1 to 10 is %v (%v to %v)", *m.Median, *m.Low, *m.High)
	}
	if m := newMedian(make([]float64, 9)); m.Median != nil {
		t.Errorf("of nine numbers a median is told: %v", *m.Median)
	}
}

// TestWhatCounts: each case is one term that may have gone wrong and one alert, ten times over so that figures are told.
func TestWhatCounts(t *testing.T) {
	day := func(n int) time.Time { return begin.AddDate(0, 0, n) }
	span := Span{From: day(0), To: day(700), Horizon: horizon}
	lost := func(closed, over int) churn.Term {
		return churn.Term{ClosedAt: day(closed), EndsAt: day(closed + 365), OverAt: day(over), Fate: churn.Churned}
	}
	for _, x := range []struct {
		what                     string
		term                     churn.Term
		contract                 bool // the alert names it
		alert                    int
		precision, recall, leads string
	}{
		{"an alert 60 days before the loss", lost(10, 260), true, 200, "10/10", "10/10", "60"},
		{"the same of its account", lost(10, 260), false, 200, "10/10", "10/10", "60"},
		{"an alert longer before than the horizon", lost(10, 260), true, 70, "0/10", "0/10", "none"},
		{"an alert after the loss is none of its merits", lost(10, 260), true, 261, "0/10", "0/10", "none"},
		{"an alert at the instant of the loss", lost(10, 260), true, 260, "0/10", "0/10", "none"},
		{"a loss so early that an alert may have come before the span", lost(-50, 100), true, 60, "10/10", "0/0", "none"},
		{"an alert whose horizon the span does not hold", lost(300, 600), true, 590, "0/0", "10/10", "10"},
		{"a loss after the span is not known in it", lost(300, 710), true, 510, "0/10", "0/0", "none"},
		{"a renewal is nothing bad", churn.Term{ClosedAt: day(10), EndsAt: day(375), OverAt: day(360), Fate: churn.Renewed}, true, 300, "0/10", "0/0", "none"},
		{"what lapses is not known to be lost", churn.Term{ClosedAt: day(10), EndsAt: day(200), OverAt: day(290), Fate: churn.Lapsed}, true, 200, "0/10", "0/0", "none"},
		{"a downgrade counts, and its day, not that of the loss that follows",
			churn.Term{ClosedAt: day(10), EndsAt: day(375), OverAt: day(370), DowngradedAt: day(230), Fate: churn.Churned}, true, 200, "10/10", "10/10", "30"},
		{"what was over before the span is none of it", lost(-300, -10), true, 5, "0/10", "0/0", "none"},
	} {
		var terms []churn.Term
		var alerts []Alert
		for i := range 10 {
			term, alert := x.term, Alert{Rule: "r", AccountID: fmt.Sprint(i), At: day(x.alert)}
			term.AccountID, term.ContractID = fmt.Sprint(i), "c"
			if x.contract {
				alert.ContractID = "c"
			}
			terms, alerts = append(terms, term), append(alerts, alert)
		}
		report, err := span.Judge(terms, []string{"r", "silent"}, alerts)
		if err != nil {
			t.Fatal(err)
		}
		r := report.Rules[0]
		leads := "none"
		if r.LeadDays.Median != nil {
			leads = fmt.Sprint(*r.LeadDays.Median)
		}
		got := []string{fmt.Sprintf("%d/%d", r.Precision.Hits, r.Precision.Of), fmt.Sprintf("%d/%d", r.Recall.Hits, r.Recall.Of), leads}
		if want := []string{x.precision, x.recall, x.leads}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: precision, recall and lead are %v, want %v", x.what, got, want)
		}
		if silent := report.Rules[1]; silent.Alerts != 0 || silent.Precision.Of != 0 || silent.Verdict == "" {
			t.Errorf("a rule without alerts: %+v", silent)
		}
		if _, err := json.Marshal(report); err != nil {
			t.Errorf("%s: %v", x.what, err)
		}
	}
}

// TestStaysCoverTheTerm: a term goes from not alerted to alerted and back, and goes wrong once, in its last stay.
func TestStaysCoverTheTerm(t *testing.T) {
	day := func(n int) time.Time { return begin.AddDate(0, 0, n) }
	term := churn.Term{AccountID: "a", ContractID: "c", ClosedAt: day(-20), EndsAt: day(700), OverAt: day(600), Fate: churn.Churned}
	var alerts []Alert
	for _, at := range []int{-30, 100, 150, 450} { // the second prolongs the first
		alerts = append(alerts, Alert{Rule: "r", AccountID: "a", ContractID: "c", At: day(at)})
	}
	c := Span{From: day(0), To: day(650), Horizon: horizon}.cohort([]churn.Term{term}, newSayings("r", alerts))
	want := []stay{{alerted: true, from: -700, to: -370}, {from: -370, to: -250}, {alerted: true, from: -250, to: -100, wrong: true}}
	if fmt.Sprint(c.stays) != fmt.Sprint(want) {
		t.Errorf("stays are %v, want %v", c.stays, want)
	}
}

func TestNoHorizon(t *testing.T) {
	if _, err := (Span{}).Judge(nil, nil, nil); err == nil {
		t.Error("a horizon of nothing is taken")
	}
}
