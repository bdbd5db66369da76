package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/aftershock/aftershock/churn"
	govalues "github.com/govalues/decimal"
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
func (w *Warehouse) StoreOwners(ctx context.Context, list []Owner) error {
	return owners.insertRows(ctx, w, "storing owners", "", list)
}

var owners = table[Owner]{"owners", []column[Owner]{
	put("account_id", texts, func(o *Owner) string { return o.AccountID }),
	put("known_at", instants, func(o *Owner) time.Time { return o.KnownAt }),
	put("account_executive", texts, func(o *Owner) string { return o.AccountExecutive }),
	put("account_manager", texts, func(o *Owner) string { return o.AccountManager }),
	put("team", texts, func(o *Owner) string { return o.Team }),
}}

// StoreRates keeps exchange rates; a rate of the same day replaces the one before.
func (w *Warehouse) StoreRates(ctx context.Context, list []Rate) error {
	now := w.clock()
	rows := make([]rateRow, len(list))
	for i, r := range list {
		units, err := rateUnitsOf(r.Rate)
		if err != nil {
			return fmt.Errorf("storing the rate of %s: %w", r.Currency, err)
		}
		rows[i] = rateRow{r, units, now}
	}
	return fx.insertRows(ctx, w, "storing exchange rates", "", rows)
}

// rateRow is one row of fx.
type rateRow struct {
	Rate
	units    int64 // of the last digit that the table holds
	imported time.Time
}

var fx = table[rateRow]{"fx", []column[rateRow]{
	put("currency", words, func(r *rateRow) string { return r.Currency }),
	put("valid_from", instants, func(r *rateRow) time.Time { return r.ValidFrom }),
	put("rate", rates, func(r *rateRow) int64 { return r.units }),
	put("imported_at", instants, func(r *rateRow) time.Time { return r.imported }),
}}

// rateUnitsOf is a rate in units of the eighth digit after the point; one that has more digits is an error, and not rounded.
func rateUnitsOf(rate govalues.Decimal) (int64, error) {
	units := rate.Trim(0).Pad(rateScale)
	if units.Scale() != rateScale || units.Coef() >= rateLimit {
		return 0, fmt.Errorf("%s has more than %d digits before the point or more than %d after it", rate, rateDigits-rateScale, rateScale)
	}
	if units.IsNeg() {
		return -int64(units.Coef()), nil
	}
	return int64(units.Coef()), nil
}

// Rates are stored as Decimal(18, 8).
const (
	rateScale  = 8
	rateDigits = 18
	rateLimit  = 1_000_000_000_000_000_000 // 10 to the power of rateDigits
)
