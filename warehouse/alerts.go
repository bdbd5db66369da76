package warehouse

import (
	"context"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/dial"
)

// AlertFilter selects alerts. An empty field does not filter.
type AlertFilter struct {
	Fingerprint string // or a prefix of one
	Rule        string
	Owner       string // the label
	AccountID   string
	States      []alert.State
	Limit       int // 0: all
}

// Alerts returns the latest transition of each alert that the filter selects: the gravest first, and of those the ones with most at stake.
func (w *Warehouse) Alerts(ctx context.Context, f AlertFilter) ([]alert.Transition, error) {
	states := []string{}
	for _, s := range f.States {
		states = append(states, string(s))
	}
	limit := uint64(f.Limit)
	if limit == 0 {
		limit = 1 << 40
	}
	return w.transitions(ctx, "reading the state of alerts", "alerts_found", clickhouse.Parameters{
		"fingerprint": f.Fingerprint, "rule": f.Rule, "owner": f.Owner, "account": f.AccountID, "states": stringArray(states),
		"limit": strconv.FormatUint(limit, 10),
	})
}

// History returns every transition of an alert, oldest first.
func (w *Warehouse) History(ctx context.Context, fingerprint string) ([]alert.Transition, error) {
	return w.transitions(ctx, "reading the history of alert "+fingerprint, "alert_history", clickhouse.Parameters{"fingerprint": fingerprint})
}

// Explain reads what there is to say of an alert: what it is about, as known when it last changed, what became of it, and the account's
// other alerts.
func (w *Warehouse) Explain(ctx context.Context, t alert.Transition) (alert.Explained, error) {
	e := alert.Explained{Alert: alert.LineOf(t), Why: t.Annotations}
	if t.AccountID != "" {
		key := churn.ContractKey{AccountID: t.AccountID, ContractID: t.ContractID}
		subjects, err := w.Subjects(ctx, t.At, []churn.ContractKey{key})
		if err != nil {
			return e, err
		}
		e.Subject = subjects[key]
		others, err := w.Alerts(ctx, AlertFilter{AccountID: t.AccountID})
		if err != nil {
			return e, err
		}
		for _, o := range others {
			if o.Fingerprint != t.Fingerprint {
				e.Others = append(e.Others, alert.LineOf(o))
			}
		}
	}
	history, err := w.History(ctx, t.Fingerprint)
	for _, h := range history {
		e.History = append(e.History, alert.EventOf(h))
	}
	return e, err
}

// outcomePoll is how often an answer to feedback is looked for.
const outcomePoll = 100 * time.Millisecond

// AwaitOutcome is Outcome, but that it waits for an answer as long as patience lasts.
func (w *Warehouse) AwaitOutcome(ctx context.Context, id string, patience time.Duration) (outcome string, answered bool, err error) {
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if outcome, answered, err = w.Outcome(ctx, id); err != nil || answered || patient.Err() != nil {
			return outcome, answered, err
		}
		if err := dial.Sleep(patient, outcomePoll); ctx.Err() != nil {
			return "", false, err
		}
	}
}

// Outcome returns what became of feedback; answered is false until an entry of the alert log says so.
func (w *Warehouse) Outcome(ctx context.Context, id string) (outcome string, answered bool, err error) {
	answered, err = w.one(ctx, "feedback_outcome", clickhouse.Parameters{"id": id}, &outcome)
	return outcome, answered, err
}
