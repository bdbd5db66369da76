package links

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aftershock/aftershock/churn"
)

var always = churn.Span{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: churn.Forever}

// sold is a deal of 100 days that was known from the start of 2026; day 0 is 2026-01-01.
func sold(deal, contract string, day int, change ...func(*DealVersion)) DealVersion {
	d := DealVersion{Span: always, DealID: deal, ContractID: contract, Type: churn.DealNew, Outcome: churn.Won, ClosedAt: always.From.AddDate(0, 0, day), EndsAt: always.From.AddDate(0, 0, day+100)}
	for _, c := range change {
		c(&d)
	}
	return d
}

func ofType(typ churn.DealType) func(*DealVersion) { return func(d *DealVersion) { d.Type = typ } }

func lostRenewal(d *DealVersion) { d.Type, d.Outcome = churn.DealRenewal, churn.Lost }

func known(from, to int) func(*DealVersion) {
	return func(d *DealVersion) {
		d.From, d.To = always.From.AddDate(0, 0, from), always.From.AddDate(0, 0, to)
		if to < 0 {
			d.To = churn.Forever
		}
	}
}

func asked(ticket, contract string, day float64) AttemptVersion {
	return AttemptVersion{Span: always, TicketID: ticket, ContractID: contract, At: always.From.Add(time.Duration(day * 24 * float64(time.Hour)))}
}

func linked(deals []DealVersion, attempts ...AttemptVersion) ([]Link, []Unmatched) {
	a := LinkAccount(deals, attempts)
	return every(a), a.Unmatched
}

// told writes links and unmatched attempts, one a line: what, known from and to in days, "-" for still.
func told(links []Link, unmatched []Unmatched) string {
	day := func(t time.Time) string {
		if t.Equal(churn.Forever) {
			return "-"
		}
		return fmt.Sprint(t.Sub(always.From).Hours() / 24)
	}
	var lines []string
	for _, l := range links {
		lines = append(lines, fmt.Sprintf("%s reopens %s (%s) after %v days, by %s, known %s to %s", l.TicketID, l.ContractID, l.DealID, l.LagDays(), l.Basis, day(l.From), day(l.To)))
	}
	for _, u := range unmatched {
		lines = append(lines, fmt.Sprintf("%s reopens none (%s) %s, known %s to %s", u.TicketID, u.ContractID, u.Why, day(u.From), day(u.To)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestLinkAccount(t *testing.T) {
	for _, c := range []struct {
		name    string
		deals   []DealVersion
		attempt AttemptVersion
		want    string
	}{
		{"no deal", nil, asked("t", "", 5), "t reopens none () no_contract, known 0 to -"},
		{"only a lost deal", []DealVersion{sold("d", "c", 0, lostRenewal)}, asked("t", "", 5), "t reopens none () no_contract, known 0 to -"},
		{"at the close", []DealVersion{sold("d", "c", 0)}, asked("t", "", 0), "t reopens c (d) after 0 days, by account, known 0 to -"},
		{"before the close", []DealVersion{sold("d", "c", 5)}, asked("t", "", 4.99), "t reopens none () before_contract, known 0 to -"},
		{"a fraction of a day", []DealVersion{sold("d", "c", 0)}, asked("t", "c", 1.25), "t reopens c (d) after 1.25 days, by contract, known 0 to -"},
		{"last moment of the grace", []DealVersion{sold("d", "c", 0)}, asked("t", "c", 189.75), "t reopens c (d) after 189.75 days, by contract, known 0 to -"},
		{"end of the grace", []DealVersion{sold("d", "c", 0)}, asked("t", "c", 190), "t reopens none (c) expired, known 0 to -"},
		{"every contract in force", []DealVersion{sold("d1", "c1", 0), sold("d2", "c2", 1), sold("d3", "c3", 9)}, asked("t", "", 5),
			"t reopens c1 (d1) after 5 days, by account, known 0 to -\nt reopens c2 (d2) after 4 days, by account, known 0 to -"},
		{"names one of two", []DealVersion{sold("d1", "c1", 0), sold("d2", "c2", 1)}, asked("t", "c2", 5), "t reopens c2 (d2) after 4 days, by contract, known 0 to -"},
		{"names one that is over", []DealVersion{sold("d1", "c1", 0), sold("d2", "c2", 200)}, asked("t", "c1", 210), "t reopens none (c1) expired, known 0 to -"},
		{"names one that is unknown", []DealVersion{sold("d", "c", 0)}, asked("t", "x", 5), "t reopens c (d) after 5 days, by account, known 0 to -"},
		{"the latest base", []DealVersion{sold("d2", "c", 50, ofType(churn.DealRenewal)), sold("d1", "c", 0)}, asked("t", "c", 60), "t reopens c (d2) after 10 days, by contract, known 0 to -"},
		{"one instant, two deals", []DealVersion{sold("d2", "c", 0), sold("d10", "c", 0)}, asked("t", "c", 1), "t reopens c (d2) after 1 days, by contract, known 0 to -"},
		{"a renewal still to come", []DealVersion{sold("d2", "c", 50, ofType(churn.DealRenewal)), sold("d1", "c", 0)}, asked("t", "c", 40), "t reopens c (d1) after 40 days, by contract, known 0 to -"},
		{"an expansion is no base", []DealVersion{sold("d1", "c", 0), sold("d2", "c", 50, ofType(churn.DealExpansion))}, asked("t", "c", 60), "t reopens c (d1) after 60 days, by contract, known 0 to -"},
		{"unless it is all there is", []DealVersion{sold("d2", "c", 50, ofType(churn.DealDowngrade))}, asked("t", "c", 60), "t reopens c (d2) after 10 days, by contract, known 0 to -"},
		{"after a lost renewal", []DealVersion{sold("d1", "c", 0), sold("d2", "c", 50, lostRenewal)}, asked("t", "c", 51), "t reopens none (c) renewal_lost, known 0 to -"},
		{"at the lost renewal", []DealVersion{sold("d1", "c", 0), sold("d2", "c", 50, lostRenewal)}, asked("t", "c", 50), "t reopens c (d1) after 50 days, by contract, known 0 to -"},
		{"lost under another id", []DealVersion{sold("d1", "c", 0), sold("d2", "c2", 50, lostRenewal, func(d *DealVersion) { d.RenewalOf = "c" })}, asked("t", "c", 51), "t reopens none (c) renewal_lost, known 0 to -"},
		{"lost, then won again", []DealVersion{sold("d1", "c", 0), sold("d2", "c", 50, lostRenewal), sold("d3", "c", 60, ofType(churn.DealRenewal))}, asked("t", "c", 65), "t reopens c (d3) after 5 days, by contract, known 0 to -"},
		{"a lost expansion ends nothing", []DealVersion{sold("d1", "c", 0), sold("d2", "c", 50, ofType(churn.DealExpansion), func(d *DealVersion) { d.Outcome = churn.Lost })}, asked("t", "c", 51), "t reopens c (d1) after 51 days, by contract, known 0 to -"},
		{"a deal that arrives late", []DealVersion{sold("d", "c", 0, known(7, -1))}, asked("t", "c", 5),
			"t reopens c (d) after 5 days, by contract, known 7 to -\nt reopens none () no_contract, known 0 to 7"},
		{"a corrected date", []DealVersion{sold("d", "c", 0, known(0, 7)), sold("d", "c", 2, known(7, -1))}, asked("t", "c", 5),
			"t reopens c (d) after 3 days, by contract, known 7 to -\nt reopens c (d) after 5 days, by contract, known 0 to 7"},
		{"a correction that changes nothing here", []DealVersion{sold("d", "c", 0, known(0, 7)), sold("d", "c", 0, known(7, -1))}, asked("t", "c", 5), "t reopens c (d) after 5 days, by contract, known 0 to -"},
		{"moved to another account", []DealVersion{sold("d", "c", 0, known(0, 7))}, asked("t", "c", 5),
			"t reopens c (d) after 5 days, by contract, known 0 to 7\nt reopens none () no_contract, known 7 to -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := told(linked(c.deals, c.attempt)); got != c.want {
				t.Errorf("%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// Links are the same whatever the order of their causes; and at every instant an attempt either reopens contracts or is unmatched.
func TestLinkAccountIgnoresOrderAndLeavesNoGap(t *testing.T) {
	days := rapid.IntRange(0, 300)
	version := rapid.Custom(func(t *rapid.T) DealVersion {
		d := sold(rapid.SampledFrom([]string{"d1", "d2", "d3"}).Draw(t, "deal"), rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "contract"), days.Draw(t, "closed"))
		d.Type = rapid.SampledFrom([]churn.DealType{churn.DealNew, churn.DealRenewal, churn.DealExpansion, churn.DealDowngrade}).Draw(t, "type")
		d.Outcome = rapid.SampledFrom([]churn.Outcome{churn.Won, churn.Won, churn.Lost}).Draw(t, "outcome")
		d.RenewalOf = rapid.SampledFrom([]string{"", "c1", "c2"}).Draw(t, "renewal of")
		return d
	})
	rapid.Check(t, func(t *rapid.T) {
		// Each deal has one version at a time.
		var deals []DealVersion
		from := map[string]int{}
		for _, d := range rapid.SliceOfN(version, 0, 8).Draw(t, "deals") {
			to := from[d.DealID] + rapid.IntRange(1, 60).Draw(t, "for")
			known(from[d.DealID], to)(&d)
			from[d.DealID] = to
			deals = append(deals, d)
		}
		var attempts []AttemptVersion
		for i := range rapid.IntRange(1, 4).Draw(t, "attempts") {
			attempts = append(attempts, asked(fmt.Sprint("t", i), rapid.SampledFrom([]string{"", "c1", "c2", "x"}).Draw(t, "names"), float64(days.Draw(t, "at"))))
		}
		links, unmatched := linked(deals, attempts...)
		again, unmatchedAgain := linked(rapid.Permutation(deals).Draw(t, "arrival"), attempts...)
		if !reflect.DeepEqual(links, again) || !reflect.DeepEqual(unmatched, unmatchedAgain) {
			t.Errorf("%s\nin another order\n%s", told(links, unmatched), told(again, unmatchedAgain))
		}
		for i := range attempts {
			for day := range 500 {
				at, contracts, none := always.From.AddDate(0, 0, day), map[string]int{}, 0
				for _, l := range links {
					if l.Attempt == i && !at.Before(l.From) && at.Before(l.To) {
						contracts[l.ContractID]++
						if l.Lag < 0 {
							t.Errorf("%+v", l)
						}
					}
				}
				for _, u := range unmatched {
					if u.Attempt == i && !at.Before(u.From) && at.Before(u.To) {
						none++
					}
				}
				if (len(contracts) > 0) == (none > 0) || none > 1 || contracts["c1"] > 1 || contracts["c2"] > 1 {
					t.Fatalf("attempt %d on day %d: links %v, unmatched %d", i, day, contracts, none)
				}
			}
		}
	})
}

// The sweep finds what the rule read word by word finds, span by span; and what is stored of contracts grows with their versions.
func TestLinkAccountIsThePlainRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		few := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
		var deals []DealVersion
		from := map[string]int{}
		for range few("versions", 14) {
			d := sold(fmt.Sprint("d", few("deal", 5)), fmt.Sprint("c", few("contract", 2)), 10*few("closed", 20))
			d.EndsAt = d.ClosedAt.AddDate(0, 0, 10*few("term", 12)-20)
			d.Type = rapid.SampledFrom([]churn.DealType{churn.DealNew, churn.DealRenewal, churn.DealRenewal, churn.DealExpansion}).Draw(t, "type")
			d.Outcome = rapid.SampledFrom([]churn.Outcome{churn.Won, churn.Won, churn.Won, churn.Lost}).Draw(t, "outcome")
			d.RenewalOf = rapid.SampledFrom([]string{"", "", "c0", "c1"}).Draw(t, "renewal of")
			begin := from[d.DealID] + 10*few("pause", 2)
			to := begin + 10*(1+few("for", 5))
			if few("still", 3) == 0 {
				to = -1
			}
			if from[d.DealID] < 0 {
				continue
			}
			known(begin, to)(&d)
			from[d.DealID] = to
			deals = append(deals, d)
		}
		var attempts []AttemptVersion
		for i := range 1 + few("attempts", 5) {
			a := asked(fmt.Sprint("t", i), rapid.SampledFrom([]string{"", "", "c0", "c1", "x"}).Draw(t, "names"), float64(5*few("at", 60)))
			a.From = always.From.AddDate(0, 0, 5*few("known", 12)-10)
			if few("corrected", 2) == 0 {
				a.To = a.From.AddDate(0, 0, 5+5*few("until", 12))
			}
			attempts = append(attempts, a)
		}
		if got, want := told(linked(deals, attempts...)), told(plainly(deals, attempts)); got != want {
			t.Fatalf("the rule gives\n%s\nthe sweep gives\n%s", want, got)
		}
		account := LinkAccount(deals, attempts)
		if stored := len(account.InForce); stored > 3*len(deals) {
			t.Fatalf("%d versions of deals make %d stretches in force", len(deals), stored)
		}
		for i, a := range account.InForce {
			for _, b := range account.InForce[i+1:] {
				if _, both := a.Span.Overlap(b.Span); both && a.ContractID == b.ContractID && a.Since.Before(b.Till) && b.Since.Before(a.Till) {
					t.Fatalf("in force twice: %+v and %+v", a, b)
				}
			}
		}
	})
}

// day reads an instant that a test names.
