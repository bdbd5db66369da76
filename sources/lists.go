package sources

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/govalues/decimal"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/text"
)

// RowError is what is wrong with one line of a list.
type RowError struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

func (e RowError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// ReadOwners reads a CSV with the columns account_id, account_executive, account_manager, team and, optionally,
// known_at. It reads to the end and returns all that is wrong at once; a caller that sees errors should store nothing.
func ReadOwners(r io.Reader) ([]churn.Owner, []RowError) {
	l := list{columns: []string{"account_id", "account_executive", "account_manager", "team", "known_at"},
		required: []string{"account_id"}}
	var owners []churn.Owner
	seen := map[string]churn.Owner{}
	l.read(r, func(line int, f map[string]string) error {
		o := churn.Owner{AccountID: f["account_id"], Line: line, Owners: churn.Owners{
			AccountExecutive: f["account_executive"], AccountManager: f["account_manager"], Team: f["team"]}}
		if o.AccountID == "" {
			return errors.New("account_id is empty")
		}
		if o.Owners == (churn.Owners{}) {
			return fmt.Errorf("nobody is named for account %s: give account_executive, account_manager or team", o.AccountID)
		}
		if f["known_at"] != "" {
			var err error
			if o.KnownAt, err = instant(f["known_at"]); err != nil {
				return fmt.Errorf("known_at: %w", err)
			}
		}
		key := o.AccountID + "\x00" + o.KnownAt.String()
		if before, twice := seen[key]; twice {
			return again("account "+o.AccountID, before.Line, before.Owners == o.Owners)
		}
		seen[key] = o
		owners = append(owners, o)
		return nil
	})
	return owners, l.errors
}

// ReadRates reads a CSV with the columns currency, rate and valid_from. It reads to the end and returns all that is
// wrong at once; a caller that sees errors should store nothing.
func ReadRates(r io.Reader) ([]churn.Rate, []RowError) {
	l := list{columns: []string{"currency", "rate", "valid_from"}, required: []string{"currency", "rate", "valid_from"}}
	var rates []churn.Rate
	seen := map[string]churn.Rate{}
	l.read(r, func(line int, f map[string]string) error {
		v := churn.Rate{Currency: f["currency"], Line: line}
		if !churn.KnownCurrency(v.Currency) {
			return fmt.Errorf("%q is not a currency of ISO 4217, such as EUR", v.Currency)
		}
		var err error
		if v.Rate, err = rate(f["rate"]); err != nil {
			return err
		}
		if v.ValidFrom, err = instant(f["valid_from"]); err != nil {
			return fmt.Errorf("valid_from: %w", err)
		}
		key := v.Currency + v.ValidFrom.String()
		if before, twice := seen[key]; twice {
			return again(v.Currency+" from "+v.ValidFrom.Format(time.DateOnly), before.Line, before.Rate.Cmp(v.Rate) == 0)
		}
		seen[key] = v
		rates = append(rates, v)
		return nil
	})
	return rates, l.errors
}

// rate reads an exact rate. decimal.Parse rounds digits away without a word, so they are counted first.
func rate(s string) (decimal.Decimal, error) {
	wrong := fmt.Errorf("rate %q is not a number above zero with at most %d digits before and %d after the point", text.Cut(s, 40, "..."), churn.RateDigits-churn.RateScale, churn.RateScale)
	whole, fraction, _ := strings.Cut(s, ".")
	onlyDigits := func(s string) bool {
		return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	}
	if whole == "" || !onlyDigits(whole) || !onlyDigits(fraction) || len(fraction) > churn.RateScale || len(strings.TrimLeft(whole, "0")) > churn.RateDigits-churn.RateScale {
		return decimal.Decimal{}, wrong
	}
	d, err := decimal.Parse(s)
	if err != nil || !d.IsPos() {
		return decimal.Decimal{}, wrong
	}
	return d, nil
}

func again(what string, line int, same bool) error {
	if same {
		return fmt.Errorf("%s stands in line %d already", what, line)
	}
	return fmt.Errorf("%s stands in line %d already, and says something else there", what, line)
}

// list reads a CSV whose columns are known. Unknown columns are refused: a misspelt one would be lost without a word.
type list struct {
	columns, required []string
	errors            []RowError
}

func (l *list) read(r io.Reader, visit func(line int, fields map[string]string) error) {
	fail := func(line int, format string, args ...any) {
		l.errors = append(l.errors, RowError{line, fmt.Sprintf(format, args...)})
	}
	c, err := newCSVRows(r, ',')
	if err != nil {
		fail(1, "%s", strings.TrimPrefix(err.Error(), "line 1: "))
		return
	}
	for _, name := range c.header {
		if !slices.Contains(l.columns, name) {
			fail(1, "column %q is unknown; the columns are %s", name, strings.Join(l.columns, ", "))
		}
	}
	for _, name := range l.required {
		if !slices.Contains(c.header, name) {
			fail(1, "column %s is missing", name)
		}
	}
	if len(l.errors) > 0 {
		return
	}
	for {
		row, err := c.next()
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			fail(c.line+1, "%v", err)
			return
		case row.fault != nil:
			fail(row.line, "%s", row.fault.reason)
			continue
		}
		fields := map[string]string{}
		for name, v := range row.value.(map[string]any) {
			fields[name] = strings.TrimSpace(v.(string))
		}
		if err := visit(row.line, fields); err != nil {
			fail(row.line, "%v", err)
		}
	}
}
