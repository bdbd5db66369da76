package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/aftershock/aftershock/testservers"
	"github.com/aftershock/aftershock/testservers/alertmanager"
)

const alertmanagerFile = "alertmanager/alertmanager.yml"

func alertmanagerConfig(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(alertmanagerFile)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	return config
}

// A real Alertmanager takes the example as it is.
func TestAlertmanagerExampleLoads(t *testing.T) {
	text, err := os.ReadFile(alertmanagerFile)
	if err != nil {
		t.Fatal(err)
	}
	testservers.Alertmanager(t, alertmanager.Options{Config: string(text)})
}

// seen is what one receiver of the example was told at once.
type seen struct {
	receiver, account string
	rules             []string
}

// TestAlertmanagerExampleBehaves: the routes, groups, inhibitions and quiet hours of the example, with receivers that can be read
// and waits that end soon. Quiet hours are moved to where it is night now, and to where it is noon.
func TestAlertmanagerExampleBehaves(t *testing.T) {
	now := time.Now().UTC()
	for _, c := range []struct {
		name string
		hour int // of the local clock
	}{{"at night", 3}, {"at noon", 12}} {
		t.Run(c.name, func(t *testing.T) {
			ahead := (c.hour - now.Hour() + 24) % 24 // hours ahead of UTC, 0..23
			if ahead > 12 {
				ahead -= 24
			}
			zone := fmt.Sprintf("Etc/GMT%+d", -ahead) // POSIX counts the other way
			location, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			local := now.In(location)
			if local.Hour() != c.hour {
				t.Fatalf("%s is no zone where it is %d o'clock: %s", zone, c.hour, local)
			}
			quiet := c.hour < 8 || local.Weekday() == time.Saturday || local.Weekday() == time.Sunday

			var mu sync.Mutex
			var told []seen
			listener := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				var m struct {
					Receiver    string
					GroupLabels map[string]string
					Alerts      []struct{ Labels map[string]string }
				}
				if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
					t.Error(err)
				}
				s := seen{receiver: m.Receiver, account: m.GroupLabels["account"]}
				for _, a := range m.Alerts {
					s.rules = append(s.rules, a.Labels["alertname"])
				}
				slices.Sort(s.rules)
				mu.Lock()
				defer mu.Unlock()
				told = append(told, s)
			}))
			defer listener.Close()
			config := alertmanagerConfig(t)
			for _, r := range config["receivers"].([]any) {
				r := r.(map[string]any)
				for name := range r {
					if name != "name" {
						delete(r, name)
					}
				}
				r["webhook_configs"] = []any{map[string]any{"url": listener.URL}}
			}
			delete(config, "global")
			root := config["route"].(map[string]any)
			for _, route := range append([]any{root}, root["routes"].([]any)...) {
				route.(map[string]any)["group_wait"], route.(map[string]any)["group_interval"] = "200ms", "200ms"
			}
			for _, i := range config["time_intervals"].([]any)[0].(map[string]any)["time_intervals"].([]any) {
				i.(map[string]any)["location"] = zone
			}
			text, err := yaml.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			server := testservers.Alertmanager(t, alertmanager.Options{Config: string(text)})
			alert := func(rule, account, severity, kind string) map[string]any {
				return map[string]any{"labels": map[string]string{"alertname": rule, "account": account, "severity": severity, "kind": kind, "source": "aftershock"}}
			}
			body, err := json.Marshal([]any{
				alert("Early", "A", "warning", "risk"), alert("Renewal", "A", "warning", "risk"), alert("Reference", "A", "info", "advice"),
				alert("Worst", "B", "critical", "risk"), alert("Weak", "B", "warning", "risk"),
				alert("Handoff", "C", "info", "handoff"), alert("SourceStale", "", "warning", "health"), alert("Health", "", "info", "health"),
			})
			if err != nil {
				t.Fatal(err)
			}
			response, err := http.Post(server.URL()+"/api/v2/alerts", "application/json", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			said, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", response.Status, said)
			}

			want := []seen{{"pagerduty", "B", []string{"Worst"}}}
			if !quiet {
				want = append(want, seen{"mail", "A", []string{"Early", "Renewal"}}, seen{"slack", "C", []string{"Handoff"}},
					seen{"mail", "", []string{"Health", "SourceStale"}})
			}
			is := func(a seen) func(seen) bool {
				return func(b seen) bool {
					return a.receiver == b.receiver && a.account == b.account && slices.Equal(a.rules, b.rules)
				}
			}
			settled := func() bool {
				mu.Lock()
				defer mu.Unlock()
				for _, w := range want {
					if !slices.ContainsFunc(told, is(w)) {
						return false
					}
				}
				return true
			}
			// status says what is inhibited, and what is muted, by name.
			status := func() (inhibited, muted []string) {
				var groups []struct {
					Alerts []struct {
						Labels map[string]string
						Status struct{ InhibitedBy, MutedBy []string }
					}
				}
				response, err := http.Get(server.URL() + "/api/v2/alerts/groups")
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				if err := json.NewDecoder(response.Body).Decode(&groups); err != nil {
					t.Fatal(err)
				}
				for _, g := range groups {
					for _, a := range g.Alerts {
						if len(a.Status.InhibitedBy) > 0 {
							inhibited = append(inhibited, a.Labels["alertname"])
						} else if len(a.Status.MutedBy) > 0 {
							muted = append(muted, a.Labels["alertname"])
						}
					}
				}
				slices.Sort(inhibited)
				slices.Sort(muted)
				return inhibited, muted
			}
			wantMuted := []string(nil)
			if quiet {
				wantMuted = []string{"Early", "Handoff", "Health", "Renewal", "SourceStale"}
			}
			bound := time.Now().Add(time.Minute)
			for {
				inhibited, muted := status()
				if settled() && slices.Equal(inhibited, []string{"Reference", "Weak"}) && slices.Equal(muted, wantMuted) {
					break
				}
				if time.Now().After(bound) {
					t.Fatalf("told %+v, want %+v; inhibited %q; muted %q, want %q", told, want, inhibited, muted, wantMuted)
				}
				<-time.After(50 * time.Millisecond)
			}
			for _, s := range told {
				if !slices.ContainsFunc(want, is(s)) {
					t.Errorf("told, too: %+v", s)
				}
			}
		})
	}
}

// TestAlertmanagerExampleIsReadable: what the example's templates make of alerts, as mail and in Slack.
func TestAlertmanagerExampleIsReadable(t *testing.T) {
	mails, posts := make(chan string, 10), make(chan string, 10)
	slack := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- string(body)
	}))
	defer slack.Close()
	config := alertmanagerConfig(t)
	config["global"] = map[string]any{"smtp_smarthost": mailServer(t, mails), "smtp_from": "a@example.com", "smtp_require_tls": false}
	for _, r := range config["receivers"].([]any) {
		if s, ok := r.(map[string]any)["slack_configs"]; ok {
			s := s.([]any)[0].(map[string]any)
			delete(s, "api_url_file")
			s["api_url"] = slack.URL
		}
	}
	root := config["route"].(map[string]any)
	for _, route := range append([]any{root}, root["routes"].([]any)...) {
		delete(route.(map[string]any), "mute_time_intervals") // whatever the hour
		route.(map[string]any)["group_wait"] = "200ms"
	}
	delete(config, "time_intervals")
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	server := testservers.Alertmanager(t, alertmanager.Options{Config: string(text)})
	alert := func(rule, kind, summary string) map[string]any {
		return map[string]any{
			"labels":      map[string]string{"alertname": rule, "account": "A-1", "severity": "warning", "kind": kind, "source": "aftershock", "fingerprint": "f" + rule, "owner": "Ana"},
			"annotations": map[string]string{"summary": summary, "account_name": "Acme", "value_at_risk": "48000 EUR", "playbook": "docs/playbooks/x.md", "brief": "Call them first."},
		}
	}
	body, err := json.Marshal([]any{alert("Early", "risk", "Acme reopens its contract"), alert("Renewal", "risk", "Acme may not renew"), alert("Handoff", "handoff", "Acme is yours now")})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(server.URL()+"/api/v2/alerts", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	for what, c := range map[string]struct {
		got  chan string
		want []string
	}{
		"mail":  {mails, []string{"(and 1 more)", "Acme reopens its contract", "Acme may not renew", "48000 EUR", "owner: Ana", "aftershock alerts ack fRenewal"}},
		"Slack": {posts, []string{"Acme is yours now", "Call them first."}},
	} {
		select {
		case got := <-c.got:
			for _, want := range c.want {
				if !strings.Contains(strings.ReplaceAll(got, "=\r\n", ""), want) {
					t.Errorf("%s lacks %q:\n%s", what, want, got)
				}
			}
		case <-time.After(time.Minute):
			said, _ := os.ReadFile(server.LogPath())
			t.Fatalf("no %s came: %s", what, said)
		}
	}
}

// mailServer takes every mail, and returns its address.
func mailServer(t *testing.T, mails chan<- string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				lines := textproto.NewConn(c)
				_ = lines.PrintfLine("220 here")
				for {
					line, err := lines.ReadLine()
					if err != nil {
						return
					}
					switch word, _, _ := strings.Cut(strings.ToUpper(line), " "); word {
					case "DATA":
						_ = lines.PrintfLine("354 go on")
						mail, _ := io.ReadAll(lines.DotReader())
						mails <- string(mail)
						_ = lines.PrintfLine("250 taken")
					case "QUIT":
						_ = lines.PrintfLine("221 bye")
						return
					default:
						_ = lines.PrintfLine("250 yes")
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}
