package churn

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/govalues/decimal"
)

// MoneyScale is the number of decimals that an amount keeps; MoneyDigits the most digits that it has in all.
const (
	MoneyScale  = 4
	MoneyDigits = 18
)

// UnitsPerOne is how many units of the last decimal make one: ten to the MoneyScale.
const UnitsPerOne = 10_000

// OptionalMoney is an exact amount, or nothing. The currency stands beside it in the deal.
type OptionalMoney struct {
	Amount decimal.Decimal
	Known  bool
}

// Money parses an exact amount such as "1200.50" or "1.2e3". An amount that would lose a digit is refused, never rounded.
func Money(s string) (OptionalMoney, error) {
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(s[i+1:])
		if err != nil || e < -MoneyDigits || e > MoneyDigits {
			return OptionalMoney{}, badAmount(s)
		}
		mantissa, exponent = s[:i], e
	}
	units, err := moneyUnits(mantissa, exponent)
	if err != nil {
		return OptionalMoney{}, badAmount(s)
	}
	return MoneyFromUnits(units), nil
}

func badAmount(s string) error {
	return fmt.Errorf("%s is not an amount of at most %d digits with %d decimals", shortQuote(s), MoneyDigits, MoneyScale)
}

// moneyUnits reads [-+]digits[.digits] as ten-thousandths, shifted by a decimal exponent.
func moneyUnits(s string, exponent int) (int64, error) {
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	whole, fraction, dotted := strings.Cut(s, ".")
	if whole == "" || dotted && fraction == "" {
		return 0, strconv.ErrSyntax
	}
	fraction = strings.TrimRight(fraction, "0")
	shift := MoneyScale - len(fraction) + exponent // zeros to append to the digits; below zero there is a digit too many
	digits := strings.TrimLeft(whole+fraction, "0")
	for shift < 0 && strings.HasSuffix(digits, "0") {
		digits, shift = digits[:len(digits)-1], shift+1
	}
	if digits == "" {
		return 0, nil // all of them were zeros
	}
	if shift < 0 || len(digits)+shift > MoneyDigits {
		return 0, strconv.ErrRange
	}
	if err := allDigits(digits); err != nil {
		return 0, err
	}
	units, err := strconv.ParseInt(digits+strings.Repeat("0", shift), 10, 64)
	if negative {
		units = -units
	}
	return units, err
}

func allDigits(s string) error {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return strconv.ErrSyntax
		}
	}
	return nil
}

// MoneyFromUnits is the amount of so many ten-thousandths.
func MoneyFromUnits(units int64) OptionalMoney {
	return OptionalMoney{Amount: decimal.MustNew(units, MoneyScale), Known: true}
}

// MustMoney is Money for constants and tests; it panics on a bad amount.
func MustMoney(s string) OptionalMoney {
	m, err := Money(s)
	if err != nil {
		panic(err)
	}
	return m
}

// String writes the amount with at least two decimals, for example 1200.50; nothing where it is not known.
func (m OptionalMoney) String() string {
	if !m.Known {
		return ""
	}
	return m.Amount.Trim(2).String()
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
