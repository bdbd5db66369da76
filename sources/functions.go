package sources

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/govalues/decimal"
	"github.com/itchyny/gojq"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/text"
)

// functions are what a mapping can call besides jq's own.
func functions(t *tables) []gojq.CompilerOption {
	return []gojq.CompilerOption{
		gojq.WithFunction("hash01", 0, 0, onString("hash01", func(s string) (any, error) { return Hash01(s), nil })),
		gojq.WithFunction("digest", 0, 0, onString("digest", func(s string) (any, error) { return churn.Hash(s), nil })),
		gojq.WithFunction("instant", 0, 0, onString("instant", func(s string) (any, error) {
			at, err := instant(s)
			if err != nil {
				return nil, err
			}
			return at.Format(time.RFC3339Nano), nil
		})),
		gojq.WithFunction("money", 0, 0, func(v any, _ []any) any {
			s, err := money(v)
			if err != nil {
				return fmt.Errorf("money: %w", err)
			}
			return s
		}),
		gojq.WithFunction("lookup", 3, 3, func(_ any, args []any) any {
			row, err := lookup(t, args)
			if err != nil {
				return fmt.Errorf("lookup: %w", err)
			}
			return row
		}),
	}
}

func onString(name string, f func(string) (any, error)) func(any, []any) any {
	return func(v any, _ []any) any {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("%s wants a string, got %s", name, show(v))
		}
		out, err := f(s)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return out
	}
}

// Hash01 draws a number from [0, 1) by the SHA-256 of a string: the same string, the same number, on every machine.
func Hash01(s string) float64 {
	sum := sha256.Sum256([]byte(s))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

// layouts are the times that exports write; those without a zone are read as UTC.
var layouts = []string{"2006-01-02", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00"}

func instant(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, s, time.UTC); err == nil {
			s = t.Format(time.RFC3339Nano)
			break
		}
	}
	t, r := churn.ParseInstant(s)
	if r != nil {
		if r.Code == churn.CodeBadTime {
			return time.Time{}, fmt.Errorf("%s is no time: write 2026-01-31, 2026-01-31 09:30:00 or RFC 3339, year first", strconv.Quote(text.Cut(s, 60, "...")))
		}
		return time.Time{}, fmt.Errorf("%s", r.Reason)
	}
	return t, nil
}

// money writes an amount as a decimal string, rounded half to even at four decimals. Thousands separators and currency
// signs are refused: 1.234 means two different amounts in two countries, and a mapping's author knows which.
func money(v any) (string, error) {
	var written string
	switch v := v.(type) {
	case string:
		written = strings.TrimSpace(v)
	case json.Number:
		written = v.String()
	case int:
		written = strconv.Itoa(v)
	case *big.Int:
		written = v.String()
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "", fmt.Errorf("%v is no amount", v)
		}
		written = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return "", fmt.Errorf("wants a string or a number, got %s", show(v))
	}
	d, err := decimal.Parse(written)
	if err != nil {
		return "", fmt.Errorf("%s is no amount: digits and a decimal point, nothing else", strconv.Quote(text.Cut(written, 60, "...")))
	}
	m, err := churn.Money(d.Round(churn.MoneyScale).String())
	if err != nil {
		return "", err
	}
	return m.Amount.Trim(0).String(), nil
}

func lookup(t *tables, args []any) (any, error) {
	names := [2]string{}
	for i, what := range []string{"table", "column"} {
		s, ok := args[i].(string)
		if !ok {
			return nil, fmt.Errorf("the %s's name must be a string, got %s", what, show(args[i]))
		}
		names[i] = s
	}
	tab := t.byName[names[0]]
	if tab == nil {
		return nil, fmt.Errorf("there is no table %q: give it with --with %s=FILE.csv", names[0], names[0])
	}
	switch v := args[2].(type) {
	case nil:
		return nil, nil
	case string:
		return tab.lookup(names[1], v)
	case json.Number:
		return tab.lookup(names[1], v.String())
	case int:
		return tab.lookup(names[1], strconv.Itoa(v))
	}
	return nil, fmt.Errorf("the value must be a string or a whole number, got %s", show(args[2]))
}

// show writes a value for a person, short.
func show(v any) string {
	b, err := gojq.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%T", v)
	}
	return text.Cut(string(b), 60, "...")
}
