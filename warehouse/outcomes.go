package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Terms returns every term of every contract and what became of it, as known now.
func (w *Warehouse) Terms(ctx context.Context) ([]churn.Term, error) {
	found, err := all(ctx, w, "terms", terms, nil)
	if err != nil {
		return nil, fmt.Errorf("reading what became of contracts: %w", err)
	}
	return found, nil
}

var terms = []column[churn.Term]{
	get("account_id", texts, func(t *churn.Term) *string { return &t.AccountID }),
	get("contract_id", texts, func(t *churn.Term) *string { return &t.ContractID }),
	get("deal_id", texts, func(t *churn.Term) *string { return &t.DealID }),
	get("closed_at", instantsOrZero, func(t *churn.Term) *time.Time { return &t.ClosedAt }),
	get("ends_at", instantsOrZero, func(t *churn.Term) *time.Time { return &t.EndsAt }),
	get("over_at", instantsOrZero, func(t *churn.Term) *time.Time { return &t.OverAt }),
	get("outcome", words, func(t *churn.Term) *churn.Fate { return &t.Fate }),
	get("downgraded_at", instantsOrZero, func(t *churn.Term) *time.Time { return &t.DowngradedAt }),
}
