package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Type and SchemaVersion name the format of Alert in CloudEvents and in the body.
const (
	Type          = "aftershock.alert.v1"
	SchemaVersion = 1
)

// Alert is the value of a record on an alert topic: Alert v1. The order of the fields is the order of the keys.
type Alert struct {
	SchemaVersion int               `json:"schema_version"`
	TransitionID  string            `json:"transition_id"`
	Fingerprint   string            `json:"fingerprint"`
	Episode       int               `json:"episode"`
	Sequence      int               `json:"sequence"`
	Status        State             `json:"status"`
	Reason        string            `json:"reason"`
	Rule          string            `json:"rule"`
	RuleVersion   string            `json:"rule_version"`
	Severity      string            `json:"severity"`
	Kind          string            `json:"kind"`
	Arm           Arm               `json:"arm"`
	StartsAt      time.Time         `json:"starts_at"`
	EvaluatedAt   time.Time         `json:"evaluated_at"`
	ResolvedAt    *time.Time        `json:"resolved_at"` // null while open
	Late          bool              `json:"late"`
	Labels        map[string]string `json:"labels"`
	Annotations   map[string]string `json:"annotations"`
	Account       *AccountBrief     `json:"account"`  // null where the alert concerns none
	Contract      *ContractBrief    `json:"contract"` // null where the alert concerns none
	Evidence      []Evidence        `json:"evidence"`
	EvidenceCut   bool              `json:"evidence_cut,omitempty"` // there is more; the latest is listed
	ValueAtRisk   *Value            `json:"value_at_risk"`          // null where it is not known
	HappenedAt    *time.Time        `json:"happened_at,omitempty"`
	Feedback      *Feedback         `json:"feedback,omitempty"`
	Brief         *HandoffBrief     `json:"brief,omitempty"`
}

// KindHandoff is the kind of rules whose alerts carry a brief while they are open. The kind decides, and no key of its own: a brief is
// what makes an alert a hand-off, so a rule that is one cannot forget it.
const KindHandoff = "handoff"

// Value is an exact amount of a currency (ISO 4217; empty where the rule names none).
type Value struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// Feedback is what people said of an episode last.
type Feedback struct {
	By           string            `json:"by"`
	Reason       string            `json:"reason"`
	Disposition  churn.Disposition `json:"disposition,omitempty"`
	SnoozedUntil *time.Time        `json:"snoozed_until,omitempty"`
}

// Order is the place of what the alert says among all that is said of its fingerprint.
func (a *Alert) Order() Order { return Order{Episode: a.Episode, Sequence: a.Sequence} }

// Encode gives a transition what is published: the topic, the key, the headers and the bytes, fixed here once.
func Encode(t *Transition, topic, source string, subject Subject) error {
	a := Alert{
		SchemaVersion: SchemaVersion, TransitionID: t.ID, Fingerprint: t.Fingerprint, Episode: t.Episode, Sequence: t.Sequence,
		Status: t.State, Reason: t.Reason, Rule: t.Rule, RuleVersion: t.RuleVersion, Severity: t.Severity, Kind: t.Kind, Arm: t.Arm,
		StartsAt: t.StartsAt.UTC(), EvaluatedAt: t.At.UTC(), Late: t.Late, Labels: t.Labels, Annotations: t.Annotations,
		Contract: subject.Contract, Evidence: subject.Evidence,
	}
	a.ResolvedAt = Instant(t.ResolvedAt)
	a.HappenedAt = Instant(t.HappenedAt)
	if t.By != "" {
		a.Feedback = &Feedback{By: t.By, Reason: t.Why, Disposition: t.Disposition, SnoozedUntil: Instant(t.SnoozedUntil)}
	}
	if t.AccountID != "" {
		account := subject.Account
		account.AccountID = t.AccountID
		a.Account = &account
	}
	if t.ValueAtRisk.Known {
		a.ValueAtRisk = &Value{t.ValueAtRisk.Amount.Trim(0).String(), t.Currency}
	}
	if t.Kind == KindHandoff && t.State != Resolved {
		a.Brief = subject.Brief
	}
	if a.Labels == nil {
		a.Labels = map[string]string{}
	}
	if a.Annotations == nil {
		a.Annotations = map[string]string{}
	}
	if a.Evidence == nil {
		a.Evidence = []Evidence{}
	}
	value, err := a.bounded()
	if err != nil {
		return fmt.Errorf("writing alert %s of rule %s: %w", t.ID, t.Rule, err)
	}
	t.Topic, t.Key, t.Value = topic, t.Fingerprint, value
	t.Headers = []Header{
		{Key: "ce_specversion", Value: "1.0"},
		{Key: "ce_id", Value: t.ID},
		{Key: "ce_source", Value: source},
		{Key: "ce_type", Value: Type},
		{Key: "ce_time", Value: t.At.UTC().Format(time.RFC3339Nano)},
		{Key: "content-type", Value: "application/json"},
	}
	return nil
}

func (a *Alert) bytes() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // a client's words stay readable
	err := enc.Encode(a)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Decode reads the value of a record on an alert topic. Unknown fields are ignored and unknown words, such as a status of a later
// build, are passed on, so that a consumer lives through additions. What is no JSON object of Alert v1, or does not say which
// transition of which alert it is, is an error. A tombstone, a record without a value, is no alert: look for it first.
func Decode(value []byte) (Alert, error) {
	var a Alert
	if err := json.Unmarshal(value, &a); err != nil {
		return Alert{}, fmt.Errorf("reading an alert: %w", err)
	}
	switch {
	case a.SchemaVersion != SchemaVersion:
		return Alert{}, fmt.Errorf("reading an alert: schema_version is %d, and this build reads %d", a.SchemaVersion, SchemaVersion)
	case a.TransitionID == "" || a.Fingerprint == "" || a.Status == "":
		return Alert{}, errors.New("reading an alert: transition_id, fingerprint and status are required")
	case !a.Order().Valid():
		return Alert{}, fmt.Errorf("reading an alert: episode %d and sequence %d must both be above zero", a.Episode, a.Sequence)
	}
	return a, nil
}

// Instant is a time as Alert v1 holds it: in UTC, and null where there is none.
func Instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
