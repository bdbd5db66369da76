package warehouse

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftershock/aftershock/churn/alert"
)

// AlertFilter says which alerts are meant; what is empty does not narrow.
type AlertFilter struct {
	Fingerprint string // or the beginning of one
	Rule        string
	Owner       string // the label
	AccountID   string
	States      []alert.State
	Limit       int // 0: all
}

// Alerts returns where the alerts stand that the filter means, those with most value at risk first.
func (w *Warehouse) Alerts(ctx context.Context, f AlertFilter) (alerts []alert.Transition, err error) {
	states := []string{}
	for _, s := range f.States {
		states = append(states, string(s))
	}
	limit := uint64(f.Limit)
	if limit == 0 {
		limit = 1 << 40
	}
	parameters := clickhouse.WithParameters(clickhouse.Parameters{
		"fingerprint": f.Fingerprint, "rule": f.Rule, "owner": f.Owner, "account": f.AccountID, "states": stringArray(states),
		"limit": strconv.FormatUint(limit, 10),
	})
	err = w.eachLog(ctx, "alerts_found", parameters, func(_ alert.Entry, t alert.Transition) { alerts = append(alerts, t) })
	if err != nil {
		return nil, fmt.Errorf("reading where alerts stand: %w", err)
	}
	return alerts, nil
}

// History returns every transition of an alert, the first one first.
func (w *Warehouse) History(ctx context.Context, fingerprint string) (history []alert.Transition, err error) {
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"fingerprint": fingerprint})
	err = w.eachLog(ctx, "alert_history", parameters, func(_ alert.Entry, t alert.Transition) { history = append(history, t) })
	if err != nil {
		return nil, fmt.Errorf("reading the history of alert %s: %w", fingerprint, err)
	}
	return history, nil
}

// Outcome says what became of feedback; answered is false while no entry of the alert log says.
func (w *Warehouse) Outcome(ctx context.Context, id string) (outcome string, answered bool, err error) {
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"id": id})
	err = w.each(ctx, "feedback_outcome", parameters, func(scan func(...any) error) error {
		answered = true
		return scan(&outcome)
	})
	return outcome, answered, err
}
