package publish_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/dial"
	"github.com/aftershock/aftershock/publish"
)

// hook is someone who is called, and answers as the test says.
type hook struct {
	server *httptest.Server
	answer func(id string) (status int, after string)
	calls  []call
}

type call struct {
	id, body string
	header   http.Header
}

func newHook(t *testing.T) *hook {
	h := &hook{answer: func(string) (int, string) { return http.StatusOK, "" }}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id := r.Header.Get("Idempotency-Key")
		h.calls = append(h.calls, call{id, string(body), r.Header})
		status, after := h.answer(id)
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, "so it is")
	}))
	t.Cleanup(h.server.Close)
	return h
}

func (h *hook) ids() (ids []string) {
	for _, c := range h.calls {
		ids = append(ids, c.id)
	}
	return ids
}

func (h *hook) relay(log *alertLog, config publish.WebhookConfig) (*publish.Relay, *publish.Webhook) {
	config.Name, config.URL = "chat", dial.Secret(h.server.URL+"/services/T0/verysecret")
	w := &publish.Webhook{Config: config, Link: "https://here.example/{fingerprint}", Log: log}
	return &publish.Relay{Log: log, Destination: w, Logger: slog.New(slog.DiscardHandler)}, w
}

func TestWebhookIsCalledOnceInOrderAndSigned(t *testing.T) {
	h, log := newHook(t), &alertLog{}
	log.append("g", transition("t", "a", 1, 1), transition("t", "b", 1, 1), transition("", "quiet", 1, 1), transition("t", "a", 1, 2))
	config := publish.WebhookConfig{Secret: "s3cret", Headers: map[string]string{"X-Tenant": "north"}}
	for range 2 { // the second is a new process
		relay, _ := h.relay(log, config)
		if _, err := relay.Flush(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, h.ids(), "a-1-1", "b-1-1", "a-1-2")
	for i, c := range h.calls {
		if c.body != string(log.entries[0].Transitions[[]int{0, 1, 3}[i]].Value) {
			t.Errorf("%s is called with %s, which is not what stands on the topic", c.id, c.body)
		}
		timestamp := c.header.Get("Aftershock-Timestamp")
		if got, want := c.header.Get("Aftershock-Signature"), publish.Sign([]byte("s3cret"), timestamp, []byte(c.body)); timestamp == "" || got != want {
			t.Errorf("it is signed %q at %q, want %q", got, timestamp, want)
		}
		if c.header.Get("X-Tenant") != "north" || c.header.Get("Content-Type") != "application/json" {
			t.Errorf("%v", c.header)
		}
	}
}

// The signature is what others make: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac Jefe
func TestSignIsHMAC(t *testing.T) {
	if got, want := publish.Sign([]byte("Jefe"), "1700000000", []byte(`{"a":1}`)), "v1=fa5f6481efc59da48b19c9dc10196c9953e5651f8304b3a318b6b87d70272e0a"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What may do later is tried for ever and in order; a Retry-After is waited out.
func TestWebhookTriesAgain(t *testing.T) {
	for _, c := range []struct {
		status int
		after  string
		wait   time.Duration
	}{{500, "", 0}, {503, "120", 2 * time.Minute}, {429, "Thu, 01 Jan 2026 00:00:30 GMT", 30 * time.Second}, {408, "", 0}, {503, "999999999", time.Hour}} {
		t.Run(fmt.Sprint(c.status, " ", c.after), func(t *testing.T) {
			h, log := newHook(t), &alertLog{}
			log.append("g", transition("t", "a", 1, 1), transition("t", "b", 1, 1))
			relay, w := h.relay(log, publish.WebhookConfig{Tries: 1})
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			w.Clock = func() time.Time { return now }
			h.answer = func(string) (int, string) { return c.status, c.after }
			if _, err := relay.Flush(within(t)); err == nil || strings.Contains(err.Error(), "verysecret") {
				t.Errorf("it says %v", err)
			}
			if c.wait > 0 {
				now = now.Add(c.wait - time.Second)
				if _, err := relay.Flush(within(t)); err == nil || len(h.calls) != 1 {
					t.Errorf("it was asked to wait and called %d times: %v", len(h.calls), err)
				}
				now = now.Add(time.Second)
			}
			h.answer = func(string) (int, string) { return 204, "" }
			flush(t, relay, 2)
			expect(t, h.ids(), "a-1-1", "a-1-1", "b-1-1")
			expect(t, log.others)
		})
	}
}

// What is refused for good is given up after some tries, noted with the answer, and holds up nothing.
func TestWebhookGivesUp(t *testing.T) {
	h, log := newHook(t), &alertLog{}
	log.append("g", transition("t", "a", 1, 1), transition("t", "bad", 1, 1), transition("t", "b", 1, 1))
	h.answer = func(id string) (int, string) {
		if id == "bad-1-1" {
			return 410, ""
		}
		return 200, ""
	}
	relay, _ := h.relay(log, publish.WebhookConfig{Tries: 3})
	for range 2 {
		if _, err := relay.Flush(within(t)); err == nil {
			t.Fatal("it gives up too early")
		}
	}
	flush(t, relay, 1)
	expect(t, h.ids(), "a-1-1", "bad-1-1", "bad-1-1", "bad-1-1", "b-1-1")
	expect(t, log.others, "webhook chat bad-1-1 refused: it answered 410 Gone: so it is")
	again, _ := h.relay(log, publish.WebhookConfig{Tries: 3})
	flush(t, again, 0)
}

// A place that takes none, as in a rolling deploy, is tried for ten minutes; a body that is refused is given up after five tries.
func TestWebhookOutlastsARollingDeploy(t *testing.T) {
	for _, status := range []int{401, 403, 404, 410} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			h, log := newHook(t), &alertLog{}
			log.append("g", transition("t", "a", 1, 1), transition("t", "b", 1, 1))
			relay, w := h.relay(log, publish.WebhookConfig{})
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			w.Clock = func() time.Time { return now }
			h.answer = func(string) (int, string) { return status, "" }
			for range 39 { // ten seconds short of ten minutes
				if _, err := relay.Flush(within(t)); err == nil {
					t.Fatalf("it gives up after %d calls", len(h.calls))
				}
				now = now.Add(15 * time.Second)
			}
			h.answer = func(string) (int, string) { return 200, "" }
			flush(t, relay, 2)
			expect(t, log.others)
			h.answer = func(string) (int, string) { return status, "" }
			log.append("g", transition("t", "c", 1, 1))
			calls := len(h.calls)
			for len(log.others) == 0 && len(h.calls) < calls+100 {
				_, _ = relay.Flush(within(t))
				now = now.Add(15 * time.Second)
			}
			if n := len(h.calls) - calls; n != 41 {
				t.Errorf("it gave up after %d calls, a quarter of a minute apart", n)
			}
			expect(t, log.others, fmt.Sprintf("webhook chat c-1-1 refused: it answered %d %s: so it is", status, http.StatusText(status)))
		})
	}
	h, log := newHook(t), &alertLog{}
	log.append("g", transition("t", "bad", 1, 1), transition("t", "b", 1, 1))
	h.answer = func(id string) (int, string) {
		if id == "bad-1-1" {
			return 413, ""
		}
		return 200, ""
	}
	relay, _ := h.relay(log, publish.WebhookConfig{})
	for len(log.others) == 0 && len(h.calls) < 100 {
		_, _ = relay.Flush(within(t))
	}
	expect(t, h.ids(), "bad-1-1", "bad-1-1", "bad-1-1", "bad-1-1", "bad-1-1", "b-1-1")
}

func TestWebhookFilters(t *testing.T) {
	make := func(fingerprint, kind, severity, owner, team string, state alert.State) alert.Transition {
		x := is(state, fingerprint, "A", severity, 1, 1)
		x.Kind, x.Labels = kind, map[string]string{"owner": owner}
		x.Value = fmt.Appendf(nil, `{"schema_version": 1, "transition_id": "x", "status": "firing", "fingerprint": %q, "episode": 1, "sequence": 1, "account": {"account_id": "A", "owner": "of the account", "team": %q}}`, fingerprint, team)
		return x
	}
	for name, c := range map[string]struct {
		config publish.WebhookConfig
		want   []string
	}{
		"none":     {publish.WebhookConfig{}, []string{"a-1-1", "b-1-1", "c-1-1"}},
		"kind":     {publish.WebhookConfig{Kinds: []string{"handoff"}}, []string{"a-1-1"}},
		"severity": {publish.WebhookConfig{Severities: []string{"warning", "critical"}}, []string{"b-1-1", "c-1-1"}},
		"owner":    {publish.WebhookConfig{Owners: []string{"Ana"}}, []string{"a-1-1", "b-1-1"}},
		"no label": {publish.WebhookConfig{Owners: []string{"of the account"}}, []string{"c-1-1"}},
		"team":     {publish.WebhookConfig{Teams: []string{"North"}}, []string{"a-1-1", "c-1-1"}},
		"status":   {publish.WebhookConfig{Statuses: []string{"firing"}}, []string{"a-1-1", "b-1-1"}},
		"both":     {publish.WebhookConfig{Teams: []string{"North"}, Owners: []string{"Ana"}}, []string{"a-1-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			h, log := newHook(t), &alertLog{}
			log.append("g", make("a", "handoff", "info", "Ana", "North", alert.Firing), make("b", "risk", "warning", "Ana", "South", alert.Firing),
				make("c", "risk", "critical", "", "North", alert.Resolved))
			relay, _ := h.relay(log, c.config)
			flush(t, relay, len(c.want))
			expect(t, h.ids(), c.want...)
			if len(log.others) != 3-len(c.want) || len(log.others) > 0 && !strings.HasSuffix(log.others[0], " filtered: ") {
				t.Errorf("noted is %q", log.others)
			}
			again, _ := h.relay(log, c.config)
			flush(t, again, 0)
		})
	}
}

// hostile is what a client might write to break out of a template.
var hostile = []string{
	`"}, {"text": "pwned`, "line\nbreak\ttab\x00nul", "<!channel> <https://evil.example|click> &amp;", "[click](https://evil.example) **bold** <at>all</at>", `\"\\`,
	"{{ .secret }}", "\u2028\u202e", "invalid \xff utf-8", strings.Repeat("long ", 2000), "",
}

// The templates that ship make JSON of whatever stands in every field, and nothing in it becomes markup.
func TestWebhookTemplatesWithHostileText(t *testing.T) {
	for _, file := range []string{"../deploy/webhooks/slack.tmpl", "../deploy/webhooks/teams.tmpl"} {
		for i, text := range hostile {
			quoted, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{
				"whole": strings.ReplaceAll(`{"fingerprint": "a", "episode": 1, "sequence": 1, "status": "firing", "rule": X, "severity": X, "kind": X, "labels": {"owner": X}, "annotations": {"summary": X, "description": X, "playbook": X},
					"account": {"account_id": X, "account_name": X}, "value_at_risk": {"amount": "1", "currency": X}, "feedback": {"by": X, "reason": X}}`, "X", string(quoted)),
				"bare": `{"fingerprint": "a", "episode": 1, "sequence": 1, "account": null, "contract": null, "value_at_risk": null}`,
			} {
				h, log := newHook(t), &alertLog{}
				x := transition("t", "a", 1, 1)
				x.Value = []byte(value)
				log.append("g", x)
				relay, _ := h.relay(log, publish.WebhookConfig{Template: file})
				flush(t, relay, 1)
				expect(t, log.others)
				var any map[string]any
				if err := json.Unmarshal([]byte(h.calls[0].body), &any); err != nil {
					t.Fatalf("%s of text %d, %s: %v: %s", file, i, name, err, h.calls[0].body)
				}
				if len(any) != 2 {
					t.Errorf("%s of text %d, %s: a text became keys: %s", file, i, name, h.calls[0].body)
				}
				for _, word := range []string{"<!channel>", "<https://evil.example|click>", "[click](https", "<at>all"} {
					if strings.HasSuffix(file, "slack.tmpl") && strings.HasPrefix(word, "[") {
						continue // no link in Slack
					}
					if strings.Contains(h.calls[0].body, word) {
						t.Errorf("%s of text %d lets %q through: %s", file, i, word, h.calls[0].body)
					}
				}
			}
		}
	}
}

func TestWebhookTemplateSays(t *testing.T) {
	h, log := newHook(t), &alertLog{}
	x := transition("t", "a", 1, 1)
	x.Value = []byte(`{"status": "firing", "rule": "Early", "severity": "warning", "labels": {"owner": "Ana"}, "annotations": {"summary": "Acme & Co reopen", "playbook": "docs/x.md"},
		"account": {"account_id": "A", "account_name": "Acme & Co"}, "value_at_risk": {"amount": "1248000.5", "currency": "EUR"}, "starts_at": "2026-01-31T00:00:00Z"}`)
	log.append("g", x)
	path := filepath.Join(t.TempDir(), "own.tmpl")
	if err := os.WriteFile(path, []byte(`{"say": {{ json .annotations.summary }}, "worth": {{ money .value_at_risk | json }}, "since": {{ date .starts_at | json }}, "link": {{ json .link }}, "none": {{ json .contract }}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	relay, _ := h.relay(log, publish.WebhookConfig{Template: path})
	flush(t, relay, 1)
	if want := `{"say": "Acme & Co reopen", "worth": "1,248,000 EUR", "since": "2026-01-31", "link": "https://here.example/a", "none": null}`; h.calls[0].body != want {
		t.Errorf("got  %s\nwant %s", h.calls[0].body, want)
	}
}

// A template that writes no JSON, or cannot be filled, holds up nothing.
func TestWebhookTemplateIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{"say": "{{ .annotations.summary }}"}`: "writes what is no JSON",
		`{{ .nothing | money | index 3 }}`:      "filling the template",
	} {
		h, log := newHook(t), &alertLog{}
		x := transition("t", "a", 1, 1)
		x.Value = []byte(`{"annotations": {"summary": "so \"quoted\""}}`)
		log.append("g", x)
		path := filepath.Join(t.TempDir(), "own.tmpl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		relay, _ := h.relay(log, publish.WebhookConfig{Template: path})
		flush(t, relay, 0)
		if len(log.others) != 1 || !strings.Contains(log.others[0], want) || len(h.calls) > 0 {
			t.Errorf("%s: noted is %q, want %q", text, log.others, want)
		}
	}
}

func TestWebhookOpens(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		config publish.WebhookConfig
		want   string // "" where it opens
	}{
		"from files":       {publish.WebhookConfig{URLFile: write("https://chat.example/x\n"), SecretFile: write("k\n")}, ""},
		"no such template": {publish.WebhookConfig{URL: "https://chat.example", Template: "nowhere.tmpl"}, "reading the template"},
		"bad template":     {publish.WebhookConfig{URL: "https://chat.example", Template: write("{{ nosuch }}")}, `function "nosuch" not defined`},
		"no address":       {publish.WebhookConfig{URLFile: write("verysecret")}, "a URL begins with http"},
		"no secret":        {publish.WebhookConfig{URL: "https://chat.example", SecretFile: write("")}, "is empty"},
	} {
		err := (&publish.Webhook{Config: c.config}).Open()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "verysecret") {
			t.Errorf("%s: it tells the secret: %v", name, err)
		}
	}
}

// Everything that is wrong with the configuration is told at once, and no secret with it.
func TestConfigTellsEveryMistake(t *testing.T) {
	c := publish.DefaultConfig()
	c.Link = "here/{fingerprint}"
	c.Alertmanager.URLs = []string{"http://user:verysecret@host:9093", "ftp://host", "http://a:1", "http://a:1/"}
	c.Alertmanager.Source, c.Alertmanager.HoldFor, c.Alertmanager.Password = "", time.Second, "verysecret"
	c.Webhooks = []publish.WebhookConfig{
		{Name: "Chat!", URL: "verysecret", URLFile: "x"}, {Name: "a", URL: "verysecret", Tries: -1}, {Name: "a", Statuses: []string{"pending"}, Headers: map[string]string{"a b": "c"}},
		{Name: "b", URL: "https://x", Secret: "verysecret", SecretFile: "y"},
	}
	err := c.Validate()
	if err == nil {
		t.Fatal("it is taken")
	}
	said := err.Error()
	for _, want := range []string{
		"link: ", "alertmanager.urls: a URL holds neither user nor password", `not with "ftp://ho`, "http://a:1/ stands there twice", "alertmanager.source", "alertmanager.hold_for: 1s",
		"alertmanager: a password is given but no username", `webhooks[0] (Chat!): name: "Chat!"`, "webhooks[0] (Chat!): it needs either url or url_file", "webhooks[1] (a): url: ",
		"webhooks[1] (a): timeout, tries and give_up_after", `webhooks[2] (a): statuses: "pending"`, `webhooks[2] (a): headers: "a b"`, "webhooks[2] (a): the name stands there twice", "webhooks[3] (b): it has both",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "verysecret") {
		t.Errorf("it tells a secret:\n%s", said)
	}
	if err := publish.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if !slices.Contains(strings.Split(said, "\n"), "alertmanager.source: it must not be empty") {
		t.Error("one mistake, one line")
	}
}
