package churn

import (
	"fmt"

	"github.com/govalues/decimal"
)

// MoneyScale is the number of decimals that an amount keeps; MoneyDigits the most digits that it has in all.
const (
	MoneyScale  = 4
	MoneyDigits = 18
)

// OptionalMoney is an exact amount, or nothing. The currency stands beside it in the deal.
type OptionalMoney struct {
	Amount decimal.Decimal
	Known  bool
}

// Money parses an exact amount such as "1200.50".
func Money(s string) (OptionalMoney, error) {
	d, err := decimal.Parse(s)
	if err != nil {
		return OptionalMoney{}, fmt.Errorf("amount %q is not a decimal number", s)
	}
	if t := d.Trim(0); t.Scale() > MoneyScale || t.Prec() > MoneyDigits || t.Prec()-t.Scale() > MoneyDigits-MoneyScale {
		return OptionalMoney{}, fmt.Errorf("amount %q has more than %d digits or more than %d decimals", s, MoneyDigits, MoneyScale)
	}
	return OptionalMoney{Amount: d, Known: true}, nil
}

// MustMoney is Money for constants and tests; it panics on a bad amount.
func MustMoney(s string) OptionalMoney {
	m, err := Money(s)
	if err != nil {
		panic(err)
	}
	return m
}

// Float returns the amount as a float64 for ratios; amounts themselves are never kept as floats.
func (m OptionalMoney) Float() float64 {
	f, _ := m.Amount.Float64()
	return f
}

// Units returns the amount in ten-thousandths of the currency, which is how the warehouse stores Decimal(18, 4).
func (m OptionalMoney) Units() int64 {
	d := m.Amount.Rescale(MoneyScale)
	units := int64(d.Coef())
	if d.IsNeg() {
		return -units
	}
	return units
}
