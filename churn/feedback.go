package churn

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Action is what a person did with an alert.
type Action string

const (
	Acknowledge Action = "ack"    // somebody looks after it: no reminders, no escalation
	Snooze      Action = "snooze" // not before Until
	Close       Action = "close"  // it is over, whatever the rule sees; it does not come back while the row stays
	Judge       Action = "judge"  // only the disposition
)

// Disposition is what an alert turned out to be.
type Disposition string

const (
	DispositionTrue    Disposition = "true"                 // the client did try to reopen the contract
	DispositionFalse   Disposition = "false"                // there was nothing
	DispositionOutage  Disposition = "benign_outage"        // our own outage explains it
	DispositionBilling Disposition = "benign_billing_error" // our own billing error explains it
)

// Feedback is what a person, or a system in their name, did with an alert: the value of a record on churn.feedback.
type Feedback struct {
	SchemaVersion int
	EventID       string // the same feedback sent twice counts once
	Fingerprint   string
	Episode       int // the episode that the person saw; 0: the one that stood then
	Action        Action
	By            string // who
	Reason        string // why, in their words
	Disposition   Disposition
	Until         time.Time // of a snooze
	OccurredAt    time.Time // zero: when it became known
}

// Encode writes Feedback v1 as it is sent (deploy/schemas/churn-feedback.v1.json), so that DecodeFeedback reads it back.
func (f Feedback) Encode() ([]byte, error) {
	record := struct {
		SchemaVersion int        `json:"schema_version"`
		EventID       string     `json:"event_id"`
		Fingerprint   string     `json:"fingerprint"`
		Episode       int        `json:"episode"`
		Who           string     `json:"who"`
		What          string     `json:"what"`
		Until         *time.Time `json:"until,omitempty"`
		Why           string     `json:"why,omitempty"`
		Disposition   string     `json:"disposition,omitempty"`
		At            time.Time  `json:"at"`
	}{SchemaVersion, f.EventID, f.Fingerprint, f.Episode, f.By, string(f.Action), nil, f.Reason, string(f.Disposition), f.OccurredAt}
	if !f.Until.IsZero() {
		record.Until = &f.Until
	}
	value, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("writing feedback: %w", err)
	}
	return value, nil
}

// FeedbackEvent is accepted feedback.
type FeedbackEvent struct {
	Feedback
	Stamp
}

// FeedbackOutcome is what became of one feedback.
type FeedbackOutcome struct {
	EventID string
	Outcome string // FeedbackApplied, or why it changed nothing
}

// FeedbackApplied is the outcome of feedback that changed an alert.
const FeedbackApplied = "applied"

// DecodeFeedback reads one Feedback v1 and validates it, as DecodeDeal does. The key is the record's: the fingerprint, where
// the value does not say it.
func DecodeFeedback(value []byte, key string, occurredAt time.Time) (Feedback, error) {
	s := newScanner(value)
	f := Feedback{SchemaVersion: SchemaVersion, Fingerprint: key}
	s.object(func(key string) {
		switch key {
		case "schema_version":
			s.schemaVersion(key)
		case "event_id":
			f.EventID = s.name(key)
		case "fingerprint":
			if v := s.name(key); v != "" {
				f.Fingerprint = v
			}
		case "episode":
			n, _ := s.integer(key, 0, math.MaxInt32)
			f.Episode = int(n)
		case "what":
			f.Action = Action(s.oneOf(key, string(Acknowledge), string(Snooze), string(Close), string(Judge)))
		case "who":
			f.By = s.name(key)
		case "why":
			f.Reason = s.text(key)
		case "disposition":
			f.Disposition = Disposition(s.oneOf(key, Dispositions...))
		case "until":
			f.Until = s.instant(key)
		case "at":
			f.OccurredAt = s.instant(key)
		default:
			s.skip()
		}
	})
	s.end()
	s.require("fingerprint", f.Fingerprint == "")
	if len(f.Fingerprint) > MaxName {
		s.fail(CodeTextTooLong, "fingerprint", "has %d bytes, at most %d are allowed", len(f.Fingerprint), MaxName)
	}
	s.require("what", f.Action == "")
	s.require("who", f.By == "")
	s.require("until", f.Action == Snooze && f.Until.IsZero())
	s.require("disposition", f.Action == Judge && f.Disposition == "")
	if s.err == nil && f.Action != Snooze && !f.Until.IsZero() {
		s.fail(CodeBadValue, "until", "stands only with snooze, not with %s", f.Action)
	}
	if s.err != nil {
		return Feedback{}, s.err
	}
	if f.EventID == "" {
		f.EventID = Hash(f.Fingerprint, string(value))
	}
	f.OccurredAt = firstKnown(f.OccurredAt, occurredAt)
	return f, nil
}

// Dispositions are the words for what an alert turned out to be.
var Dispositions = []string{string(DispositionTrue), string(DispositionFalse), string(DispositionOutage), string(DispositionBilling)}

// Key is the event's.
func (e *FeedbackEvent) Key() EventKey { return EventKey{"", e.Fingerprint, e.EventID, e.Hash} }
