package publish

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Config says where alerts go beside the Kafka topics.
type Config struct {
	// Link is where a person finds an alert; {fingerprint} and {account} stand for it. Defaults to none.
	Link string `yaml:"link" env:"LINK" doc:"where a person finds an alert, such as https://aftershock.example/alerts/{fingerprint}; {fingerprint} and {account} are filled in"`
	// Alertmanager takes alerts by its API v2. Defaults to none.
	Alertmanager AlertmanagerConfig `yaml:"alertmanager" envPrefix:"ALERTMANAGER_" doc:"Prometheus Alertmanager"`
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
	Password churn.Secret `yaml:"password" env:"PASSWORD" doc:"password; better in a file"`
	// PasswordFile holds the password.
	PasswordFile string `yaml:"password_file" env:"PASSWORD_FILE" doc:"file that holds the password"`
	// CAFile holds the PEM certificates to trust. Defaults to those of the system.
	CAFile string `yaml:"ca_file" env:"CA_FILE" doc:"PEM certificates to trust; those of the system where empty"`
}

// DefaultConfig publishes to the Kafka topics alone.
func DefaultConfig() Config {
	return Config{Alertmanager: AlertmanagerConfig{Source: "aftershock", RefreshEvery: time.Minute, HoldFor: 4 * time.Hour, Timeout: 10 * time.Second}}
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
	return errors.Join(errs...)
}

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
