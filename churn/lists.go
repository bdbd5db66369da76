package churn

import (
	"fmt"
	"time"

	"github.com/govalues/decimal"
)

// Owner says who answers for an account from an instant on. It supersedes what the account's deals said.
type Owner struct {
	AccountID string
	Owners
	KnownAt time.Time // zero where the list does not say: from the import on
	Line    int       // of the list that it was read from
}

// Rate is what one unit of a currency is worth in the reporting currency from an instant on.
type Rate struct {
	Currency  string // ISO 4217
	Rate      decimal.Decimal
	ValidFrom time.Time
	Line      int // of the list that it was read from
}

// A rate has at most RateDigits digits, RateScale of them after the point: it is stored as Decimal(18, 8).
const (
	RateScale  = 8
	RateDigits = 18

	rateLimit = 1_000_000_000_000_000_000 // 10 to the power of RateDigits
)

// Units returns the rate in units of its last decimal. A rate with more digits than are kept is an error, and never rounded.
func (r Rate) Units() (int64, error) {
	padded := r.Rate.Trim(0).Pad(RateScale)
	if padded.Scale() != RateScale || padded.Coef() >= rateLimit {
		return 0, fmt.Errorf("the rate %s has more than %d digits before the point or more than %d after it", r.Rate, RateDigits-RateScale, RateScale)
	}
	if padded.IsNeg() {
		return -int64(padded.Coef()), nil
	}
	return int64(padded.Coef()), nil
}
