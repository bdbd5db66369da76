package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/demo"
	"github.com/aftershock/aftershock/simulate"
	"github.com/aftershock/aftershock/sources"
	"github.com/aftershock/aftershock/testservers/dataset"
)

// demoEnd is the last line of `aftershock demo --once --json`.
type demoEnd struct {
	Events, Stored, Duplicates, Deals, Tickets, Attempts, Links int
	DeadLetters                                                 int `json:"dead_letters"`
	HardDeals                                                   int `json:"hard_deals"`
	AlertsPublished                                             int `json:"alerts_published"`
	Seconds                                                     float64
}

// TestDemoOnce: the whole road on embedded servers; a second run over the same data goes on with it and tells nothing twice.
func TestDemoOnce(t *testing.T) {
	t.Parallel()
	needEngine(t)
	dir := filepath.Join(t.TempDir(), "demo")
	demo := func(more ...string) demoEnd {
		t.Helper()
		out := command(t, append([]string{"demo", "--once", "--json", "--data-dir", dir}, more...)...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		var end demoEnd
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil {
			t.Fatalf("the last line is no JSON: %v\n%s", err, out)
		}
		t.Log(lines[len(lines)-1])
		return end
	}
	first := demo("--at", "2026-01-01T00:00:00Z", "--accounts", "500", "--days", "45")
	if first.Events == 0 || first.Events != first.Stored+first.Duplicates+first.DeadLetters {
		t.Errorf("%d events are not %d stored + %d duplicates + %d dead letters", first.Events, first.Stored, first.Duplicates, first.DeadLetters)
	}
	for what, n := range map[string]int{
		"alerts_published": first.AlertsPublished, "links": first.Links, "attempts": first.Attempts, "hard_deals": first.HardDeals,
		"deals": first.Deals, "tickets": first.Tickets, "duplicates": first.Duplicates, "dead_letters": first.DeadLetters,
	} {
		if n == 0 {
			t.Errorf("%s is 0", what)
		}
	}
	second := demo()
	if second.AlertsPublished != 0 {
		t.Errorf("the second run published %d transitions", second.AlertsPublished)
	}
	first.AlertsPublished, first.Seconds, second.Seconds = 0, 0, 0
	if second != first {
		t.Errorf("the second run counts\n%+v, the first\n%+v", second, first)
	}
}

// TestAnyOrderSameRows: what derives from events does not depend on the order in which they arrive, nor on how often.
func TestAnyOrderSameRows(t *testing.T) {
	t.Parallel()
	config := simulate.DefaultConfig()
	config.Accounts, config.TicketRate, config.AttemptRate, config.ChurnRate = 60, 3, 4, 0.4
	config.From, config.To = time.Date(2022, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC)
	config.LateShare, config.DuplicateShare, config.CorrectedShare, config.BrokenShare = 0.1, 0.1, 0.15, 0.03
	simulation, err := simulate.New(config)
	if err != nil {
		t.Fatal(err)
	}
	sorted := slices.Collect(simulation.Records())
	orders := []struct {
		name  string
		order func([]simulate.Record)
	}{
		{"sorted", func([]simulate.Record) {}},
		{"reversed", slices.Reverse[[]simulate.Record]},
		{"shuffled 1", shuffled(1)}, {"shuffled 2", shuffled(2)}, {"shuffled 3", shuffled(3)},
	}
	rows := map[string]string{} // of the first order
	for i, o := range orders {
		t.Run(o.name, func(t *testing.T) {
			records := slices.Clone(sorted)
			o.order(records)
			repeats := rand.New(rand.NewPCG(uint64(i), 7)) // of other records in each order
			for range len(records) / 5 {
				records = slices.Insert(records, repeats.IntN(len(records)+1), records[repeats.IntN(len(records))])
			}
			s := newServer(t)
			s.produce(t, records)
			// One tick of each group, after all of them.
			published := s.untilIdle(t, "0 6 1 * *", config.To, config.To.Add(12*time.Hour))
			s.is(t, "SELECT count() = countIf(tick_status IN ('run', 'caught_up')), uniqExact(tick) FROM alert_log WHERE i = 0", "1\t1")
			s.is(t, `SELECT (SELECT uniqExact(partition, offset) FROM deal_events) + (SELECT uniqExact(partition, offset) FROM ticket_events)
				+ (SELECT count() FROM rejected_events FINAL)`, strconv.Itoa(len(records)))
			links := s.linksAreThoseOfTheJoin(t)
			for name, query := range map[string]string{
				"deals":             "SELECT * FROM deals ORDER BY ALL FORMAT TSVWithNames",
				"tickets":           "SELECT * FROM tickets ORDER BY ALL FORMAT TSVWithNames",
				"attempts":          "SELECT * FROM attempts ORDER BY ALL FORMAT TSVWithNames",
				"links":             "SELECT * FROM links ORDER BY ALL FORMAT TSVWithNames",
				"unmatched":         "SELECT * FROM unmatched_attempts ORDER BY ALL FORMAT TSVWithNames",
				"firing":            "SELECT fingerprint, rule, mapSort(identity), episode, starts_at, value_at_risk FROM alert_current WHERE state = 'firing' ORDER BY ALL FORMAT TSVWithNames",
				"published_content": "SELECT transition_id, topic, key, value FROM alert_log WHERE topic != '' ORDER BY ALL FORMAT TSVWithNames",
			} {
				got := s.sql(t, query)
				if strings.Count(got, "\n") == 0 && name != "unmatched" {
					t.Errorf("%s is empty", name)
				}
				if i == 0 {
					rows[name] = got
				} else if got != rows[name] {
					t.Errorf("%s differ from those of the sorted order: %s", name, firstDifference(got, rows[name]))
				}
			}
			count := func(name string) int { return strings.Count(rows[name], "\n") }
			t.Logf("%d records: %d deals, %d tickets, %d links, %d firing, %d published",
				len(records), count("deals"), count("tickets"), links, count("firing"), published)
		})
	}
}

func shuffled(seed uint64) func([]simulate.Record) {
	return func(records []simulate.Record) {
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	}
}

// produce writes records as `aftershock simulate` does.
func (s *server) produce(t *testing.T, records []simulate.Record) {
	t.Helper()
	kafka, err := broker.Connect(s.config.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	p := broker.NewProducer(kafka)
	defer p.Close()
	for _, r := range records {
		if err := p.Add(t.Context(), demo.TopicOf(r, kafka.Topics()), r.Key, r.Value, r.KnownAt); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// hardnessRules are the rules that look at how a contract was negotiated.
const hardnessRules = "('HardDealHandoff', 'PriceAboveAnticipated', 'EarlyRenegotiation')"

// TestRavenStack: an export that knows nothing of negotiations goes all the way; nothing is invented. Then the same with facts
// that are drawn by a hash of the ids.
func TestRavenStack(t *testing.T) {
	t.Parallel()
	subscriptions, tickets := dataset.Path(t, "ravenstack/subscriptions.csv"), dataset.Path(t, "ravenstack/support_tickets.csv")
	won, lost, trials, opened, closed := 0, 0, 0, 0, 0
	for _, row := range readCSV(t, subscriptions) {
		switch {
		case row["is_trial"] == "True":
			trials++
		case row["churn_flag"] == "True":
			won, lost = won+1, lost+1
		default:
			won++
		}
	}
	for _, row := range readCSV(t, tickets) {
		opened++
		if row["closed_at"] != "" {
			closed++
		}
	}
	from, now := time.Date(2024, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)

	t.Run("as it is", func(t *testing.T) {
		s := newServer(t)
		for range 2 { // importing twice changes nothing
			s.imported(t, "deals", "ravenstack/deals.jq", subscriptions, won+trials, won+lost, trials)
			s.imported(t, "tickets", "ravenstack/tickets.jq", tickets, opened, opened+closed, 0)
		}
		s.untilIdle(t, "0 6 1 * *", from, now)
		s.is(t, "SELECT uniqExact(event_id), uniqExact(partition, offset) FROM deal_events", fmt.Sprintf("%d\t%d", won+lost, 2*(won+lost)))
		s.is(t, "SELECT uniqExact(event_id), uniqExact(partition, offset) FROM ticket_events", fmt.Sprintf("%d\t%d", opened+closed, 2*(opened+closed)))
		s.is(t, "SELECT count() FROM rejected_events", "0")
		s.is(t, "SELECT countIf(outcome = 'won'), countIf(outcome = 'lost'), count() FROM deals", fmt.Sprintf("%d\t%d\t%d", won, lost, won+lost))
		s.is(t, "SELECT count(), countIf(status = 'closed') FROM tickets", fmt.Sprintf("%d\t%d", opened, closed))
		s.is(t, "SELECT DISTINCT band FROM deals", "unknown")
		s.is(t, "SELECT count() > 0, min(unknown_deals = deals), min(arr_unknown > 0), countIf(field LIKE '%rounds%') FROM missing_inputs", "1\t1\t1\t1")
		s.is(t, "SELECT max(deals) FROM missing_inputs", strconv.Itoa(won))
		s.is(t, "SELECT count() FROM attempts", "0")
		s.is(t, "SELECT count() FROM links", "0")
		s.is(t, "SELECT count() FROM alert_log WHERE i > 0 AND rule != 'SourceStale'", "0")
		s.is(t, "SELECT uniqExact(tick), countIf(error != '') FROM rule_runs", "3\t0")
		t.Logf("%d won, %d lost, %d trials refused, %d tickets of which %d closed; missing:\n%s", won, lost, trials, opened, closed, s.sql(t, "SELECT field, deals, unknown_deals, arr_unknown, currency FROM missing_inputs ORDER BY ALL"))
	})

	t.Run("drawn", func(t *testing.T) {
		s := newServer(t)
		s.imported(t, "deals", "ravenstack/drawn/deals.jq", subscriptions, won+trials, won+lost, trials)
		s.imported(t, "tickets", "ravenstack/drawn/tickets.jq", tickets, opened, opened+closed, 0)
		published := s.untilIdle(t, "0 6 1 * *", from, now)
		s.is(t, "SELECT count() FROM deals", strconv.Itoa(won+lost))
		s.is(t, "SELECT count() FROM tickets", strconv.Itoa(opened))
		s.is(t, "SELECT count() FROM rejected_events", "0")
		s.is(t, "SELECT countIf(band = 'hard') > 0, countIf(band = 'soft') > 0 FROM deals WHERE outcome = 'won'", "1\t1")
		s.is(t, "SELECT count() > 0 FROM alert_log WHERE state = 'firing' AND rule IN "+hardnessRules, "1")
		links := s.linksAreThoseOfTheJoin(t)
		if links == 0 || published == 0 {
			t.Errorf("%d links, %d transitions published", links, published)
		}
		t.Logf("%d links as the join says, %d transitions published:\n%s", links, published, s.sql(t, "SELECT rule, state, count() FROM alert_log WHERE i > 0 GROUP BY ALL ORDER BY ALL"))
	})
}

// TestMavenCRM: every closed opportunity comes in, also where the export spells a product in another way than its own list;
// the open ones are refused.
func TestMavenCRM(t *testing.T) {
	t.Parallel()
	path := dataset.Path(t, "maven_crm/sales_pipeline.csv")
	won, lost, open, misspelt := 0, 0, 0, 0
	for _, row := range readCSV(t, path) {
		switch row["deal_stage"] {
		case "Won":
			won++
		case "Lost":
			lost++
		default:
			open++
			continue
		}
		if row["product"] == "GTXPro" {
			misspelt++
		}
	}
	s := newServer(t)
	summary := s.imported(t, "deals", "maven_crm/deals.jq", path, won+lost+open, won+lost, open)
	for _, r := range summary.Refused {
		if r.Code != sources.CodeRefused || !strings.HasPrefix(r.Reason, "still open: ") {
			t.Errorf("refused: %+v", r)
		}
	}
	s.untilIdle(t, "0 6 1 * *", time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2018, 1, 1, 12, 0, 0, 0, time.UTC))
	s.is(t, "SELECT countIf(outcome = 'won'), countIf(outcome = 'lost'), count() FROM deals", fmt.Sprintf("%d\t%d\t%d", won, lost, won+lost))
	s.is(t, "SELECT countIf(list_price IS NULL) FROM deals", "0")
	s.is(t, "SELECT count() FROM deals WHERE list_price = 4821", strconv.Itoa(misspelt)) // GTX Pro's, which no other product has
	s.is(t, "SELECT count() FROM rejected_events", "0")
	s.is(t, "SELECT DISTINCT band FROM deals", "unknown")
	t.Logf("%d won and %d lost came in, %d of them GTXPro; %d open were refused", won, lost, misspelt, open)
}

// imported imports an export by the command and holds its summary against what the export holds.
func (s *server) imported(t *testing.T, kind, mapping, export string, rows, events, refused int) sources.Summary {
	t.Helper()
	out := s.command(t, "import", kind, "--json", "--map", filepath.Join("../../deploy/mappings", mapping), export)
	var summary sources.Summary
	if err := json.Unmarshal([]byte(out), &summary); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if summary.Rows != rows || summary.Events != events || summary.RowsRefused != refused || summary.RowsSent != rows-refused {
		t.Errorf("%s %s: want %d rows, %d events, %d refused; it says\n%s", kind, mapping, rows, events, refused, summary)
	}
	return summary
}

// readCSV reads an export without any code of ours.
func readCSV(t *testing.T, path string) []map[string]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
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
