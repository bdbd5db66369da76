package publish

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/dial"
)

// Config says where alerts go beside the Kafka topics.
type Config struct {
	// Link is where a person finds an alert; {fingerprint} and {account} stand for it. Defaults to none.
	Link string `yaml:"link" env:"LINK" doc:"where a person finds an alert, such as https://aftershock.example/alerts/{fingerprint}; {fingerprint} and {account} are filled in"`
	// Alertmanager takes alerts by its API v2. Defaults to none.
	Alertmanager AlertmanagerConfig `yaml:"alertmanager" envPrefix:"ALERTMANAGER_" doc:"Prometheus Alertmanager"`
	// Webhooks take each transition as one request. Defaults to none.
	Webhooks []WebhookConfig `yaml:"webhooks" env:"WEBHOOKS" doc:"places that take each change of an alert by HTTP; a list, see docs/destinations.md"`
	// Digest is one message for each owner, now and then. Defaults to none.
	Digest DigestConfig `yaml:"digest" envPrefix:"DIGEST_" doc:"one message for each owner, now and then"`
}

// DigestConfig says when owners are told how their alerts stand, and through what.
type DigestConfig struct {
	// Schedule is a cron schedule. Defaults to none.
	Schedule string `yaml:"schedule" env:"SCHEDULE" doc:"cron schedule of the digests, such as 0 8 * * 1; empty: none"`
	// Timezone is that of Schedule. Defaults to UTC.
	Timezone string `yaml:"timezone" env:"TIMEZONE" doc:"time zone of the schedule"`
	// Webhooks are names among Config.Webhooks. Their filter of owners counts.
	Webhooks []string `yaml:"webhooks" env:"WEBHOOKS" doc:"names of the webhooks that get them, each for the owners that it is for"`
	// Template is a file. Defaults to none: the digest as JSON.
	Template string `yaml:"template" env:"TEMPLATE" doc:"file with a Go template of the body; empty: the digest as JSON"`
}

// WebhookConfig says how one webhook is called. Its keys are in docs/destinations.md, which a test holds against this.
type WebhookConfig struct {
	Name        string            `yaml:"name" doc:"how deliveries are noted: lower-case letters, digits and dashes; a new name begins anew"`
	URL         dial.Secret       `yaml:"url" doc:"where to; what knows the address of a chat's webhook can write there, so better a file"`
	URLFile     string            `yaml:"url_file" doc:"file that holds the address"`
	Template    string            `yaml:"template" doc:"file with a Go template of the body; empty: the alert as it stands on the topic"`
	ContentType string            `yaml:"content_type" doc:"of the body; empty: application/json, and then what is no JSON is not sent"`
	Headers     map[string]string `yaml:"headers" doc:"further headers"`
	Secret      dial.Secret       `yaml:"secret" doc:"key of the signature; better in a file; empty: no signature"`
	SecretFile  string            `yaml:"secret_file" doc:"file that holds the key"`
	Timeout     time.Duration     `yaml:"timeout" doc:"bound on one request; 10s where it is 0s"`
	Tries       int               `yaml:"tries" doc:"how often a transition is sent whose body is refused (400, 413, 415, 422), before it is given up; 5 where it is 0. A number that is set counts for every 4xx, but for 408 and 429"`
	GiveUpAfter time.Duration     `yaml:"give_up_after" doc:"for how long a transition is tried that is answered with another 4xx, such as 403 or 404 in a rolling deploy, before it is given up; 10m where it is 0s"`
	Statuses    []string          `yaml:"statuses" doc:"only these: firing, reminder, acknowledged, snoozed, resolved; empty: all"`
	Kinds       []string          `yaml:"kinds" doc:"only these kinds; empty: all"`
	Severities  []string          `yaml:"severities" doc:"only these severities; empty: all"`
	Owners      []string          `yaml:"owners" doc:"only these owners, in digests, too; empty: all"`
	Teams       []string          `yaml:"teams" doc:"only these teams; empty: all"`
	OnlyDigests bool              `yaml:"only_digests" doc:"digests, and no single changes"`
}

// AlertmanagerConfig says how to reach Prometheus Alertmanager.
type AlertmanagerConfig struct {
	// URLs are the base addresses; each instance of a cluster is told. Defaults to none.
	URLs []string `yaml:"urls" env:"URLS" doc:"base addresses such as http://localhost:9093, one for each instance of a cluster; empty: no Alertmanager"`
	// Source is the label that tells our alerts from others. Defaults to aftershock.
	Source string `yaml:"source" env:"SOURCE" doc:"value of the label source on every alert; what carries it and does not stand open here is resolved there, so give each installation its own"`
	// RefreshEvery is how often what stands open is told again. Defaults to 1m.
	RefreshEvery time.Duration `yaml:"refresh_every" env:"REFRESH_EVERY" doc:"how often what stands open is told again, so that a restarted Alertmanager has it"`
	// HoldFor is how long Alertmanager keeps an alert without a refresh. Defaults to 4h.
	HoldFor time.Duration `yaml:"hold_for" env:"HOLD_FOR" doc:"how long Alertmanager keeps an open alert that is not told again, before it takes it for resolved"`
	// Timeout bounds one request. Defaults to 10s.
	Timeout time.Duration `yaml:"timeout" env:"TIMEOUT" doc:"bound on one request"`
	// Username is for basic authentication. Defaults to none.
	Username string `yaml:"username" env:"USERNAME" doc:"user of basic authentication; empty: none"`
	// Password is its password; better use PasswordFile.
	Password dial.Secret `yaml:"password" env:"PASSWORD" doc:"password; better in a file"`
	// PasswordFile holds the password.
	PasswordFile string `yaml:"password_file" env:"PASSWORD_FILE" doc:"file that holds the password"`
	// CAFile holds the PEM certificates to trust. Defaults to those of the system.
	CAFile string `yaml:"ca_file" env:"CA_FILE" doc:"PEM certificates to trust; those of the system where empty"`
}

// DefaultConfig publishes to the Kafka topics alone.
func DefaultConfig() Config {
	return Config{Alertmanager: AlertmanagerConfig{Source: "aftershock", RefreshEvery: time.Minute, HoldFor: 4 * time.Hour, Timeout: 10 * time.Second},
		Digest: DigestConfig{Timezone: "UTC"}}
}

// Validate reports everything that is wrong, at once.
func (c Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Link != "" {
		if err := checkURL(c.Link); err != nil {
			wrong("link: %w", err)
		}
	}
	a := c.Alertmanager
	seen := map[string]bool{}
	for _, u := range a.URLs {
		if err := checkURL(u); err != nil {
			wrong("alertmanager.urls: %w", err)
		} else if seen[strings.TrimRight(u, "/")] {
			wrong("alertmanager.urls: %s stands there twice", u)
		}
		seen[strings.TrimRight(u, "/")] = true
	}
	if a.Source == "" {
		wrong("alertmanager.source: it must not be empty")
	}
	if a.RefreshEvery <= 0 || a.Timeout <= 0 {
		wrong("alertmanager.refresh_every and alertmanager.timeout must be above zero")
	}
	if a.HoldFor < 2*a.RefreshEvery {
		wrong("alertmanager.hold_for: %s is less than two times refresh_every %s: open alerts would be resolved between two refreshes", a.HoldFor, a.RefreshEvery)
	}
	if a.Username == "" && (a.Password != "" || a.PasswordFile != "") {
		wrong("alertmanager: a password is given but no username")
	}
	if a.Username != "" && (a.Password == "") == (a.PasswordFile == "") {
		wrong("alertmanager: a username needs either password or password_file")
	}
	names := map[string]bool{}
	for i, w := range c.Webhooks {
		at := fmt.Sprintf("webhooks[%d]", i)
		if w.Name != "" {
			at += " (" + w.Name + ")"
		}
		for _, err := range w.mistakes() {
			wrong("%s: %w", at, err)
		}
		if names[w.Name] {
			wrong("%s: the name stands there twice", at)
		}
		names[w.Name] = true
	}
	if c.Digest.Schedule != "" && len(c.Digest.Webhooks) == 0 {
		wrong("digest.webhooks: a digest needs a webhook that gets it")
	}
	for _, name := range c.Digest.Webhooks {
		if !names[name] {
			wrong("digest.webhooks: there is no webhook %q", name)
		}
	}
	return errors.Join(errs...)
}

var webhookName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

func (w WebhookConfig) mistakes() (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !webhookName.MatchString(w.Name) {
		wrong("name: %q is not made of lower-case letters, digits and dashes", w.Name)
	}
	switch {
	case (w.URL == "") == (w.URLFile == ""):
		wrong("it needs either url or url_file")
	case w.URL != "":
		if err := checkURL(string(w.URL)); err != nil {
			wrong("url: %w", err)
		}
	}
	if w.Secret != "" && w.SecretFile != "" {
		wrong("it has both secret and secret_file: one of them is enough")
	}
	if w.Timeout < 0 || w.Tries < 0 || w.GiveUpAfter < 0 {
		wrong("timeout, tries and give_up_after must not be below zero")
	}
	for _, s := range w.Statuses {
		if !alert.State(s).Published() {
			wrong("statuses: %q is none of firing, reminder, acknowledged, snoozed, resolved", s)
		}
	}
	for name := range w.Headers {
		if !headerName.MatchString(name) {
			wrong("headers: %q is no name of a header", name)
		}
	}
	return errs
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// checkURL does not repeat what it was given where a secret may be in it.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("this is no URL")
	case u.User != nil:
		return errors.New("a URL holds neither user nor password: they have keys of their own")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("a URL begins with http:// or https:// and a host, not with %q", beginning(text, 8))
	}
	return nil
}
