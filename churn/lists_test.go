package churn

import (
	"testing"

	"github.com/govalues/decimal"
)

func TestUnitsOfARateAreExact(t *testing.T) {
	for _, c := range []struct {
		rate string
		want int64 // 0: refused
	}{
		{"1", 100_000_000}, {"1.08", 108_000_000}, {"1.080000000000", 108_000_000}, {"-1.5", -150_000_000}, {"0.00000001", 1},
		{"9999999999.99999999", 999_999_999_999_999_999}, {"10000000000", 0}, {"0.000000001", 0}, {"999999999999999999", 0},
	} {
		units, err := Rate{Rate: decimal.MustParse(c.rate)}.Units()
		if units != c.want || (err != nil) != (c.want == 0) {
			t.Errorf("%s: %d, %v; want %d", c.rate, units, err, c.want)
		}
	}
}
