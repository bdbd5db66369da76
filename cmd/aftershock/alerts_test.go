package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/simulate"
)

// TestPeopleActOnAlerts: a pipeline runs, and what people say of an alert by commands, or another system by a record, is applied
// and published, once.
func TestPeopleActOnAlerts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	closed := time.Now().Add(-48 * time.Hour).UTC().Truncate(time.Second)
	deal := func(account string) simulate.Record {
		return simulate.Record{Kind: simulate.Deal, Key: account, Value: []byte(`{"event_id":"` + account + `","deal_id":"D-` + account + `","account_id":"` + account +
			`","account_name":"Example Ltd","closed_at":"` + closed.Format(time.RFC3339) + `","currency":"USD","signed_price":"130000","anticipated_price":"100000","term_months":12,` +
			`"owners":{"account_executive":"Erin","account_manager":"Max"},"negotiation":{"rounds":14,"ultimatums":4,"deadline_pressure":true,"escalations":4,"tone":-0.9,` +
			`"client_concessions":[{"term":"seats","value":"5000"}],"vendor_concessions":[],"unresolved_requests":["exit clause","price protection"],"common_ground":[]}}`)}
	}
	s.produce(t, []simulate.Record{deal("A-1"), deal("A-2")})
	config := s.config
	config.Evaluate.Schedule, config.Evaluate.UpkeepEvery = "* * * * * *", 200*time.Millisecond
	p := running(t, config)

	const ofHandoffs = "SELECT count() FROM alert_current WHERE rule = 'HardDealHandoff' AND state = 'firing'"
	eventually(t, func() bool { return s.sql(t, ofHandoffs) == "2" })
	var listed []alert.Line
	if err := json.Unmarshal([]byte(s.command(t, "alerts", "list", "--rule", "HardDealHandoff", "--json")), &listed); err != nil || len(listed) != 2 {
		t.Fatalf("%v: %+v", err, listed)
	}
	first, second := listed[0].Fingerprint, listed[1].Fingerprint
	if listed[0].AccountID != "A-1" {
		first, second = second, first
	}
	t.Log("\n" + s.command(t, "alerts", "list"))

	const wait = "2m" // how long it takes is no matter of the test
	state := func(fingerprint string) string {
		return s.sql(t, "SELECT state, reason, feedback_by, feedback_reason, disposition, topic != '' FROM alert_current WHERE fingerprint = '"+fingerprint+"'")
	}
	if out := s.command(t, "alerts", "ack", first[:alert.Shown], "--by", "max", "--why", "call on Monday", "--wait", wait); !strings.Contains(out, "ack, by max") {
		t.Error(out)
	}
	if got := state(first); got != "acknowledged\tacknowledged\tmax\tcall on Monday\t\t1" {
		t.Error(got)
	}
	if err := s.refused(t, "alerts", "ack", first, "--by", "kim", "--wait", wait); err == nil || !strings.Contains(err.Error(), "it was acknowledged before, by max") {
		t.Errorf("a second acknowledgement: %v", err)
	}
	s.command(t, "alerts", "judge", first, "--by", "max", "--disposition", "true", "--wait", wait)
	s.command(t, "alerts", "close", first, "--by", "max", "--why", "they renewed", "--wait", wait)
	if got := state(first); got != "resolved\tclosed\tmax\tthey renewed\ttrue\t1" {
		t.Error(got)
	}
	show := s.command(t, "alerts", "show", first)
	t.Log("\n" + show)
	for _, want := range []string{"hardness ", "acknowledged (acknowledged) by max: call on Monday", "resolved (closed) by max: they renewed", "playbook"} {
		if !strings.Contains(show, want) {
			t.Errorf("show does not say %q", want)
		}
	}

	// Another system knows nothing but the key, and sends the same record twice; a broken one is a dead letter.
	kafka := p.Kafka
	producer := broker.NewProducer(kafka)
	defer producer.Close()
	for _, value := range []string{
		`{"who":"crm-sync","what":"ack","why":"task 17 is open"}`, `{"who":"crm-sync","what":"ack","why":"task 17 is open"}`,
		`{"who":"crm-sync","what":"shout"}`, `{"who":"crm-sync","what":"ack","fingerprint":"nobody"}`,
	} {
		if err := producer.Add(t.Context(), kafka.Topics().Feedback, second, []byte(value), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := producer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return strings.HasPrefix(state(second), "acknowledged\tacknowledged\tcrm-sync") })
	eventually(t, func() bool {
		return s.sql(t, "SELECT count() FROM alert_log ARRAY JOIN feedback_outcomes AS o WHERE o = 'no alert has this fingerprint'") == "1"
	})
	eventually(t, func() bool { return s.sql(t, "SELECT code, source FROM rejected_events") == "bad_value\tfeedback" })
	s.is(t, "SELECT count() FROM alert_log WHERE fingerprint = '"+second+"' AND state = 'acknowledged'", "1")
	// A closed alert stays closed while its row stays, tick after tick.
	ticks := "SELECT max(n) > (SELECT max(n) + 2 FROM alert_log WHERE fingerprint = '" + first + "') FROM alert_log WHERE group_name = 'handoffs' AND tick_status != 'feedback'"
	eventually(t, func() bool { return s.sql(t, ticks) == "1" })
	if got := state(first); !strings.HasPrefix(got, "resolved\tclosed") {
		t.Error(got)
	}
}

// running is a pipeline that runs until the test ends.
func running(t *testing.T, config pipeline.Config) *pipeline.Pipeline {
	t.Helper()
	p, err := pipeline.Open(config, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, map[string]bool{pipeline.RoleConsume: true, pipeline.RoleEvaluate: true}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the pipeline: %v", err)
		}
		p.Close()
	})
	return p
}

// eventually waits for what must come; how long it takes is no matter of the test.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come within two minutes")
		}
	}
}
