package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// StoreOwners keeps who answers for accounts; the same list twice changes nothing.
func (w *Warehouse) StoreOwners(ctx context.Context, list []churn.Owner) error {
	return owners.insertRows(ctx, w, "storing owners", "", list)
}

var owners = table[churn.Owner]{"owners", []column[churn.Owner]{
	put("account_id", texts, func(o *churn.Owner) string { return o.AccountID }),
	put("known_at", instants, func(o *churn.Owner) time.Time { return o.KnownAt }),
	put("account_executive", texts, func(o *churn.Owner) string { return o.AccountExecutive }),
	put("account_manager", texts, func(o *churn.Owner) string { return o.AccountManager }),
	put("team", texts, func(o *churn.Owner) string { return o.Team }),
}}

// StoreRates keeps exchange rates; a rate of the same day replaces the one before.
func (w *Warehouse) StoreRates(ctx context.Context, list []churn.Rate) error {
	now := w.clock()
	rows := make([]rateRow, len(list))
	for i, r := range list {
		units, err := r.Units()
		if err != nil {
			return fmt.Errorf("storing the rate of %s: %w", r.Currency, err)
		}
		rows[i] = rateRow{r, units, now}
	}
	return fx.insertRows(ctx, w, "storing exchange rates", "", rows)
}

// rateRow is one row of fx.
type rateRow struct {
	churn.Rate
	units    int64
	imported time.Time
}

var fx = table[rateRow]{"fx", []column[rateRow]{
	put("currency", words, func(r *rateRow) string { return r.Currency }),
	put("valid_from", instants, func(r *rateRow) time.Time { return r.ValidFrom }),
	put("rate", rates, func(r *rateRow) int64 { return r.units }),
	put("imported_at", instants, func(r *rateRow) time.Time { return r.imported }),
}}
