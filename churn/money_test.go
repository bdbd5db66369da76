package churn

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const mostUnits = 999_999_999_999_999_999 // 18 digits

func TestMoneyIsExact(t *testing.T) {
	for _, c := range []struct {
		text  string
		units int64
		shown string
	}{
		{"0", 0, "0.00"}, {"-0", 0, "0.00"}, {"-0.0", 0, "0.00"}, {"+0", 0, "0.00"}, {"00", 0, "0.00"}, {"0e5", 0, "0.00"}, {"0.00000000", 0, "0.00"},
		{"1", 10_000, "1.00"}, {"1.0", 10_000, "1.00"}, {"1.00000000", 10_000, "1.00"}, {"001", 10_000, "1.00"}, {"+1", 10_000, "1.00"}, {"-1", -10_000, "-1.00"},
		{"0.1", 1_000, "0.10"}, {"0.3", 3_000, "0.30"}, {"0.0001", 1, "0.0001"}, {"-0.0001", -1, "-0.0001"}, {"0.00010", 1, "0.0001"}, {"1.005", 10_050, "1.005"},
		{"1200.50", 12_005_000, "1200.50"}, {"4.35", 43_500, "4.35"}, {"9007199254740.9931", 90_071_992_547_409_931, "9007199254740.9931"}, // no float64 holds these
		{"1e0", 10_000, "1.00"}, {"1.2e3", 12_000_000, "1200.00"}, {"1.2E+3", 12_000_000, "1200.00"}, {"12345e-4", 12_345, "1.2345"}, {"10e-5", 1, "0.0001"}, {"0.00001e1", 1, "0.0001"},
		{"1e13", 100_000_000_000_000_000, "10000000000000.00"}, {"100000000000000000e-17", 10_000, "1.00"}, {"0.000000000000000001e18", 10_000, "1.00"},
		{"99999999999999.9999", mostUnits, "99999999999999.9999"}, {"-99999999999999.9999", -mostUnits, "-99999999999999.9999"}, {"99999999999999", mostUnits - 9_999, "99999999999999.00"},
	} {
		m, err := Money(c.text)
		if err != nil || !m.Known || m.Units() != c.units || m.String() != c.shown {
			t.Errorf("%s: %d units, %q, %v; want %d, %s", c.text, m.Units(), m.String(), err, c.units, c.shown)
		}
	}
}

// What would lose a digit, and what is no number, is refused: never rounded, never guessed.
func TestMoneyRefuses(t *testing.T) {
	for _, text := range []string{
		"", "-", "+", ".", "-.", "1.", ".5", "e5", "1e", "1e+", "1e1.5", "1ee1", "1e19", "1e-19", "10000000000000000000e-19", "1e99999999999999999999", "--1", "+-1", "-+1", "1-", "1.2.3", "1..2", "0..", "0.0.0", "1,5", "1,000.00",
		"0x10", "1_000", " 1", "1 ", "1\n", "\x001", "NaN", "Inf", "Infinity", "nil", "1f", "٣", "１", "$1", "EUR 1", "1 EUR", "0x", "00x", "0-",
		"0.00001", "1.00001", "1e-5", "11e-5", "100000000000000", "999999999999999999", "1e14", "99999999999999.99991", "9223372036854775808", strings.Repeat("9", 100), "0." + strings.Repeat("0", 100) + "1",
	} {
		m, err := Money(text)
		if err == nil || m.Known || m.String() != "" {
			t.Errorf("%q: %+v, want an error", text, m)
		} else if len(err.Error()) > 160 {
			t.Errorf("%q: a message of %d bytes", text, len(err.Error()))
		}
	}
}

func TestMoneyNotKnown(t *testing.T) {
	var m OptionalMoney
	if m.String() != "" || m.Units() != 0 || m.Float() != 0 || m.Known || MustMoney("0") == m {
		t.Errorf("%+v", m)
	}
	defer func() {
		if recover() == nil {
			t.Error("MustMoney took a bad amount")
		}
	}()
	MustMoney("twelve")
}

// Units, text and units again are the same amount; so are all the ways to write it.
func TestMoneyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.Int64Range(-mostUnits, mostUnits).Draw(t, "units")
		m := MoneyFromUnits(units)
		if m.Units() != units {
			t.Fatalf("%d units became %d", units, m.Units())
		}
		written := new(big.Rat).SetFrac64(units, UnitsPerOne)
		if shown, ok := new(big.Rat).SetString(m.String()); !ok || shown.Cmp(written) != 0 {
			t.Errorf("%d units are shown as %s", units, m.String())
		}
		if f, _ := written.Float64(); math.Abs(m.Float()-f) > math.Abs(f)*1e-15 {
			t.Errorf("%d units as a float are %v", units, m.Float())
		}
		exponent := big.NewInt(units).String() + "e-4"
		for _, text := range []string{m.String(), written.FloatString(4), written.FloatString(4) + "000", exponent} {
			again, err := Money(text)
			if err != nil || again.Units() != units || again.String() != m.String() {
				t.Errorf("%d units by way of %q: %d, %v", units, text, again.Units(), err)
			}
		}
	})
}

// Whatever the text: either the exact amount, by the arithmetic of math/big, or refused.
func TestMoneyIsExactOrRefused(t *testing.T) {
	digits := rapid.StringOfN(rapid.RuneFrom([]rune("0123456789")), 0, 20, -1)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"", "-", "+"}).Draw(t, "sign") + digits.Draw(t, "whole")
		if rapid.Bool().Draw(t, "dotted") {
			text += "." + digits.Draw(t, "fraction")
		}
		if rapid.Bool().Draw(t, "scientific") {
			text += rapid.SampledFrom([]string{"e", "E", "e+", "e-"}).Draw(t, "e") + rapid.StringMatching(`[0-9]{1,2}`).Draw(t, "exponent")
		}
		m, err := Money(text)
		want, isNumber := new(big.Rat).SetString(text)
		if err != nil {
			// Refusing is right where the amount does not fit; one written with a huge exponent may be refused although it does.
			if isNumber && !strings.ContainsAny(text, "eE") && !strings.HasSuffix(text, ".") && !strings.HasPrefix(strings.TrimLeft(text, "+-"), ".") {
				scaled := new(big.Rat).Mul(want, big.NewRat(UnitsPerOne, 1))
				if scaled.IsInt() && scaled.Num().CmpAbs(big.NewInt(mostUnits)) <= 0 {
					t.Errorf("%q was refused: %v", text, err)
				}
			}
			return
		}
		if !isNumber || want.Cmp(new(big.Rat).SetFrac64(m.Units(), UnitsPerOne)) != 0 {
			t.Errorf("%q became %d units", text, m.Units())
		}
	})
}
