package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn/outcomes"
	"github.com/aftershock/aftershock/rules/past"
	"github.com/aftershock/aftershock/simulate"
	"github.com/aftershock/aftershock/testservers/dataset"
)

// accountRules are those of the pack that speak of contracts or accounts; the others cannot be held against what became of them.
var accountRules = []string{"EarlyRenegotiation", "ExpansionAtRisk", "HardDealHandoff", "PriceAboveAnticipated", "ReferenceAtRisk", "RenewalAtRisk", "RepeatedRenegotiation"}

// backtested runs the command and returns what it says of outcomes.
func (s *server) backtested(t *testing.T, args ...string) *outcomes.Report {
	t.Helper()
	var r struct{ Outcomes *outcomes.Report }
	out := s.command(t, append([]string{"rules", "backtest", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r.Outcomes
}

// TestAlertsForetellWhatWasPutIn: of simulated clients it is known what becomes of them and why. Where hardness makes contracts go
// wrong, alerts foretell it; where it does not, though all else is the same, they do not, and the report says so.
func TestAlertsForetellWhatWasPutIn(t *testing.T) {
	t.Parallel()
	needEngine(t)
	for _, ratio := range []float64{1, 4} {
		t.Run("hazard ratio "+strconv.FormatFloat(ratio, 'f', -1, 64), func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			world := simulate.DefaultConfig()
			world.Accounts, world.From, world.To = 1200, time.Date(2023, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC)
			world.HazardRatio, world.TicketRate, world.HardShare = ratio, 2, 0.4
			simulation, err := simulate.New(world)
			if err != nil {
				t.Fatal(err)
			}
			s.produce(t, slices.Collect(simulation.Records()))
			s.asOf(t, "0 6 1 * *", world.To, world.To.Add(time.Hour)) // no tick: everything is stored and linked
			truth := filepath.Join(t.TempDir(), "truth.jsonl")
			if err := writeTruth(simulation, truth); err != nil {
				t.Fatal(err)
			}
			span := []string{"--from", world.From.Format(time.DateOnly), "--to", world.To.Format(time.DateOnly)}
			page := filepath.Join(t.TempDir(), "past.html")
			real := s.backtested(t, append(span, "--schedule", "0 6 1,15 * *", "--truth", truth, "--html", page)...)
			recorded := s.backtested(t, append(span, "--schedule", "0 6 1 1 *")...) // few ticks: of this only the outcomes are looked at
			t.Logf("%d terms, %d lost, %d downgraded; as recorded %d, %d, %d", real.Terms, real.Churned, real.Downgraded, recorded.Terms, recorded.Churned, recorded.Downgraded)
			if sum := simulation.Truth().Summary(); real.Churned > sum.Lost || real.Churned < sum.Lost*9/10 || recorded.Churned < real.Churned*8/10 {
				t.Errorf("%d contracts were lost and %d are recorded, of %d that the simulation counts", real.Churned, recorded.Churned, sum.Lost)
			}
			foretell := 0
			for _, r := range real.Rules {
				t.Logf("%s: %d alerts; precision %s; recall %s; %s days ahead; lift %s; %s", r.Rule, r.Alerts, past.ShareText(r.Precision), past.ShareText(r.Recall), past.LeadText(r.LeadDays), r.Lift.Text(), r.Verdict)
				if !slices.Contains(accountRules, r.Rule) {
					if r.Alerts != 0 {
						t.Errorf("%s is taken to speak of contracts", r.Rule)
					}
					continue
				}
				if r.Lift.Ratio != nil && *r.Lift.Low > 1 {
					foretell++
				}
				if ratio == 1 && r.Lift.Ratio != nil && r.Verdict != "no evidence that it foretells anything" {
					t.Errorf("hardness does nothing in this world, and yet of %s it is said: %s", r.Rule, r.Verdict)
				}
			}
			if ratio > 1 && foretell < 3 {
				t.Errorf("hardness makes contracts go wrong, and only %d rules are said to foretell it", foretell)
			}
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range real.Rules {
				if !strings.Contains(string(text), r.Rule) {
					t.Errorf("the page does not speak of %s", r.Rule)
				}
			}
		})
	}
}

// TestNoEvidenceInRavenStack: its negotiations and the classes of its tickets are drawn by hash, so what they lead to is chance.
func TestNoEvidenceInRavenStack(t *testing.T) {
	t.Parallel()
	needEngine(t)
	subscriptions, tickets := dataset.Path(t, "ravenstack/subscriptions.csv"), dataset.Path(t, "ravenstack/support_tickets.csv")
	s := newServer(t)
	for kind, export := range map[string]string{"deals": subscriptions, "tickets": tickets} {
		s.command(t, "import", kind, "--map", "../../deploy/mappings/ravenstack/drawn/"+kind+".jq", export)
	}
	end := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	s.asOf(t, "0 6 1 * *", end, end.Add(time.Hour))
	report := s.backtested(t, "--from", "2023-01-01", "--to", end.Format(time.DateOnly), "--schedule", "0 6 1,15 * *")
	t.Logf("%d terms, %d lost, %d downgraded", report.Terms, report.Churned, report.Downgraded)
	told := 0
	for _, r := range report.Rules {
		t.Logf("%s: %d alerts; precision %s; recall %s; %s days ahead; lift %s; %s", r.Rule, r.Alerts, past.ShareText(r.Precision), past.ShareText(r.Recall), past.LeadText(r.LeadDays), r.Lift.Text(), r.Verdict)
		if r.Lift.Ratio == nil {
			continue
		}
		told++
		if *r.Lift.Low > 1 || r.Lift.High != nil && *r.Lift.High < 1 || !strings.HasPrefix(r.Verdict, "no evidence") {
			t.Errorf("%s has a lift of %s, of what was drawn by chance: %s", r.Rule, r.Lift.Text(), r.Verdict)
		}
	}
	if told < 3 || report.Churned < 100 {
		t.Errorf("of %d rules a lift is told, from %d losses: too little to hold anything against", told, report.Churned)
	}
}
