package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/simulate"
)

// TestFormMakesAnUnknownDealHard: a deal of which the CRM knew only prices is completed by the form, and its hand-off fires with a
// brief of what the form says.
func TestFormMakesAnUnknownDealHard(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	closed := time.Now().Add(-48 * time.Hour).UTC().Truncate(time.Second)
	record := func(deal, account string) simulate.Record {
		return simulate.Record{Kind: simulate.Deal, Key: account, Value: []byte(`{"event_id":"crm-` + deal + `","deal_id":"` + deal + `","account_id":"` + account +
			`","account_name":"Example Ltd","closed_at":"` + closed.Format(time.RFC3339) + `","currency":"USD","signed_price":"120000.00","term_months":12,` +
			`"owners":{"account_executive":"Erin","account_manager":"Max"},"negotiation":{"vendor_concessions":[]}}`)}
	}
	s.produce(t, []simulate.Record{record("D-1", "A-1"), record("D-2", "A-2")})
	begin := time.Now()
	now := begin
	run := func() { // two minutes later each time, so that a tick of each minute is due
		t.Helper()
		now = now.Add(2 * time.Minute)
		s.untilIdle(t, "* * * * *", begin, now)
	}
	run()
	s.is(t, "SELECT count(), uniqExact(band), any(band) FROM deals", "2\t1\tunknown")
	s.is(t, "SELECT count() FROM alert_current WHERE rule = 'HardDealHandoff'", "0")

	const head = "deal_id,account_id,anticipated_price,ultimatums,tone,client_gave_up,client_was_refused,common_ground\n"
	form := func(lines string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "form.csv")
		if err := os.WriteFile(path, []byte(head+lines), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	events := func() string { return s.sql(t, "SELECT uniqExact(event_id) FROM deal_events") }
	const good = "D-1,A-1,100000.00,3,-0.8,payment terms = 9000; seats = 12000.50,price protection; exit clause; named support,none\n"

	err := s.refused(t, "import", "form", form(good+"D-2,A-1,1,,,,,\nD-9,A-9,1,,,,,\nD-2,A-2,,,5,,,\n"))
	for _, want := range []string{"line 3: deal D-2 belongs to account A-2, not to A-1", "line 4: deal D-9 is not in the warehouse", `line 5: tone "5"`, "nothing was sent"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("not said: %s\nsaid: %v", want, err)
		}
	}
	if dry := s.command(t, "import", "form", "--dry-run", form(good)); !strings.Contains(dry, "unknown") || !strings.Contains(dry, "hard") || !strings.Contains(dry, "1 deals would be corrected; nothing was sent") {
		t.Errorf("the dry run says\n%s", dry)
	}
	run()
	if n := events(); n != "2" {
		t.Errorf("after a form that was refused and a dry run there are %s events", n)
	}

	out := s.command(t, "import", "form", form(good))
	t.Log("\n" + out)
	s.command(t, "import", "form", form(good)) // before the first has arrived
	run()
	run() // the first tick after it became known
	s.is(t, "SELECT deal_id, band, revision FROM deals ORDER BY deal_id", "D-1\thard\t1\nD-2\tunknown\t0")
	s.is(t, "SELECT state, identity['account_id'] FROM alert_current WHERE rule = 'HardDealHandoff'", "firing\tA-1")
	s.is(t, `SELECT JSONExtractString(value, 'brief', 'client_gave_up', 1), JSONExtractString(value, 'brief', 'people', 1), JSONHas(value, 'brief', 'text')
		FROM alert_log WHERE rule = 'HardDealHandoff' AND topic = 'churn.handoffs'`, "seats (USD 12,000.50)\tErin (account executive)\t1")
	t.Log("\n" + s.sql(t, "SELECT JSONExtractString(value, 'brief', 'text') FROM alert_log WHERE rule = 'HardDealHandoff' AND topic = 'churn.handoffs' FORMAT TSVRaw"))

	if n := events(); n != "3" {
		t.Errorf("the same form twice made %s events of two", n)
	}
	s.is(t, "SELECT count() FROM alert_log WHERE rule = 'HardDealHandoff' AND topic != ''", "1")

	again := s.command(t, "import", "form", form(good))
	if !strings.Contains(again, "1 say what is known already, 0 deals corrected") {
		t.Errorf("the same form again says\n%s", again)
	}
	kafka, err := broker.Connect(s.config.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	held, err := (&broker.Positions{Kafka: kafka, Group: "nobody", Topics: []string{kafka.Topics().Deals}}).Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sent := int64(0)
	for _, end := range held.Ends {
		sent += end
	}
	if sent != 4 { // two deals, and one form twice before it was known
		t.Errorf("%d records on the topic of deals", sent)
	}
}
