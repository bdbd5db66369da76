package rules

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// Match is one row of a rule, read.
type Match struct {
	Fingerprint string
	Identity    map[string]string
	AccountID   string
	ContractID  string
	Row         alert.Row // what its texts are filled with, where it comes to that
	Value       churn.OptionalMoney
	Currency    string
	HappenedAt  time.Time
}

// Read turns a rule's rows into alerts. An error names the row or text at fault.
func (r *Rule) Read(rows []alert.Row) ([]Match, error) {
	seen := make(map[string]bool, len(rows))
	alerts := make([]Match, 0, len(rows))
	for _, row := range rows {
		a := Match{Identity: make(map[string]string, len(r.Identity))}
		for _, name := range r.Identity {
			v, ok := row[name]
			if !ok || v == nil {
				return nil, fmt.Errorf("identity column %q is missing or NULL in a row", name)
			}
			a.Identity[name] = Plain(v)
		}
		a.Fingerprint = alert.Fingerprint(r.Name, a.Identity)
		if seen[a.Fingerprint] {
			return nil, fmt.Errorf("two rows with one identity (%s): make the query return one row for each, or add a column to identity", Describe(a.Identity))
		}
		seen[a.Fingerprint] = true
		a.AccountID, a.ContractID = Plain(row["account_id"]), Plain(row["contract_id"])
		var err error
		if a.Value, err = moneyOf(row[r.ValueAtRisk]); err != nil {
			return nil, fmt.Errorf("value_at_risk of %s: %w", Describe(a.Identity), err)
		}
		if a.Value.Known {
			a.Currency = Plain(row[r.Currency])
		}
		if at, ok := row[r.HappenedAt].(time.Time); ok {
			a.HappenedAt = at
		}
		a.Row = row
		alerts = append(alerts, a)
	}
	return alerts, nil
}

func Describe(identity map[string]string) string {
	s := ""
	for _, k := range slices.Sorted(maps.Keys(identity)) {
		if s != "" {
			s += ", "
		}
		s += k + "=" + identity[k]
	}
	return s
}

// Plain writes a value as an identity or label holds it.
func Plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case churn.OptionalMoney:
		if !v.Known {
			return ""
		}
		return v.Amount.Trim(0).String()
	}
	return fmt.Sprint(v)
}

func moneyOf(v any) (churn.OptionalMoney, error) {
	switch v := v.(type) {
	case nil:
		return churn.OptionalMoney{}, nil
	case churn.OptionalMoney:
		return v, nil
	case float64: // a computed figure; the warehouse's own amounts are exact
		return churn.Money(strconv.FormatFloat(v, 'f', churn.MoneyScale, 64))
	}
	return churn.Money(Plain(v))
}

// Silent says which of the rule's sources told nothing for too long, or "".
func (r *Rule) Silent(ages map[string]time.Duration) string {
	var out []string
	for _, s := range r.Sources {
		age, known := ages[s]
		switch {
		case !known:
			out = append(out, s+" have never arrived")
		case r.StaleAfter > 0 && age > r.StaleAfter:
			out = append(out, fmt.Sprintf("%s have been silent for %s", s, formatDays(age.Hours()/24)))
		}
	}
	return strings.Join(out, "; ")
}
