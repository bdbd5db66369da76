package publish

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/dial"
)

// Headers that a webhook is called with.
const (
	HeaderIdempotency = "Idempotency-Key"      // the transition's id: a repeat is the same
	HeaderTimestamp   = "Aftershock-Timestamp" // Unix seconds of the request
	HeaderSignature   = "Aftershock-Signature" // v1= and the HMAC-SHA256, in hex, of timestamp, a dot and the body
)

const (
	webhookTimeout = 10 * time.Second
	webhookTries   = 5
	webhookGivesUp = 10 * time.Minute
	longestWait    = time.Hour // that a Retry-After is believed
)

// Webhook sends each transition that its filter lets through as one request, in the order of the log. What may do later is tried
// for ever, in order. A body that is refused is given up after some tries, so that what follows is not held up; a place that takes
// none, as in a rolling deploy, is tried for a while.
type Webhook struct {
	Config WebhookConfig
	Link   string
	Log    Noted
	Clock  func() time.Time // time.Now where nil

	notes
	caller *caller
	url    string
	secret []byte
	body   *template.Template
	failed failing
	until  time.Time // it was told to wait until then
}

// failing is what was answered with 4xx, and nothing else, since it was tried first.
type failing struct {
	id      string
	since   time.Time
	tries   int
	refused int // of them, because of the body
}

// Name is webhook and its name.
func (w *Webhook) Name() string { return "webhook " + w.Config.Name }

// Open reads the files that the configuration names.
func (w *Webhook) Open() (err error) {
	if w.caller != nil {
		return nil
	}
	if w.Clock == nil {
		w.Clock = time.Now
	}
	if w.url, err = dial.ReadSecret("the address of "+w.Name(), w.Config.URL, w.Config.URLFile); err != nil {
		return err
	}
	if err := checkURL(w.url); err != nil {
		return fmt.Errorf("reading the address of %s: %w", w.Name(), err)
	}
	key, err := dial.ReadSecret("the secret of "+w.Name(), w.Config.Secret, w.Config.SecretFile)
	if err != nil {
		return err
	}
	if w.secret = []byte(key); w.Config.SecretFile != "" && key == "" {
		return fmt.Errorf("reading the secret of %s: %s is empty", w.Name(), w.Config.SecretFile)
	}
	if w.body, err = loadTemplate(w.Config.Template); err != nil {
		return fmt.Errorf("%s: %w", w.Name(), err)
	}
	c, err := newCaller(cmp.Or(w.Config.Timeout, webhookTimeout), "")
	if err != nil {
		return err
	}
	for name, value := range w.Config.Headers {
		c.header.Set(name, value)
	}
	c.header.Set("Content-Type", w.contentType())
	w.caller = c
	return nil
}

func (w *Webhook) contentType() string { return cmp.Or(w.Config.ContentType, "application/json") }

// Check asks whether anybody answers at the address. Nothing is sent.
func (w *Webhook) Check(ctx context.Context) error {
	if err := w.Open(); err != nil {
		return err
	}
	err := w.caller.call(ctx, http.MethodHead, w.url, nil, nil, nil)
	var answer *answerError
	if errors.As(err, &answer) {
		return nil // whatever it says to that
	}
	return err
}

// Recover reads what was delivered: a webhook cannot be asked what it has.
func (w *Webhook) Recover(ctx context.Context, _ []string) (err error) {
	if err := w.Open(); err != nil {
		return err
	}
	w.notes, err = read(ctx, w.Log, w.Name())
	return err
}

// Deliver sends the transitions, one request after the answer to the one before.
func (w *Webhook) Deliver(ctx context.Context, transitions []alert.Transition) (settled []alert.Delivery, err error) {
	for _, t := range transitions {
		if w.Has(t) {
			continue
		}
		d := alert.Delivery{Transition: t, Outcome: alert.DeliveryAccepted}
		if !w.wants(t) {
			d.Outcome = alert.DeliveryFiltered
		} else if body, err := w.write(t); err != nil {
			d.Outcome, d.Detail = alert.DeliveryRefused, err.Error()
		} else if err := w.Send(ctx, t.ID, body); err != nil {
			var given *GivenUpError
			if !errors.As(err, &given) {
				return settled, err
			}
			d.Outcome, d.Detail = alert.DeliveryRefused, given.Answer
		}
		w.put(t)
		settled = append(settled, d)
	}
	return settled, nil
}

// Mend has nothing to do: what was answered well is there.
func (w *Webhook) Mend(context.Context) (int, bool, error) { return 0, false, nil }

// Tombstone has nothing to do: what was sent cannot be taken back.
func (w *Webhook) Tombstone(_ context.Context, ended []alert.Transition) ([]alert.Transition, error) {
	return ended, nil
}

// wants reports whether a transition passes the filter.
func (w *Webhook) wants(t alert.Transition) bool {
	among := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	account := bodyOf(t).Account
	if account == nil {
		account = &alert.AccountBrief{}
	}
	c := w.Config
	return among(c.Statuses, string(t.State)) && among(c.Kinds, t.Kind) && among(c.Severities, t.Severity) &&
		among(c.Owners, cmp.Or(t.Labels["owner"], account.Owner)) && among(c.Teams, cmp.Or(t.Labels["team"], account.Team))
}

func (w *Webhook) write(t alert.Transition) ([]byte, error) {
	if w.body == nil {
		return t.Value, nil
	}
	link := ""
	if w.Link != "" {
		link = linkTo(w.Link, t)
	}
	return w.fill(w.body, t.Value, link)
}

func (w *Webhook) fill(t *template.Template, value []byte, link string) ([]byte, error) {
	body, err := fill(t, value, link)
	if err != nil {
		return nil, err
	}
	return body, w.checkBody(body)
}

func (w *Webhook) checkBody(body []byte) error {
	if kind, _, _ := mime.ParseMediaType(w.contentType()); kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil
	}
	var any json.RawMessage
	if err := json.Unmarshal(bytes.TrimSpace(body), &any); err != nil {
		return fmt.Errorf("the template writes what is no JSON: %w; quote every field with the function json", err)
	}
	return nil
}

// GivenUpError says that a request was answered with a refusal as often as it may be.
type GivenUpError struct {
	Tries  int
	Answer string
}

func (e *GivenUpError) Error() string {
	return fmt.Sprintf("given up after %d tries: %s", e.Tries, e.Answer)
}

// Send makes one try to send a body. An error that is no GivenUpError is worth another.
func (w *Webhook) Send(ctx context.Context, id string, body []byte) error {
	now := w.Clock()
	if now.Before(w.until) {
		return fmt.Errorf("%s asked to wait until %s", w.Name(), w.until.UTC().Format(time.RFC3339))
	}
	header := http.Header{HeaderIdempotency: {id}}
	if len(w.secret) > 0 {
		timestamp := strconv.FormatInt(now.Unix(), 10)
		header[HeaderTimestamp], header[HeaderSignature] = []string{timestamp}, []string{Sign(w.secret, timestamp, body)}
	}
	err := w.caller.call(ctx, http.MethodPost, w.url, body, header, nil)
	var answer *answerError
	switch {
	case err == nil:
		w.failed = failing{}
		return nil
	case !errors.As(err, &answer):
		w.failed = failing{}
		return fmt.Errorf("calling %s: %w", w.Name(), err)
	case !answer.permanent():
		w.failed = failing{}
		w.until = now.Add(min(retryAfter(answer.after, now), longestWait))
		return fmt.Errorf("calling %s: %w", w.Name(), err)
	}
	f := &w.failed
	if f.id != id {
		*f = failing{id: id, since: now}
	}
	if f.tries++; answer.bodyRefused() {
		f.refused++
	}
	over := f.refused >= webhookTries || now.Sub(f.since) >= cmp.Or(w.Config.GiveUpAfter, webhookGivesUp)
	if w.Config.Tries > 0 {
		over = f.tries >= w.Config.Tries
	}
	if over {
		given := &GivenUpError{Tries: f.tries, Answer: answer.Error()}
		*f = failing{}
		return given
	}
	return fmt.Errorf("calling %s, try %d: %w", w.Name(), f.tries, err)
}

// Sign is how a body is signed: whoever shares the secret can tell that it comes from us, and when.
func Sign(secret []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp))
	mac.Write([]byte("."))
	mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// retryAfter reads the header: seconds, or an instant.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(max(0, min(seconds, int(longestWait/time.Second)))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
