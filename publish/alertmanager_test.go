package publish_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/publish"
	"github.com/aftershock/aftershock/testservers"
	"github.com/aftershock/aftershock/testservers/alertmanager"
)

// shown is an alert as a real Alertmanager shows it.
type shown struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
	GeneratorURL        string
	Status              struct {
		State                   string
		SilencedBy, InhibitedBy []string
	}
}

// notified is what Alertmanager told a receiver of one alert.
type notified struct{ Group, Status, Rule, Fingerprint, Episode string }

// station is a real Alertmanager, someone who listens to it, and a log that it is told from.
type station struct {
	t       *testing.T
	server  *alertmanager.Alertmanager
	options alertmanager.Options
	log     *alertLog
	relay   *publish.Relay

	mu   sync.Mutex
	told []notified
}

// It groups by account, inhibits weaker alerts of an account by stronger ones, and tells at once.
const stationConfig = `
route: {receiver: us, group_by: [account], group_wait: 50ms, group_interval: 300ms, repeat_interval: 1h}
receivers: [{name: us, webhook_configs: [{url: %q, send_resolved: true}]}]
inhibit_rules: [{source_matchers: [severity="critical"], target_matchers: [severity=~"info|warning"], equal: [account]}]
`

func newStation(t *testing.T) *station {
	s := &station{t: t, log: &alertLog{}}
	listener := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var message struct {
			GroupLabels map[string]string
			Alerts      []struct {
				Status string
				Labels map[string]string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, a := range message.Alerts {
			s.told = append(s.told, notified{message.GroupLabels["account"], a.Status, a.Labels["alertname"], a.Labels["fingerprint"], a.Labels["episode"]})
		}
	}))
	t.Cleanup(listener.Close)
	s.options = alertmanager.Options{Config: fmt.Sprintf(stationConfig, listener.URL), Dir: t.TempDir()}
	s.server = testservers.Alertmanager(t, s.options)
	s.options.Port = s.server.Port()
	s.restartUs()
	return s
}

// restartUs is a new process of ours.
func (s *station) restartUs() {
	config := publish.DefaultConfig().Alertmanager
	config.RefreshEvery = time.Millisecond // with every flush
	logger := slog.New(slog.NewTextHandler(s.t.Output(), nil))
	s.relay = &publish.Relay{Log: s.log, Logger: logger, Destination: &publish.Alertmanager{
		Config: config, URL: s.server.URL(), Link: "https://here.example/{fingerprint}", Log: s.log, Logger: logger,
	}}
}

func (s *station) stopServer() {
	s.t.Helper()
	if err := s.server.Stop(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *station) startServer() {
	s.t.Helper()
	s.server = testservers.Alertmanager(s.t, s.options)
}

// happens appends transitions and delivers them.
func (s *station) happens(transitions ...alert.Transition) {
	s.t.Helper()
	s.log.append("g", transitions...)
	flush(s.t, s.relay, len(transitions))
}

func (s *station) get(path string, into any) {
	s.t.Helper()
	response, err := http.Get(s.server.URL() + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		s.t.Fatal(err)
	}
}

// shows returns the open alerts of a fingerprint.
func (s *station) shows(fingerprint string) (all []shown) {
	s.t.Helper()
	s.get("/api/v2/alerts?filter="+url.QueryEscape(fmt.Sprintf("fingerprint=%q", fingerprint)), &all)
	return all
}

// one is the only open alert of a fingerprint.
func (s *station) one(fingerprint string) shown {
	s.t.Helper()
	all := s.shows(fingerprint)
	if len(all) != 1 {
		s.t.Fatalf("%d alerts of %s are open: %+v", len(all), fingerprint, all)
	}
	return all[0]
}

// eventually waits for what another process does in its own time.
func (s *station) eventually(what string, is func() bool) {
	s.t.Helper()
	bound := within(s.t)
	for !is() {
		select {
		case <-bound.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			s.t.Fatalf("it did not come to this: %s; told was %+v", what, s.told)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *station) isTold(want notified) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("people are told %+v", want), func() bool { return slices.Contains(s.everTold(), want) })
}

// noted waits until Alertmanager has noted whom it told: it does so after their answer, and one that is stopped in between tells
// nobody of the end. A group looks at its notes again only after it has written them; there are two.
func (s *station) noted() {
	s.t.Helper()
	before := s.looksAtNotes()
	s.eventually("each group looks at its notes again", func() bool { return s.looksAtNotes() >= before+4 })
}

var looksAtNotes = regexp.MustCompile(`(?m)^alertmanager_nflog_queries_total (\d+)$`)

func (s *station) looksAtNotes() int {
	s.t.Helper()
	response, err := http.Get(s.server.URL() + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	found := looksAtNotes.FindSubmatch(text)
	if found == nil {
		s.t.Fatal("Alertmanager does not say how often it looks at its notes")
	}
	n, _ := strconv.Atoi(string(found[1]))
	return n
}

func (s *station) everTold() []notified {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}

// is one transition of an alert about an account.
func is(state alert.State, fingerprint, account, severity string, episode, sequence int) alert.Transition {
	t := transition("alerts", fingerprint, episode, sequence)
	t.Rule, t.State, t.Severity, t.Kind, t.AccountID, t.ContractID = "Rule"+strings.ToUpper(fingerprint), state, severity, "risk", account, "K-1"
	t.StartsAt = time.Now().Add(-time.Hour).Truncate(time.Millisecond).UTC()
	t.Labels = map[string]string{"owner": "Ana", "sla-tier": "gold", "empty": "", "severity": "of the rule"}
	t.Annotations = map[string]string{"summary": "it is so", "playbook": "docs/playbooks/x.md"}
	t.ValueAtRisk, t.Currency = churn.OptionalMoney{Known: true, Amount: money("48000")}, "EUR"
	t.Value = fmt.Appendf(nil, `{"schema_version": 1, "transition_id": "x", "status": "firing", "fingerprint": %q, "episode": %d, "sequence": %d, "account": {"account_id": %q, "account_name": "Acme", "team": "North"}, "brief": {"text": "call them"}}`,
		fingerprint, episode, sequence, account)
	switch state {
	case alert.Resolved:
		t.ResolvedAt = time.Now()
	case alert.Acknowledged:
		t.By, t.Why = "bob", "on it"
	case alert.Snoozed:
		t.By, t.Why, t.SnoozedUntil = "bob", "holiday", time.Now().Add(48*time.Hour).Truncate(time.Millisecond).UTC()
	}
	return t
}

func TestAlertmanagerShowsAnAlertWhole(t *testing.T) {
	s := newStation(t)
	stored := is(alert.Firing, "untold", "A", "warning", 1, 1)
	stored.Topic = ""
	s.log.append("g", stored)
	firing := is(alert.Firing, "a", "A", "warning", 1, 1)
	s.happens(firing)
	got := s.one("a")
	for name, want := range map[string]string{
		"alertname": "RuleA", "severity": "warning", "kind": "risk", "account": "A", "contract": "K-1", "owner": "Ana", "team": "North", "fingerprint": "a",
		"episode": "1", "source": "aftershock", "sla_tier": "gold", "empty": "",
	} {
		if got.Labels[name] != want {
			t.Errorf("the label %s is %q, want %q", name, got.Labels[name], want)
		}
	}
	for name, want := range map[string]string{"summary": "it is so", "playbook": "docs/playbooks/x.md", "value_at_risk": "48000 EUR", "account_name": "Acme", "brief": "call them", "status": "firing"} {
		if got.Annotations[name] != want {
			t.Errorf("the annotation %s is %q, want %q", name, got.Annotations[name], want)
		}
	}
	if !got.StartsAt.Equal(firing.StartsAt) || !got.EndsAt.After(time.Now()) || got.GeneratorURL != "https://here.example/a" {
		t.Errorf("%+v", got)
	}
	s.isTold(notified{"A", "firing", "RuleA", "a", "1"})
	if stored := s.shows("untold"); len(stored) > 0 {
		t.Errorf("what is stored only is shown: %+v", stored)
	}
	s.happens(is(alert.Resolved, "a", "A", "warning", 1, 2))
	if left := s.shows("a"); len(left) > 0 {
		t.Errorf("it is still open: %+v", left)
	}
	s.isTold(notified{"A", "resolved", "RuleA", "a", "1"})
}

func TestAlertmanagerGroupsAndInhibits(t *testing.T) {
	s := newStation(t)
	s.happens(is(alert.Firing, "weak", "A", "warning", 1, 1), is(alert.Firing, "strong", "A", "critical", 1, 1), is(alert.Firing, "other", "B", "warning", 1, 1))
	s.eventually("the weaker alert of the account is inhibited", func() bool { return len(s.one("weak").Status.InhibitedBy) > 0 })
	if status := s.one("other").Status; len(status.InhibitedBy) > 0 {
		t.Errorf("the alert of another account is inhibited, too: %+v", status)
	}
	s.isTold(notified{"A", "firing", "RuleSTRONG", "strong", "1"})
	s.isTold(notified{"B", "firing", "RuleOTHER", "other", "1"})
	// The end of the stronger one lets the weaker one through.
	s.happens(is(alert.Resolved, "strong", "A", "critical", 1, 2))
	s.isTold(notified{"A", "firing", "RuleWEAK", "weak", "1"})
}

// What somebody looks after is silent until it ends; its end is told, and a new episode is not silent.
func TestAlertmanagerIsSilentForWhoActs(t *testing.T) {
	for _, state := range []alert.State{alert.Acknowledged, alert.Snoozed} {
		t.Run(string(state), func(t *testing.T) {
			s := newStation(t)
			s.happens(is(alert.Firing, "a", "A", "warning", 1, 1))
			s.isTold(notified{"A", "firing", "RuleA", "a", "1"})
			acted := is(state, "a", "A", "warning", 1, 2)
			s.happens(acted)
			s.eventually("it is silenced", func() bool { return len(s.one("a").Status.SilencedBy) == 1 })
			if notes := s.one("a").Annotations; notes["by"] != "bob" || notes["status"] != string(state) {
				t.Errorf("the annotations do not say who acted: %v", notes)
			}
			silences := func() (all []struct {
				Comment string
				EndsAt  time.Time
				Status  struct{ State string }
			}) {
				s.get("/api/v2/silences", &all)
				return all
			}
			if is := silences(); len(is) != 1 || !strings.Contains(is[0].Comment, "by bob: "+acted.Why) || state == alert.Snoozed && !is[0].EndsAt.Equal(acted.SnoozedUntil) {
				t.Errorf("%+v", is)
			}
			// Refreshes and a restart of ours make no second one.
			for range 2 {
				s.restartUs()
				flush(t, s.relay, 0)
			}
			if is := silences(); len(is) != 1 || is[0].Status.State != "active" {
				t.Errorf("after restarts: %+v", is)
			}
			s.happens(is(alert.Resolved, "a", "A", "warning", 1, 3))
			s.isTold(notified{"A", "resolved", "RuleA", "a", "1"})
			s.happens(is(alert.Firing, "a", "A", "warning", 2, 1))
			if by := s.one("a").Status.SilencedBy; len(by) > 0 {
				t.Errorf("a new episode is silenced by %v", by)
			}
			s.isTold(notified{"A", "firing", "RuleA", "a", "2"})
		})
	}
}

// A snooze that ends lets the alert through again.
func TestAlertmanagerHearsOfTheEndOfASnooze(t *testing.T) {
	s := newStation(t)
	s.happens(is(alert.Firing, "a", "A", "warning", 1, 1), is(alert.Snoozed, "a", "A", "warning", 1, 2))
	s.eventually("it is silenced", func() bool { return len(s.one("a").Status.SilencedBy) == 1 })
	s.happens(is(alert.Firing, "a", "A", "warning", 1, 3))
	s.eventually("it is silenced no more", func() bool { return len(s.one("a").Status.SilencedBy) == 0 })
	s.isTold(notified{"A", "firing", "RuleA", "a", "1"})
}

// Labels that change within an episode, here by an escalation, leave one alert open and not two.
func TestAlertmanagerHoldsOneAlertThroughAnEscalation(t *testing.T) {
	s := newStation(t)
	s.happens(is(alert.Firing, "a", "A", "warning", 1, 1))
	s.happens(is(alert.Reminder, "a", "A", "critical", 1, 2))
	if got := s.one("a"); got.Labels["severity"] != "critical" {
		t.Errorf("%+v", got)
	}
	s.restartUs()
	s.happens(is(alert.Resolved, "a", "A", "critical", 1, 3))
	if left := s.shows("a"); len(left) > 0 {
		t.Errorf("open: %+v", left)
	}
}

// It forgets alerts when it is restarted. The next refresh brings them back; what ended meanwhile is told to those who were
// told of its beginning.
func TestAlertmanagerIsRestarted(t *testing.T) {
	s := newStation(t)
	s.happens(is(alert.Firing, "stays", "A", "warning", 1, 1), is(alert.Firing, "ends", "B", "warning", 1, 1))
	s.isTold(notified{"A", "firing", "RuleSTAYS", "stays", "1"})
	s.isTold(notified{"B", "firing", "RuleENDS", "ends", "1"})
	s.noted()
	s.stopServer()
	s.log.append("g", is(alert.Resolved, "ends", "B", "warning", 1, 2))
	if _, err := s.relay.Flush(within(t)); err == nil {
		t.Fatal("it hides that Alertmanager is away")
	}
	s.startServer()
	if is := s.shows("stays"); len(is) > 0 {
		t.Fatalf("it does not forget: %+v", is)
	}
	flush(t, s.relay, 1)
	s.one("stays")
	s.isTold(notified{"B", "resolved", "RuleENDS", "ends", "1"})
	for _, n := range s.everTold() {
		if n.Fingerprint == "stays" && n.Status == "resolved" {
			t.Errorf("people are told that it ended: %+v", n)
		}
	}
}

// We are restarted while things change: what it shows is what stands, whoever noted what.
func TestAlertmanagerAcrossOurRestart(t *testing.T) {
	s := newStation(t)
	s.happens(is(alert.Firing, "stays", "A", "warning", 1, 1), is(alert.Firing, "ends", "B", "warning", 1, 1))
	before := s.one("stays").EndsAt
	// Somebody died who had told of an end that the log was not told of.
	s.log.append("g", is(alert.Resolved, "ends", "B", "warning", 1, 2), is(alert.Firing, "new", "C", "warning", 1, 1))
	s.log.delivered = append(s.log.delivered, "alertmanager "+s.server.URL()+" ends-1-2")
	s.restartUs()
	flush(t, s.relay, 1)
	if after := s.one("stays").EndsAt; !after.After(before) {
		t.Errorf("it is not refreshed: it was held until %v, and now until %v", before, after)
	}
	s.one("new")
	if left := s.shows("ends"); len(left) > 0 {
		t.Errorf("still open: %+v", left)
	}
}

// An alert that Alertmanager refuses is given up and noted, and holds up no other. A real one refuses none that we can make, so
// this one does not like a word.
func TestAlertmanagerRefusesAnAlert(t *testing.T) {
	var taken []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodGet:
			io.WriteString(w, "[]")
		case strings.Contains(string(body), "nonsense"):
			http.Error(w, "no nonsense", http.StatusBadRequest)
		default:
			taken = append(taken, string(body))
		}
	}))
	defer server.Close()
	log := &alertLog{}
	bad := is(alert.Firing, "bad", "A", "warning", 1, 1)
	bad.Annotations["summary"] = "nonsense"
	log.append("g", bad, is(alert.Firing, "good", "B", "warning", 1, 1))
	d := &publish.Alertmanager{Config: publish.DefaultConfig().Alertmanager, URL: server.URL, Log: log, Logger: slog.New(slog.DiscardHandler)}
	flush(t, &publish.Relay{Log: log, Logger: d.Logger, Destination: d}, 1)
	if len(taken) == 0 || !strings.Contains(taken[0], `"fingerprint":"good"`) {
		t.Errorf("taken was %q", taken)
	}
	expect(t, log.others, "alertmanager "+server.URL+" bad-1-1 refused: it answered 400 Bad Request: no nonsense")
}

// An answer may be long: thousands of alerts stay what they are, for they are told again, and what is over is ended.
func TestAlertmanagerHoldsThousandsOfAlerts(t *testing.T) {
	s := newStation(t)
	const n = 5_000
	var all []alert.Transition
	for i := range n {
		one := is(alert.Firing, fmt.Sprintf("f%04d", i), "A"+strconv.Itoa(i%50), "warning", 1, 1)
		one.Annotations = map[string]string{"summary": strings.Repeat("They ask for a lower price. ", 100)}
		all = append(all, one)
	}
	s.happens(all...)
	s.happens(is(alert.Resolved, "f0007", "A7", "warning", 1, 2))
	flush(t, s.relay, 0) // which tells all of them again, and looks at what is there first
	var shown []shown
	s.get("/api/v2/alerts", &shown)
	bytes, active := 0, 0
	for _, one := range shown {
		bytes += len(one.Annotations["summary"])
		if one.Status.State == "active" && one.EndsAt.After(time.Now().Add(3*time.Hour)) {
			active++
		}
	}
	if active != n-1 || bytes < 9<<20 {
		t.Errorf("%d alerts stand, of %d that are shown with %d bytes", active, len(shown), bytes)
	}
}

// What stands in front of Alertmanager may take less than we send at once: then less is sent. An alert that is too large by itself, and
// a silence that is refused, hold up no other.
func TestAlertmanagerTakesLessAtOnce(t *testing.T) {
	taken, requests, largest := map[string]bool{}, 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodGet:
			io.WriteString(w, "[]")
		case strings.HasSuffix(r.URL.Path, "/silences"):
			http.Error(w, "no silence", http.StatusBadRequest)
		case len(body) > 20_000:
			requests++
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		default:
			requests++
			largest = max(largest, len(body))
			var alerts []shown
			if err := json.Unmarshal(body, &alerts); err != nil {
				t.Error(err)
			}
			for _, a := range alerts {
				taken[a.Labels["fingerprint"]] = true
			}
		}
	}))
	defer server.Close()
	log := &alertLog{}
	var all []alert.Transition
	for i := range 200 {
		one := is(alert.Firing, fmt.Sprintf("f%03d", i), "A", "warning", 1, 1)
		one.Annotations = map[string]string{"summary": strings.Repeat("x", 10_000)}
		if i == 77 {
			one.Labels = map[string]string{}
			for n := range 60 {
				one.Labels[fmt.Sprint("l", n)] = strings.Repeat("x", 400)
			}
		}
		all = append(all, one)
	}
	snoozed := is(alert.Snoozed, "quiet", "B", "warning", 1, 1)
	snoozed.SnoozedUntil = time.Now().Add(time.Hour)
	log.append("g", append(all, snoozed)...)
	d := &publish.Alertmanager{Config: publish.DefaultConfig().Alertmanager, URL: server.URL, Log: log, Logger: slog.New(slog.DiscardHandler)}
	flush(t, &publish.Relay{Log: log, Logger: d.Logger, Destination: d}, 199)
	if len(taken) != 200 || taken["f077"] {
		t.Errorf("%d alerts were taken", len(taken))
	}
	if requests > 400 || largest > 20_000 {
		t.Errorf("%d requests, the largest of those that were taken with %d bytes", requests, largest)
	}
	expect(t, log.others, "alertmanager "+server.URL+" f077-1-1 refused: it answered 413 Request Entity Too Large: too large",
		"alertmanager "+server.URL+" quiet-1-1 refused: the silence: it answered 400 Bad Request: no silence")
}
