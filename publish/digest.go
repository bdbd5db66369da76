package publish

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/govalues/decimal"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/dial"
	"github.com/aftershock/aftershock/text"
)

// Digest is how the alerts of one owner stood at an instant, and what happened to them since another one. The order within each
// list is by value at risk.
type Digest struct {
	Owner    string        `json:"owner"` // empty: alerts that have none
	From     time.Time     `json:"from"`
	To       time.Time     `json:"to"`
	Fired    []DigestLine  `json:"fired"`    // first told since From
	Open     []DigestLine  `json:"open"`     // told and not over
	Waiting  []DigestLine  `json:"waiting"`  // of them, those that nobody has taken up
	Resolved []DigestLine  `json:"resolved"` // told, and over since From
	Withheld []DigestLine  `json:"withheld"` // not told, for the owner had been told enough in that week
	AtRisk   []DigestMoney `json:"at_risk"`  // of Open, each currency for itself
}

// DigestLine is one alert in a digest.
type DigestLine struct {
	Fingerprint string       `json:"fingerprint"`
	Rule        string       `json:"rule"`
	Severity    string       `json:"severity"`
	State       alert.State  `json:"state"`
	Account     string       `json:"account"`
	Summary     string       `json:"summary"`
	ValueAtRisk *DigestMoney `json:"value_at_risk"`
	Since       time.Time    `json:"since"`
	By          string       `json:"by,omitempty"`
}

// DigestMoney is an amount of a currency.
type DigestMoney struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// Digests makes the digest of each owner from where the alerts stood at `to`. An episode that ended and
// came again counts with the last one.
func Digests(from, to time.Time, alerts []alert.Transition) []Digest {
	of := map[string]*Digest{}
	sums := map[string]map[string]decimal.Decimal{}
	for _, t := range alerts {
		owner := ownerOf(t)
		d, known := of[owner]
		if !known {
			d = &Digest{Owner: owner, From: from.UTC(), To: to.UTC(), Fired: []DigestLine{}, Open: []DigestLine{}, Waiting: []DigestLine{},
				Resolved: []DigestLine{}, Withheld: []DigestLine{}, AtRisk: []DigestMoney{}}
			of[owner], sums[owner] = d, map[string]decimal.Decimal{}
		}
		line := lineOf(t)
		if t.Suppressed == alert.SuppressedMaximum {
			d.Withheld = append(d.Withheld, line)
		}
		if t.Notified.Episode != t.Episode {
			continue
		}
		if !t.Notified.First.Before(from) {
			d.Fired = append(d.Fired, line)
		}
		if !t.State.Open() {
			d.Resolved = append(d.Resolved, line)
			continue
		}
		d.Open = append(d.Open, line)
		if t.State == alert.Firing || t.State == alert.Reminder {
			d.Waiting = append(d.Waiting, line)
		}
		if t.ValueAtRisk.Known {
			if sum, err := sums[owner][t.Currency].Add(t.ValueAtRisk.Amount); err == nil {
				sums[owner][t.Currency] = sum
			}
		}
	}
	var all []Digest
	for _, owner := range slices.SortedFunc(maps.Keys(of), compareOwners) {
		d := of[owner]
		if len(d.Fired)+len(d.Open)+len(d.Resolved)+len(d.Withheld) == 0 {
			continue
		}
		for _, currency := range slices.Sorted(maps.Keys(sums[owner])) {
			d.AtRisk = append(d.AtRisk, DigestMoney{sums[owner][currency].Trim(0).String(), currency})
		}
		all = append(all, *d)
	}
	return all
}

func ownerOf(t alert.Transition) string {
	if owner := t.Labels["owner"]; owner != "" {
		return owner
	}
	if account := bodyOf(t).Account; account != nil {
		return account.Owner
	}
	return ""
}

func lineOf(t alert.Transition) DigestLine {
	l := DigestLine{Fingerprint: t.Fingerprint, Rule: t.Rule, Severity: t.Severity, State: t.State, Account: t.AccountID,
		Summary: t.Annotations["summary"], Since: t.StartsAt.UTC(), By: t.By}
	if t.ValueAtRisk.Known {
		l.ValueAtRisk = &DigestMoney{t.ValueAtRisk.Amount.Trim(0).String(), t.Currency}
	}
	return l
}

const (
	digestAfter   = 5 * time.Minute     // ticks that are due when a digest is have been evaluated by then
	digestTooLate = 24 * time.Hour      // then it is left out
	digestPast    = 63 * 24 * time.Hour // in which the schedule is looked for two instants: two months
	digestLook    = time.Minute
)

// Digester sends each owner's digest once for each instant of a schedule, through a webhook.
type Digester struct {
	Webhook  *Webhook
	Template string
	Schedule interface {
		// Next returns the first instant after another at which the schedule is due; zero where there is none.
		Next(after time.Time) time.Time
	}
	Log interface {
		Noted
		// Week returns where alerts stood at `to` that were open then or ended since `from`.
		Week(ctx context.Context, from, to time.Time) ([]alert.Transition, error)
		Delivered(ctx context.Context, destination string, at time.Time, deliveries []alert.Delivery) error
	}
	Clock  func() time.Time // time.Now where nil
	Logger *slog.Logger     // slog.Default() where nil

	body *template.Template
}

// Name is how what was sent is noted.
func (d *Digester) Name() string { return "digest " + d.Webhook.Config.Name }

// Open reads the files that the configuration names.
func (d *Digester) Open() (err error) {
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	if d.body, err = loadTemplate(d.Template); err != nil {
		return fmt.Errorf("%s: %w", d.Name(), err)
	}
	return d.Webhook.Open()
}

// Run sends until the context ends. Failures are waited out.
func (d *Digester) Run(ctx context.Context) error {
	pause := dial.Pause{First: retryMax, Longest: retryMax}
	for ctx.Err() == nil {
		if _, err := d.Flush(ctx); err == nil {
			_ = dial.Sleep(ctx, digestLook)
		} else if ctx.Err() == nil {
			d.Logger.Warn("sending digests; trying again", "destination", d.Name(), "error", err)
			_ = pause.Wait(ctx)
		}
	}
	return nil
}

// Flush sends the digests that are due and were not sent, and returns how many that were.
func (d *Digester) Flush(ctx context.Context) (sent int, err error) {
	if err := d.Open(); err != nil {
		return 0, err
	}
	now := d.Clock()
	from, due := d.due(now)
	if due.IsZero() || now.Sub(due) > digestTooLate {
		return 0, nil
	}
	had, err := read(ctx, d.Log, d.Name())
	if err != nil {
		return 0, err
	}
	alerts, err := d.Log.Week(ctx, from, due)
	if err != nil {
		return 0, err
	}
	for _, digest := range Digests(from, due, alerts) {
		if owners := d.Webhook.Config.Owners; len(owners) > 0 && !slices.Contains(owners, digest.Owner) {
			continue
		}
		note := noteOf(digest.Owner, due)
		if had.Has(note) {
			continue
		}
		outcome := alert.Delivery{Transition: note, Outcome: alert.DeliveryAccepted}
		if err := d.send(ctx, note.ID, digest); err != nil {
			var given *GivenUpError
			if !errors.As(err, &given) {
				return sent, err
			}
			outcome.Outcome, outcome.Detail = alert.DeliveryRefused, given.Answer
			d.Logger.Error("the destination refuses a digest; it is given up and noted", "destination", d.Name(), "owner", digest.Owner, "answer", given.Answer)
		} else {
			sent++
		}
		if err := d.Log.Delivered(ctx, d.Name(), now, []alert.Delivery{outcome}); err != nil {
			return sent, fmt.Errorf("noting a digest: %w", err)
		}
	}
	return sent, nil
}

func (d *Digester) send(ctx context.Context, id string, digest Digest) error {
	body, err := json.Marshal(digest)
	if err == nil && d.body != nil {
		body, err = d.Webhook.fill(d.body, body, "")
	}
	if err != nil {
		return &GivenUpError{Answer: err.Error()}
	}
	return d.Webhook.Send(ctx, id, body)
}

// due is the last instant of the schedule that has come, and the one before it.
func (d *Digester) due(now time.Time) (from, due time.Time) {
	for t := d.Schedule.Next(now.Add(-digestPast)); !t.IsZero() && !t.After(now.Add(-digestAfter)); t = d.Schedule.Next(t) {
		from, due = due, t
	}
	if from.IsZero() {
		from = due.AddDate(0, 0, -7)
	}
	return from, due
}

// noteOf is how the digest of an owner and an instant is noted among the deliveries of transitions: an owner is a fingerprint there
// and an instant an episode, so that the latest is found as it is of alerts.
func noteOf(owner string, due time.Time) alert.Transition {
	fingerprint := churn.Hash("digest", owner)
	episode := int(due.Unix() / 60)
	return alert.Transition{ID: alert.TransitionID(fingerprint, episode, 1), Fingerprint: fingerprint, Episode: episode, Sequence: 1}
}

// compareOwners puts alerts without an owner last.
func compareOwners(a, b string) int {
	if a == "" || b == "" {
		return cmp.Compare(b, a)
	}
	return cmp.Compare(a, b)
}

// Text is the digest for a person at a terminal.
func (d Digest) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Alerts of %s, %s to %s\n", text.Visible(alert.OrNobody(d.Owner)), d.From.Format(time.DateOnly), d.To.Format(time.DateOnly))
	for _, sum := range d.AtRisk {
		fmt.Fprintf(&b, "%s %s at risk\n", sum.Amount, sum.Currency)
	}
	for _, list := range []struct {
		title string
		lines []DigestLine
	}{
		{"new", d.Fired}, {"open", d.Open}, {"nobody has taken up", d.Waiting}, {"over", d.Resolved}, {"not told, for it was too many at once", d.Withheld},
	} {
		fmt.Fprintf(&b, "\n%s: %d\n", list.title, len(list.lines))
		for _, l := range list.lines {
			value := ""
			if l.ValueAtRisk != nil {
				value = strings.TrimSpace(l.ValueAtRisk.Amount + " " + l.ValueAtRisk.Currency)
			}
			fmt.Fprintf(&b, "  %s  %-16s  %s%s\n", l.Fingerprint[:min(alert.Shown, len(l.Fingerprint))], value, text.Visible(l.Summary), text.Visible(alert.PrefixedUnlessEmpty(", taken up by ", l.By)))
		}
	}
	return b.String()
}
