package rules

import (
	"fmt"
	"maps"
	"math"
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

	ValueUnknown string // why Value is not known although the row has one
}

// BadRows are rows of which no alert can be made, by the fingerprint of the alert that it would be; without one where not even
// the row's identity can be read.
type BadRows map[string]error

// badRowsTold is how many of them an error tells of.
const badRowsTold = 3

func (b BadRows) Error() string {
	var said []string
	for _, err := range b {
		said = append(said, err.Error())
	}
	slices.Sort(said)
	what := "a row makes no alert"
	if len(said) > 1 {
		what = fmt.Sprintf("%d rows make no alert", len(said))
	}
	return what + ", the others do: " + strings.Join(said[:min(badRowsTold, len(said))], "; ")
}

// Err is nil where there are none.
func (b BadRows) Err() error {
	if len(b) == 0 {
		return nil
	}
	return b
}

// Read turns a rule's rows into alerts. A row that cannot be one is among the bad, and the others go on.
func (r *Rule) Read(rows []alert.Row) (alerts []Match, bad BadRows) {
	bad, times := BadRows{}, make(map[string]int, len(rows))
	for _, row := range rows {
		a := Match{Identity: make(map[string]string, len(r.Identity)), Row: row}
		if err := r.read(row, &a); err != nil {
			bad[a.Fingerprint] = err
		}
		if a.Fingerprint == "" {
			continue
		}
		if times[a.Fingerprint]++; times[a.Fingerprint] > 1 { // which of them is meant is unknown
			bad[a.Fingerprint] = fmt.Errorf("two rows with one identity (%s): make the query return one row for each, or add a column to identity", Describe(a.Identity))
		}
		alerts = append(alerts, a)
	}
	return slices.DeleteFunc(alerts, func(a Match) bool { return bad[a.Fingerprint] != nil }), bad
}

// read fills in what a row says.
func (r *Rule) read(row alert.Row, a *Match) (err error) {
	for _, name := range r.Identity {
		v, ok := row[name]
		if !ok || v == nil {
			return fmt.Errorf("identity column %q is missing or NULL in a row", name)
		}
		a.Identity[name] = Plain(v)
	}
	a.Fingerprint = alert.Fingerprint(r.Name, a.Identity)
	a.AccountID, a.ContractID = Plain(row["account_id"]), Plain(row["contract_id"])
	if a.Value, a.ValueUnknown, err = moneyOf(row[r.ValueAtRisk]); err != nil {
		return fmt.Errorf("value_at_risk of %s: %w", Describe(a.Identity), err)
	}
	if a.Value.Known {
		a.Currency = Plain(row[r.Currency])
	}
	if at, ok := row[r.HappenedAt].(time.Time); ok {
		a.HappenedAt = at
	}
	return nil
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

// moneyOf reads an amount; where it has more digits than an alert can hold, it says so.
func moneyOf(v any) (m churn.OptionalMoney, unknown string, err error) {
	written := Plain(v)
	switch v := v.(type) {
	case nil:
		return m, "", nil
	case churn.OptionalMoney:
		return v, "", nil
	case float64: // a computed figure; the warehouse's own amounts are exact
		if math.Abs(v) >= tooLarge && !math.IsInf(v, 0) {
			return m, fmt.Sprintf("%.6g is more than an alert can hold, %.0g", v, tooLarge), nil
		}
		written = strconv.FormatFloat(v, 'f', churn.MoneyScale, 64)
	}
	m, err = churn.Money(written)
	return m, "", err
}

// tooLarge is the least amount that money cannot hold.
var tooLarge = math.Pow10(churn.MoneyDigits - churn.MoneyScale)

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
