package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aftershock/aftershock/simulate"
	"github.com/aftershock/aftershock/testservers"
	"github.com/aftershock/aftershock/testservers/alertmanager"
	"github.com/aftershock/aftershock/warehouse"
)

// TestAlertmanagerShowsWhatTheLogSays: the whole road to a real Alertmanager, in two runs of which the second is a restart. What
// it shows in the end is what people were told of and is not over; the holdout is not among it.
func TestAlertmanagerShowsWhatTheLogSays(t *testing.T) {
	t.Parallel()
	needEngine(t)
	const quiet = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
	server := testservers.Alertmanager(t, alertmanager.Options{Config: quiet})
	s := newServer(t)
	s.config.Publish.Alertmanager.URLs = []string{server.URL()}
	s.config.Evaluate.HoldoutShare = 0.2
	config := simulate.DefaultConfig()
	config.Accounts, config.From, config.To = 200, time.Date(2024, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC)
	simulation, err := simulate.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s.produce(t, slices.Collect(simulation.Records()))
	for _, now := range []time.Time{config.To.AddDate(0, 0, -30), config.To} {
		published := s.asOf(t, "0 6 * * 1", config.To.AddDate(0, -3, 0), now)
		var shown []struct{ Labels map[string]string }
		response, err := http.Get(server.URL() + "/api/v2/alerts")
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(response.Body).Decode(&shown)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range shown {
			got = append(got, a.Labels["fingerprint"]+" "+a.Labels["episode"]+" "+a.Labels["alertname"]+" "+a.Labels["account"])
		}
		slices.Sort(got)
		want := strings.Split(strings.TrimSpace(s.sql(t, `SELECT concat(fingerprint, ' ', toString(episode), ' ', rule, if(account_id = '', ' ', concat(' ', account_id)))
			FROM alert_current WHERE state IN ('firing', 'reminder', 'acknowledged', 'snoozed') AND arm = 'treatment' ORDER BY fingerprint`)), "\n")
		if !slices.Equal(got, want) {
			t.Errorf("at %s Alertmanager shows %d alerts, and %d stand open: %s", now, len(got), len(want), firstDifference(strings.Join(got, "\n"), strings.Join(want, "\n")))
		}
		held := s.sql(t, "SELECT count() FROM alert_current WHERE state = 'firing' AND arm = 'holdout'")
		if n, _ := strconv.Atoi(strings.TrimSpace(held)); n == 0 || len(want) < 10 {
			t.Errorf("%d alerts stand open and %s are held out: too few to tell anything", len(want), held)
		}
		t.Logf("at %s, after %d transitions, Alertmanager shows %d alerts; %s more are held out", now.Format(time.DateOnly), published, len(got), strings.TrimSpace(held))
	}
}

// TestWebhookIsToldOnceByTheRealProgram: the configuration from the environment, the whole road, a restart. What is refused is
// found by a query.
func TestWebhookIsToldOnceByTheRealProgram(t *testing.T) {
	needEngine(t)
	var mu sync.Mutex
	told := map[string]int{}
	refused, begun := "", false
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		id := r.Header.Get("Idempotency-Key")
		if begun && refused == "" {
			refused = id
		}
		told[id]++
		if id == refused {
			http.Error(w, "not this one", http.StatusUnprocessableEntity)
		}
	}))
	defer chat.Close()
	s := newServer(t)
	t.Setenv("AFTERSHOCK_PUBLISH_WEBHOOKS", fmt.Sprintf(`[{name: chat, url: %q, template: ../../deploy/webhooks/slack.tmpl, tries: 1}]`, chat.URL))
	doctor, _, err := rootCommand().Find([]string{"doctor"})
	if err != nil {
		t.Fatal(err)
	}
	if err := doctor.ParseFlags(nil); err != nil { // takes in those of the root
		t.Fatal(err)
	}
	config, err := loadConfig(doctor)
	if err != nil {
		t.Fatal(err)
	}
	s.config.Publish = config.Publish
	simulated := simulate.DefaultConfig()
	simulated.Accounts, simulated.From, simulated.To = 100, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC)
	simulation, err := simulate.New(simulated)
	if err != nil {
		t.Fatal(err)
	}
	s.produce(t, slices.Collect(simulation.Records()))
	for _, now := range []time.Time{simulated.To.AddDate(0, 0, -30), simulated.To, simulated.To} {
		s.asOf(t, "0 6 * * 1", simulated.To.AddDate(0, -2, 0), now)
		begun = true
	}
	s.is(t, "SELECT count() FROM alert_log WHERE topic != ''", strconv.Itoa(len(told)))
	for id, n := range told {
		if n != 1 {
			t.Errorf("%s was sent %d times", id, n)
		}
	}
	s.is(t, "SELECT transition_id, detail FROM alert_deliveries WHERE destination = 'webhook chat' AND outcome = 'refused'", refused+"\tit answered 422 Unprocessable Entity: not this one")
	s.is(t, "SELECT uniqExact(transition_id) FROM alert_deliveries WHERE destination = 'webhook chat' AND outcome = 'accepted'", strconv.Itoa(len(told)-1))
	if len(told) < 10 {
		t.Errorf("only %d transitions were sent", len(told))
	}
	t.Logf("%d transitions were sent once each", len(told))

	// Who looks finds it, and has it sent again once it can be taken; what a later transition superseded is not sent.
	var found []warehouse.FoundDelivery
	list := func(args ...string) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.command(t, append([]string{"deliveries", "list", "--json"}, args...)...)), &found); err != nil {
			t.Fatal(err)
		}
	}
	if list("--refused"); len(found) != 1 || found[0].ID != refused || found[0].Detail != "it answered 422 Unprocessable Entity: not this one" || found[0].Rule == "" {
		t.Fatalf("%+v", found)
	}
	t.Log("\n" + s.command(t, "deliveries", "list", "--refused"))
	if err := s.refused(t, "deliveries", "resend", "nonsense"); err == nil || !strings.Contains(err.Error(), "nothing of that was refused") {
		t.Errorf("what was not refused is sent again: %v", err)
	}
	if out := s.command(t, "deliveries", "resend", refused); !strings.Contains(out, "1 deliveries will be tried again") {
		t.Error(out)
	}
	again, times := refused, 2
	if found[0].Superseded {
		times = 1
	}
	refused = "none"
	s.asOf(t, "0 6 * * 1", simulated.To.AddDate(0, -2, 0), simulated.To.Add(time.Minute))
	if told[again] != times {
		t.Errorf("it was sent %d times, want %d", told[again], times)
	}
	if list("--refused"); len(found) > 0 {
		t.Errorf("still refused: %+v", found)
	}
}
