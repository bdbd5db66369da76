package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// AlertType and AlertSchemaVersion name the format of Alert in CloudEvents and in the body.
const (
	AlertType          = "aftershock.alert.v1"
	AlertSchemaVersion = 1
)

// Alert is the value of a record on an alert topic: Alert v1. The order of the fields is the order of the keys.
type Alert struct {
	SchemaVersion int                  `json:"schema_version"`
	TransitionID  string               `json:"transition_id"`
	Fingerprint   string               `json:"fingerprint"`
	Episode       int                  `json:"episode"`
	Sequence      int                  `json:"sequence"`
	Status        churn.State          `json:"status"`
	Reason        string               `json:"reason"`
	Rule          string               `json:"rule"`
	RuleVersion   string               `json:"rule_version"`
	Severity      string               `json:"severity"`
	Kind          string               `json:"kind"`
	Arm           churn.Arm            `json:"arm"`
	StartsAt      time.Time            `json:"starts_at"`
	EvaluatedAt   time.Time            `json:"evaluated_at"`
	ResolvedAt    *time.Time           `json:"resolved_at"` // null while open
	Late          bool                 `json:"late"`
	Labels        map[string]string    `json:"labels"`
	Annotations   map[string]string    `json:"annotations"`
	Account       *churn.AccountBrief  `json:"account"`  // null where the alert concerns none
	Contract      *churn.ContractBrief `json:"contract"` // null where the alert concerns none
	Evidence      []churn.Evidence     `json:"evidence"`
	ValueAtRisk   *AlertValue          `json:"value_at_risk"` // null where it is not known
	HappenedAt    *time.Time           `json:"happened_at,omitempty"`
	Feedback      *AlertFeedback       `json:"feedback,omitempty"`
	Brief         *churn.HandoffBrief  `json:"brief,omitempty"`
}

// KindHandoff is the kind of rules whose alerts carry a brief while they are open. The kind decides, and no key of its own: a brief is
// what makes an alert a hand-off, so a rule that is one cannot forget it.
const KindHandoff = "handoff"

// AlertValue is an exact amount of a currency (ISO 4217; empty where the rule names none).
type AlertValue struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// AlertFeedback is what people said of an episode last.
type AlertFeedback struct {
	By           string            `json:"by"`
	Reason       string            `json:"reason"`
	Disposition  churn.Disposition `json:"disposition,omitempty"`
	SnoozedUntil *time.Time        `json:"snoozed_until,omitempty"`
}

// dress gives a transition what is published: the topic, the key, the headers and the bytes, fixed here once.
func dress(t *churn.Transition, topic, source string, subject churn.Subject) error {
	a := Alert{
		SchemaVersion: AlertSchemaVersion, TransitionID: t.ID, Fingerprint: t.Fingerprint, Episode: t.Episode, Sequence: t.Sequence,
		Status: t.State, Reason: t.Reason, Rule: t.Rule, RuleVersion: t.RuleVersion, Severity: t.Severity, Kind: t.Kind, Arm: t.Arm,
		StartsAt: t.StartsAt.UTC(), EvaluatedAt: t.At.UTC(), Late: t.Late, Labels: t.Labels, Annotations: t.Annotations,
		Contract: subject.Contract, Evidence: subject.Evidence,
	}
	a.ResolvedAt = instant(t.ResolvedAt)
	a.HappenedAt = instant(t.HappenedAt)
	if t.By != "" {
		a.Feedback = &AlertFeedback{By: t.By, Reason: t.Why, Disposition: t.Disposition, SnoozedUntil: instant(t.SnoozedUntil)}
	}
	if t.AccountID != "" {
		account := subject.Account
		account.AccountID = t.AccountID
		a.Account = &account
	}
	if t.ValueAtRisk.Known {
		a.ValueAtRisk = &AlertValue{t.ValueAtRisk.Amount.Trim(0).String(), t.Currency}
	}
	if t.Kind == KindHandoff && t.State != churn.Resolved {
		a.Brief = subject.Brief
	}
	if a.Labels == nil {
		a.Labels = map[string]string{}
	}
	if a.Annotations == nil {
		a.Annotations = map[string]string{}
	}
	if a.Evidence == nil {
		a.Evidence = []churn.Evidence{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // a client's words stay readable
	if err := enc.Encode(a); err != nil {
		return fmt.Errorf("writing alert %s of rule %s: %w", t.ID, t.Rule, err)
	}
	t.Topic, t.Key, t.Value = topic, t.Fingerprint, bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	t.Headers = []churn.Header{
		{Key: "ce_specversion", Value: "1.0"},
		{Key: "ce_id", Value: t.ID},
		{Key: "ce_source", Value: source},
		{Key: "ce_type", Value: AlertType},
		{Key: "ce_time", Value: t.At.UTC().Format(time.RFC3339Nano)},
		{Key: "content-type", Value: "application/json"},
	}
	return nil
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
