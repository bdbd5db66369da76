package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/aftershock/aftershock/churn"
	govalues "github.com/govalues/decimal"
	"github.com/shopspring/decimal"
)

// Owner says who answers for an account from an instant on.
type Owner struct {
	AccountID string
	churn.Owners
	KnownAt time.Time
}

// Rate is what one unit of a currency is worth in the reporting currency from an instant on.
type Rate struct {
	Currency  string
	Rate      govalues.Decimal
	ValidFrom time.Time
}

// StoreOwners keeps who answers for accounts; the same list twice changes nothing.
func (w *Warehouse) StoreOwners(ctx context.Context, owners []Owner) error {
	return w.insert(ctx, "storing owners", "insert_owners", "", len(owners), []any{
		column(owners, func(o *Owner) string { return o.AccountID }),
		column(owners, func(o *Owner) time.Time { return o.KnownAt }),
		column(owners, func(o *Owner) string { return o.AccountExecutive }),
		column(owners, func(o *Owner) string { return o.AccountManager }),
		column(owners, func(o *Owner) string { return o.Team }),
	})
}

// StoreRates keeps exchange rates; a rate of the same day replaces the one before.
func (w *Warehouse) StoreRates(ctx context.Context, rates []Rate) error {
	now := w.clock()
	amounts := make([]decimal.Decimal, len(rates))
	for i, r := range rates {
		var err error
		if amounts[i], err = decimal.NewFromString(r.Rate.String()); err != nil {
			return fmt.Errorf("storing the rate of %s: %w", r.Currency, err)
		}
	}
	return w.insert(ctx, "storing exchange rates", "insert_rates", "", len(rates), []any{
		column(rates, func(r *Rate) string { return r.Currency }),
		column(rates, func(r *Rate) time.Time { return r.ValidFrom }),
		amounts,
		column(rates, func(*Rate) time.Time { return now }),
	})
}
