package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/publish"
)

var monday = time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)

// weekly is due every Monday at 08:00.
type weekly struct{}

func (weekly) Next(after time.Time) time.Time {
	week := 7 * 24 * time.Hour
	n := after.Sub(monday) / week
	for t := monday.Add((n - 1) * week); ; t = t.Add(week) {
		if t.After(after) {
			return t
		}
	}
}

// standing is an alert of an owner, first told so many days before the Monday; 0: not told.
func standing(fingerprint, owner string, state alert.State, value string, toldDays int) alert.Transition {
	t := is(state, fingerprint, "A-"+fingerprint, "warning", 2, 3)
	t.Labels = map[string]string{"owner": owner}
	t.Annotations = map[string]string{"summary": "about " + fingerprint}
	t.Value = nil
	t.StartsAt = monday.AddDate(0, 0, -max(toldDays, 1))
	if toldDays > 0 {
		t.Notified = alert.Notified{Episode: 2, First: t.StartsAt}
	}
	t.ValueAtRisk, t.Currency = churn.OptionalMoney{}, ""
	if value != "" {
		t.ValueAtRisk, t.Currency = churn.OptionalMoney{Known: true, Amount: money(value)}, "EUR"
	}
	return t
}

func week() []alert.Transition {
	withheld := standing("withheld", "Ana", alert.Firing, "5", 0)
	withheld.Suppressed = alert.SuppressedMaximum
	dollars := standing("dollars", "Ana", alert.Reminder, "7.50", 10)
	dollars.Currency = "USD"
	before := standing("unpublished", "Eve", alert.Firing, "1", 0) // of a catch-up: nobody has been told yet
	before.Suppressed = alert.SuppressedCatchUp
	return []alert.Transition{
		standing("new", "Ana", alert.Firing, "100", 2), standing("old", "Ana", alert.Firing, "90", 20), standing("taken", "Ana", alert.Acknowledged, "10.25", 3),
		dollars, standing("unknown", "Ana", alert.Snoozed, "", 9), standing("over", "Ana", alert.Resolved, "70", 12), withheld,
		standing("bobs", "Bob", alert.Firing, "1", 1), standing("nobodys", "", alert.Firing, "1", 1), before,
	}
}

func TestDigestSaysHowItStands(t *testing.T) {
	digests := publish.Digests(monday.AddDate(0, 0, -7), monday, week())
	var owners []string
	for _, d := range digests {
		owners = append(owners, d.Owner)
	}
	expect(t, owners, "Ana", "Bob", "")
	of := func(lines []publish.DigestLine) (names []string) {
		for _, l := range lines {
			names = append(names, l.Fingerprint)
		}
		return names
	}
	ana := digests[0]
	expect(t, of(ana.Fired), "new", "taken")
	expect(t, of(ana.Open), "new", "old", "taken", "dollars", "unknown")
	expect(t, of(ana.Waiting), "new", "old", "dollars")
	expect(t, of(ana.Resolved), "over")
	expect(t, of(ana.Withheld), "withheld")
	if want := []publish.DigestMoney{{Amount: "200.25", Currency: "EUR"}, {Amount: "7.5", Currency: "USD"}}; !slices.Equal(ana.AtRisk, want) {
		t.Errorf("at risk is %v, want %v: currencies are not added", ana.AtRisk, want)
	}
}

// digestLog is a log of one week, whatever is asked.
type digestLog struct {
	alertLog
	asked []string
	noted map[string]alert.Transition
}

func (l *digestLog) Week(_ context.Context, from, to time.Time) ([]alert.Transition, error) {
	l.asked = append(l.asked, from.Format(time.DateOnly)+" "+to.Format(time.DateOnly))
	return week(), nil
}

func (l *digestLog) Delivered(ctx context.Context, destination string, at time.Time, deliveries []alert.Delivery) error {
	if l.fail != nil {
		return l.fail
	}
	for _, d := range deliveries {
		l.noted[d.Fingerprint] = d.Transition
	}
	return l.alertLog.Delivered(ctx, destination, at, deliveries)
}

func (l *digestLog) Noted(_ context.Context, _ string, do func(alert.Transition) error) error {
	for _, t := range l.noted {
		if err := do(t); err != nil {
			return err
		}
	}
	return nil
}

func TestDigestIsSentOnceForEachOwnerAndWeek(t *testing.T) {
	h, log := newHook(t), &digestLog{noted: map[string]alert.Transition{}}
	send := func(now time.Time, config publish.WebhookConfig, want int) {
		t.Helper()
		_, webhook := h.relay(nil, config) // a new process
		clock := func() time.Time { return now }
		webhook.Clock = clock
		d := &publish.Digester{Webhook: webhook, Schedule: weekly{}, Log: log, Clock: clock, Logger: slog.New(slog.DiscardHandler)}
		if n, err := d.Flush(within(t)); err != nil || n != want {
			t.Errorf("at %s %d digests were sent, %v; want %d", now, n, err, want)
		}
	}
	send(monday.Add(time.Minute), publish.WebhookConfig{}, 0) // the one of the week before is too old, and this one waits for its ticks
	send(monday.Add(5*time.Minute), publish.WebhookConfig{Owners: []string{"Bob"}}, 1)
	send(monday.Add(time.Hour), publish.WebhookConfig{}, 2) // the others
	send(monday.Add(2*time.Hour), publish.WebhookConfig{}, 0)
	send(monday.AddDate(0, 0, 3), publish.WebhookConfig{}, 0)
	send(monday.AddDate(0, 0, 7).Add(time.Hour), publish.WebhookConfig{}, 3)
	send(monday.AddDate(0, 0, 15).Add(time.Hour), publish.WebhookConfig{}, 0) // down for longer than a day: left out
	if len(h.calls) != 6 || slices.Contains(log.asked, "2026-06-08 2026-06-15") {
		t.Errorf("%d were sent, for %q", len(h.calls), log.asked)
	}
	expect(t, slices.Compact(log.asked), "2026-05-25 2026-06-01", "2026-06-01 2026-06-08")
	var first publish.Digest
	if err := json.Unmarshal([]byte(h.calls[0].body), &first); err != nil || first.Owner != "Bob" || len(first.Open) != 1 {
		t.Errorf("%s: %v", h.calls[0].body, err)
	}
}

// A webhook that is away is tried again, and what was sent before it went is not sent again; one that refuses is given up.
func TestDigestIsTriedAgain(t *testing.T) {
	h, log := newHook(t), &digestLog{noted: map[string]alert.Transition{}}
	_, webhook := h.relay(nil, publish.WebhookConfig{Tries: 2})
	d := &publish.Digester{Webhook: webhook, Schedule: weekly{}, Log: log, Clock: func() time.Time { return monday.Add(time.Hour) }, Logger: slog.New(slog.DiscardHandler)}
	h.answer = func(string) (int, string) {
		if len(h.calls) == 2 {
			return 500, ""
		}
		return 200, ""
	}
	if n, err := d.Flush(within(t)); err == nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	h.answer = func(string) (int, string) { return 400, "" }
	if _, err := d.Flush(within(t)); err == nil {
		t.Error("it gives up at the first refusal")
	}
	h.answer = func(id string) (int, string) {
		if id == h.calls[1].id {
			return 400, ""
		}
		return 200, ""
	}
	if n, err := d.Flush(within(t)); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	if len(log.others) != 1 || !strings.Contains(log.others[0], "refused: it answered 400") {
		t.Errorf("noted is %q", log.others)
	}
	log.fail = errors.New("away")
	d.Clock = func() time.Time { return monday.AddDate(0, 0, 7).Add(time.Hour) }
	if _, err := d.Flush(within(t)); !errors.Is(err, log.fail) {
		t.Errorf("it hides that nothing could be noted: %v", err)
	}
}

func TestDigestTemplate(t *testing.T) {
	many := week()
	for i := range 30 {
		many = append(many, standing(fmt.Sprint("more", i), "Ana", alert.Firing, "3", 30))
	}
	for i, text := range append(hostile, "plain") {
		h := newHook(t)
		_, webhook := h.relay(nil, publish.WebhookConfig{Tries: 1})
		log := &hostileWeek{digestLog{noted: map[string]alert.Transition{}}, slices.Clone(many), strings.ToValidUTF8(text, "?")}
		d := &publish.Digester{Webhook: webhook, Template: "../deploy/webhooks/slack-digest.tmpl", Schedule: weekly{}, Log: log, Clock: func() time.Time { return monday.Add(time.Hour) },
			Logger: slog.New(slog.DiscardHandler)}
		if n, err := d.Flush(within(t)); err != nil || n == 0 || len(log.others) > 0 {
			t.Fatalf("text %d: %d sent, %v, %q", i, n, err, log.others)
		}
		body := h.calls[0].body
		var message struct {
			Text   string
			Blocks []struct{ Text struct{ Text string } }
		}
		if err := json.Unmarshal([]byte(body), &message); err != nil || len(message.Blocks) != 5 {
			t.Fatalf("text %d: %v: %s", i, err, body)
		}
		for _, b := range message.Blocks {
			if len([]rune(b.Text.Text)) > 3000 {
				t.Errorf("text %d: a block has %d characters", i, len([]rune(b.Text.Text)))
			}
		}
		for _, word := range []string{"<!channel>", "<https://evil.example|click>"} {
			if strings.Contains(body, word) {
				t.Errorf("text %d lets %q through", i, word)
			}
		}
		if text == "plain" && (!strings.Contains(message.Blocks[1].Text.Text, "*Open: 37*, 292 EUR at risk, 8 USD at risk\n• plain (100 EUR)") || !strings.Contains(body, "has the rest")) {
			t.Errorf("it says %s", body)
		}
	}
}

// hostileWeek is a week whose alerts are all of one owner and say one thing.
type hostileWeek struct {
	digestLog
	alerts []alert.Transition
	text   string
}

func (l *hostileWeek) Week(context.Context, time.Time, time.Time) ([]alert.Transition, error) {
	for i := range l.alerts {
		l.alerts[i].Labels = map[string]string{"owner": l.text}
		l.alerts[i].Annotations = map[string]string{"summary": l.text}
	}
	return l.alerts, nil
}
