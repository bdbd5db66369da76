package warehouse

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aftershock/aftershock/churn"
)

// Terms returns every term of every contract and what became of it, as known now.
func (w *Warehouse) Terms(ctx context.Context) (all []churn.Term, err error) {
	err = w.each(ctx, "terms", clickhouse.WithParameters(nil), func(scan func(...any) error) error {
		var t churn.Term
		var fate string
		err := scan(&t.AccountID, &t.ContractID, &t.DealID, &t.ClosedAt, &t.EndsAt, &t.OverAt, &fate, &t.DowngradedAt)
		t.Fate = churn.Fate(fate)
		told(&t.ClosedAt, &t.EndsAt, &t.OverAt, &t.DowngradedAt)
		all = append(all, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading what became of contracts: %w", err)
	}
	return all, nil
}
