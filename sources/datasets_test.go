package sources

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/attempts"
	"github.com/aftershock/aftershock/testservers/dataset"
)

// readAll reads a CSV without any code of this package.
func readAll(t *testing.T, path string) []map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			row[name] = line[i]
		}
		all = append(all, row)
	}
	return all
}

func amount(m churn.OptionalMoney, want string) bool {
	return m.Known && m.Amount.Cmp(churn.MustMoney(want).Amount) == 0
}

type imported struct {
	Summary
	records []Record
	digest  [32]byte // of all records in order
}

func (i *imported) deals(t *testing.T) map[string]churn.DealClosed {
	t.Helper()
	all := map[string]churn.DealClosed{}
	for _, r := range i.records {
		d, err := churn.DecodeDeal(r.Value, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := all[d.DealID]; twice {
			t.Fatalf("deal %s twice", d.DealID)
		}
		all[d.DealID] = d
	}
	return all
}

func importFile(t *testing.T, kind Kind, mapping, export string) *imported {
	t.Helper()
	m, err := LoadMapping(filepath.Join("../deploy/mappings", mapping))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.LoadTables(nil, export); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(export)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out imported
	h := sha256.New()
	ids := map[string]bool{}
	out.Summary, err = Import{Kind: kind, Mapping: m, File: export, Output: func(_ context.Context, r Record) error {
		out.records = append(out.records, r)
		fmt.Fprintf(h, "%s %s %s\n", r.Key, r.KnownAt, r.Value)
		var id string
		if kind == Deals {
			d, _ := churn.DecodeDeal(r.Value, time.Time{})
			id = d.EventID
		} else {
			d, _ := churn.DecodeTicket(r.Value, time.Time{})
			id = d.EventID
		}
		if id == "" || ids[id] {
			t.Errorf("event_id %q stands on two events", id)
		}
		ids[id] = true
		if r.KnownAt.IsZero() {
			t.Errorf("%s has no time of knowing", id)
		}
		return nil
	}}.Run(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	if out.Rows != out.RowsSent+out.RowsRefused+out.RowsPassedOver || out.RowsPassedOver != 0 || out.Repeated+out.Conflicting != 0 {
		t.Errorf("rows are not accounted for: %s", out.Summary)
	}
	h.Sum(out.digest[:0])
	return &out
}

func (i *imported) refused() map[string]int {
	counts := map[string]int{}
	for _, r := range i.Refused {
		counts[r.Code+": "+r.Reason] += r.Rows
	}
	return counts
}

func TestRavenStackDeals(t *testing.T) {
	path := dataset.Path(t, "ravenstack/subscriptions.csv")
	rows := readAll(t, path)
	for _, mapping := range []string{"ravenstack/deals.jq", "ravenstack/drawn/deals.jq"} {
		t.Run(mapping, func(t *testing.T) {
			got := importFile(t, Deals, mapping, path)
			if again := importFile(t, Deals, mapping, path); again.digest != got.digest {
				t.Error("a second import gives other bytes")
			}
			deals := got.deals(t)
			won, lost, trials := 0, 0, 0
			for _, r := range rows {
				d, isDeal := deals[r["subscription_id"]]
				end, isLost := deals[r["subscription_id"]+"-lost"]
				if r["is_trial"] == "True" {
					if trials++; isDeal || isLost {
						t.Errorf("the trial %s became a deal", r["subscription_id"])
					}
					continue
				}
				won++
				switch {
				case !isDeal || d.Outcome != churn.Won || d.AccountID != r["account_id"] || d.ContractID != r["subscription_id"]:
					t.Errorf("%v became %+v", r, d)
				case !amount(d.SignedPrice, r["arr_amount"]) || !amount(d.AnnualValue, r["arr_amount"]) || d.Currency != "USD":
					t.Errorf("%v has the price %v", r, d.SignedPrice)
				case d.ClosedAt.Format(time.DateOnly) != r["start_date"] || !d.EndsAt.IsZero() || d.TermMonths != 0:
					t.Errorf("%v: closed %s, ends %s: a won deal must not know its end", r, d.ClosedAt, d.EndsAt)
				case d.Segment == "" || d.AccountName == "":
					t.Errorf("%v: not found in accounts.csv", r)
				case (d.Negotiation != nil) != strings.Contains(mapping, "drawn"):
					t.Errorf("%v: negotiation %+v", r, d.Negotiation)
				}
				if isLost != (r["churn_flag"] == "True") {
					t.Errorf("%v: lost renewal %v", r, isLost)
				}
				if isLost {
					lost++
					if end.Outcome != churn.Lost || end.Type != churn.DealRenewal || end.ContractID != r["subscription_id"] ||
						end.ClosedAt.Format(time.DateOnly) != r["end_date"] || end.DealID <= d.DealID {
						t.Errorf("%v ended as %+v", r, end)
					}
				}
			}
			if len(rows) != 5000 || got.Rows != len(rows) || got.RowsSent != won || got.Events != won+lost || got.RowsRefused != trials {
				t.Errorf("%d rows, %d won, %d lost, %d trials; imported as %s", len(rows), won, lost, trials, got.Summary)
			}
			if r := got.refused(); len(r) != 1 || r["refused_by_mapping: a trial: nothing was signed"] != trials {
				t.Errorf("refused %v", r)
			}
			t.Logf("%d rows: %d won, %d lost renewals, %d trials", len(rows), won, lost, trials)
		})
	}
}

// TestKnownAtIsNotBeforeWhatItTells: no event says what happened after it became known.
func TestKnownAtIsNotBeforeWhatItTells(t *testing.T) {
	for _, r := range importFile(t, Deals, "ravenstack/deals.jq", dataset.Path(t, "ravenstack/subscriptions.csv")).records {
		if d, _ := churn.DecodeDeal(r.Value, time.Time{}); r.KnownAt.Before(d.ClosedAt) {
			t.Fatalf("%s was known at %s", r.Value, r.KnownAt)
		}
	}
	for _, r := range importFile(t, Tickets, "ravenstack/tickets.jq", dataset.Path(t, "ravenstack/support_tickets.csv")).records {
		d, _ := churn.DecodeTicket(r.Value, time.Time{})
		if r.KnownAt.Before(d.OccurredAt) || d.Revision == 0 && (d.Satisfaction != nil || d.Tags != nil || d.Status != "open") {
			t.Fatalf("%s was known at %s", r.Value, r.KnownAt)
		}
	}
}

func TestRavenStackTickets(t *testing.T) {
	path := dataset.Path(t, "ravenstack/support_tickets.csv")
	rows := readAll(t, path)
	for _, mapping := range []string{"ravenstack/tickets.jq", "ravenstack/drawn/tickets.jq"} {
		t.Run(mapping, func(t *testing.T) {
			got := importFile(t, Tickets, mapping, path)
			if again := importFile(t, Tickets, mapping, path); again.digest != got.digest {
				t.Error("a second import gives other bytes")
			}
			revisions := map[string][2]*churn.SupportTicket{}
			for _, r := range got.records {
				d, err := churn.DecodeTicket(r.Value, time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				pair := revisions[d.TicketID]
				pair[d.Revision] = &d
				revisions[d.TicketID] = pair
			}
			texts := map[string]int{}
			for _, r := range rows {
				pair := revisions[r["ticket_id"]]
				opened, closed := pair[0], pair[1]
				if opened == nil || closed == nil || opened.AccountID != r["account_id"] || opened.OpenedAt.Format(time.DateOnly) != r["submitted_at"] ||
					closed.OccurredAt.Format(time.DateTime) != r["closed_at"] || (closed.Satisfaction != nil) != (r["satisfaction_score"] != "") ||
					closed.Body != opened.Body {
					t.Fatalf("%v became %+v and %+v", r, opened, closed)
				}
				texts[opened.Body]++
			}
			if len(rows) != 2000 || got.Rows != 2000 || got.RowsSent != 2000 || got.Events != 4000 {
				t.Errorf("got %s", got.Summary)
			}
			if drawn := strings.Contains(mapping, "drawn"); drawn != (len(texts) > 30) {
				t.Errorf("%d texts", len(texts))
			}
		})
	}
}

// TestDrawnTicketsCarryTheirClass: of the sentences of drawn/tickets.jq, those of a class are recognised as that class
// and the others as none. The test asks the classifier that the pipeline uses.
func TestDrawnTicketsCarryTheirClass(t *testing.T) {
	m, err := LoadMapping("../deploy/mappings/ravenstack/drawn/tickets.jq")
	if err != nil {
		t.Fatal(err)
	}
	perClass, drawn := map[string]int{}, map[string]string{}
	const n = 20_000
	for i := range n {
		out, err := m.run(context.Background(), map[string]any{"ticket_id": "T-" + itoa(i), "account_id": "A", "submitted_at": "2024-01-01", "closed_at": "",
			"priority": "low", "satisfaction_score": "", "escalation_flag": "False"}, 1, "x")
		if err != nil {
			t.Fatal(err)
		}
		body := out[0].(map[string]any)["body"].(string)
		class, known := drawn[body]
		if !known {
			class = "none"
			ticket := churn.SupportTicket{OpenedAt: time.Now(), Body: body}
			if f := attempts.Default().Classify(&ticket).Findings; len(f) > 0 {
				class = f[0].Class
			}
			drawn[body] = class
		}
		perClass[class]++
	}
	if share := float64(perClass["none"]) / n; math.Abs(share-0.6) > 0.02 {
		t.Errorf("%.3f of the tickets carry no class, 0.6 were drawn so", share)
	}
	for _, class := range []string{attempts.ClassPriceReduction, attempts.ClassTermsChange, attempts.ClassEarlyTermination, attempts.ClassDowngrade, attempts.ClassSLACredit,
		attempts.ClassInvoiceDispute, attempts.ClassScopeDemand, attempts.ClassCompetitorBenchmark, attempts.ClassContractQuestion, attempts.ClassReferenceRefused} {
		if share := float64(perClass[class]) / n; math.Abs(share-0.04) > 0.02 {
			t.Errorf("%.3f of the tickets carry %s, about 0.04 were drawn so", share, class)
		}
	}
	if t.Failed() {
		for body, class := range drawn {
			t.Logf("%s: %s", class, body)
		}
	}
}

// TestDrawnFactsAreIndependentOfChurn: drawn negotiation facts must not tell who churns, or the negative control is none.
func TestDrawnFactsAreIndependentOfChurn(t *testing.T) {
	path := dataset.Path(t, "ravenstack/subscriptions.csv")
	deals := importFile(t, Deals, "ravenstack/drawn/deals.jq", path).deals(t)
	var sum, n [2]float64 // by churned or not: rounds
	for _, r := range readAll(t, path) {
		if d, ok := deals[r["subscription_id"]]; ok {
			i := 0
			if r["churn_flag"] == "True" {
				i = 1
			}
			sum[i] += float64(*d.Negotiation.Rounds)
			n[i]++
		}
	}
	// Rounds are uniform on 1..10: variance 8.25.
	z := (sum[1]/n[1] - sum[0]/n[0]) / math.Sqrt(8.25/n[0]+8.25/n[1])
	if math.Abs(z) > 3.3 {
		t.Errorf("rounds of churned and kept subscriptions differ by %.1f standard errors", z)
	}
}

func TestMavenCRM(t *testing.T) {
	path := dataset.Path(t, "maven_crm/sales_pipeline.csv")
	rows := readAll(t, path)
	got := importFile(t, Deals, "maven_crm/deals.jq", path)
	if again := importFile(t, Deals, "maven_crm/deals.jq", path); again.digest != got.digest {
		t.Error("a second import gives other bytes")
	}
	price := map[string]string{}
	for _, p := range readAll(t, dataset.Path(t, "maven_crm/products.csv")) {
		price[strings.ReplaceAll(p["product"], " ", "")] = p["sales_price"]
	}
	manager := map[string]string{}
	for _, p := range readAll(t, dataset.Path(t, "maven_crm/sales_teams.csv")) {
		manager[p["sales_agent"]] = p["manager"]
	}
	deals := got.deals(t)
	counts := map[string]int{}
	for _, r := range rows {
		d, in := deals[r["opportunity_id"]]
		counts[r["deal_stage"]]++
		closed := r["deal_stage"] == "Won" || r["deal_stage"] == "Lost"
		if closed != in {
			t.Fatalf("%v is in: %v", r, in)
		}
		if !closed {
			continue
		}
		if string(d.Outcome) != strings.ToLower(r["deal_stage"]) || d.AccountID != r["account"] || d.ClosedAt.Format(time.DateOnly) != r["close_date"] ||
			d.Negotiation.OpenedAt.Format(time.DateOnly) != r["engage_date"] || !amount(d.ListPrice, price[strings.ReplaceAll(r["product"], " ", "")]) ||
			d.Owners.AccountExecutive != r["sales_agent"] || d.Owners.AccountManager != manager[r["sales_agent"]] || d.Owners.Team == "" || d.Segment == "" {
			t.Fatalf("%v became %+v", r, d)
		}
		if d.SignedPrice.Known != (r["deal_stage"] == "Won") || d.SignedPrice.Known && !amount(d.SignedPrice, r["close_value"]) {
			t.Fatalf("%v has the price %v", r, d.SignedPrice)
		}
	}
	want := map[string]int{"refused_by_mapping: still open: Engaging": counts["Engaging"], "refused_by_mapping: still open: Prospecting": counts["Prospecting"]}
	if len(rows) != 8800 || got.Events != counts["Won"]+counts["Lost"] || fmt.Sprint(got.refused()) != fmt.Sprint(want) {
		t.Errorf("%v; imported as %s", counts, got.Summary)
	}
	t.Logf("%d rows: %v", len(rows), counts)
}

// BenchmarkImport says how many rows of a real export a second go through a mapping with a side table.
func BenchmarkImport(b *testing.B) {
	path := dataset.Path(b, "ravenstack/subscriptions.csv")
	m, err := LoadMapping("../deploy/mappings/ravenstack/deals.jq")
	if err != nil {
		b.Fatal(err)
	}
	if err := m.LoadTables(nil, path); err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	rows := 0
	for b.Loop() {
		s, err := Import{Kind: Deals, Mapping: m, File: path}.Run(context.Background(), strings.NewReader(string(text)))
		if err != nil {
			b.Fatal(err)
		}
		rows += s.Rows
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
