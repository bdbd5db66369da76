package alert

import (
	"fmt"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/text"
)

// Line is one alert as `alerts list --json` prints it.
type Line struct {
	Fingerprint string            `json:"fingerprint"`
	Episode     int               `json:"episode"`
	State       State             `json:"state"`
	Reason      string            `json:"reason"`
	Rule        string            `json:"rule"`
	Severity    string            `json:"severity"`
	AccountID   string            `json:"account_id"`
	ContractID  string            `json:"contract_id,omitempty"`
	Owner       string            `json:"owner,omitempty"`
	ValueAtRisk string            `json:"value_at_risk,omitempty"`
	Currency    string            `json:"currency,omitempty"`
	StartsAt    *time.Time        `json:"starts_at"`
	By          string            `json:"by,omitempty"`
	Disposition churn.Disposition `json:"disposition,omitempty"`
	Suppressed  Suppressed        `json:"untold,omitempty"`
	Summary     string            `json:"summary"`
}

func LineOf(t Transition) Line {
	l := Line{
		Fingerprint: t.Fingerprint, Episode: t.Episode, State: t.State, Reason: t.Reason, Rule: t.Rule, Severity: t.Severity, AccountID: t.AccountID,
		ContractID: t.ContractID, Owner: t.Labels["owner"], By: t.By, Disposition: t.Disposition, Suppressed: t.Suppressed, Summary: t.Annotations["summary"],
	}
	if t.ValueAtRisk.Known {
		l.ValueAtRisk, l.Currency = t.ValueAtRisk.Amount.Trim(0).String(), t.Currency
	}
	if t.StartsAt.Unix() > 0 {
		l.StartsAt = &t.StartsAt
	}
	return l
}

// Shown is how much of a fingerprint a person has to type.
const Shown = 10

// Explained is an alert with everything that speaks for it.
type Explained struct {
	Alert   Line              `json:"alert"`
	Why     map[string]string `json:"annotations"`
	Subject Subject           `json:"subject"` // as known when the alert last changed
	History []Event           `json:"history"`
	Others  []Line            `json:"other_alerts"` // of the account
}

type Event struct {
	At          time.Time         `json:"at"`
	Episode     int               `json:"episode"`
	State       State             `json:"state"`
	Reason      string            `json:"reason"`
	By          string            `json:"by,omitempty"`
	Why         string            `json:"why,omitempty"`
	Disposition churn.Disposition `json:"disposition,omitempty"`
	Suppressed  Suppressed        `json:"untold,omitempty"`
}

// EventOf is a transition as a line of its alert's history: what people said stands where they said it.
func EventOf(t Transition) Event {
	e := Event{At: t.At, Episode: t.Episode, State: t.State, Reason: t.Reason, Suppressed: t.Suppressed}
	if t.FeedbackID != "" {
		e.By, e.Why, e.Disposition = t.By, t.Why, t.Disposition
	}
	return e
}

// Text is the explanation for a person.
func (e Explained) Text() string {
	var b strings.Builder
	line := func(format string, args ...any) { // clients' words are in it
		b.WriteString(text.VisibleLines(fmt.Sprintf(format, args...)) + "\n")
	}
	line("%s", e.Alert.Summary)
	if d := e.Why["description"]; d != "" {
		line("%s", d)
	}
	line("")
	line("%s, %s, %s, episode %d; account %s%s; owner %s", e.Alert.Rule, e.Alert.Severity, e.Alert.State, e.Alert.Episode, e.Alert.AccountID,
		PrefixedUnlessEmpty(", contract ", e.Alert.ContractID), OrNobody(e.Alert.Owner))
	if e.Alert.ValueAtRisk != "" {
		line("at risk: %s %s", e.Alert.ValueAtRisk, e.Alert.Currency)
	}
	if p := e.Why["playbook"]; p != "" {
		line("what to do: %s", p)
	}
	if k := e.Subject.Contract; k != nil {
		line("\nhow it was negotiated")
		if k.Hardness != nil {
			line("  hardness %.0f of 100 (%s), from %.0f%% of the facts that the score asks for", *k.Hardness, k.Band, 100*k.Coverage)
		} else {
			line("  hardness is not known: only %.0f%% of the facts that the score asks for are there", 100*k.Coverage)
		}
		for _, p := range k.Contributions {
			line("  %+6.1f  %s: %s", p.Points, p.Component, p.Evidence)
		}
		if len(k.Missing) > 0 {
			line("  not known: %s", strings.Join(k.Missing, ", "))
		}
	}
	if len(e.Subject.Evidence) > 0 {
		line("\nwhat the client said")
		for _, s := range e.Subject.Evidence {
			line("  %s, %.0f days after the close, ticket %s, %s (%s): %q", s.At.Format(time.DateOnly), s.LagDays, s.TicketID, strings.ReplaceAll(s.Class, "_", " "), s.Strength, s.Quote)
		}
	}
	if e.Subject.Brief != nil && e.Subject.Brief.Text != "" {
		line("\nbrief\n%s", e.Subject.Brief.Text)
	}
	line("\nwhat became of it")
	for _, h := range e.History {
		said := ""
		if h.By != "" {
			said = fmt.Sprintf(" by %s%s%s", h.By, PrefixedUnlessEmpty(": ", h.Why), PrefixedUnlessEmpty(", disposition ", string(h.Disposition)))
		}
		line("  %s  episode %d  %s (%s)%s%s", h.At.Format(time.DateTime), h.Episode, h.State, strings.ReplaceAll(h.Reason, "_", " "), said, PrefixedUnlessEmpty(", not told: ", string(h.Suppressed)))
	}
	if len(e.Others) > 0 {
		line("\nother alerts of the account")
		for _, o := range e.Others {
			line("  %s  %s  %s: %s", o.Fingerprint[:min(Shown, len(o.Fingerprint))], o.State, o.Rule, o.Summary)
		}
	}
	return b.String()
}

func PrefixedUnlessEmpty(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

func OrNobody(owner string) string {
	if owner == "" {
		return "nobody"
	}
	return owner
}

// AtRisk is what is at stake, for a person.
func (t *Transition) AtRisk() string {
	amount, known := t.ValueAtRisk.Amount.Float64()
	if !t.ValueAtRisk.Known || !known {
		return ""
	}
	return text.Whole(amount) + " " + t.Currency
}
