package churn

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAddMonths(t *testing.T) {
	for _, c := range []struct {
		from   string
		months int
		want   string
	}{
		{"2026-01-15T00:00:00Z", 1, "2026-02-15T00:00:00Z"}, {"2026-01-31T00:00:00Z", 0, "2026-01-31T00:00:00Z"},
		{"2026-01-31T00:00:00Z", 1, "2026-02-28T00:00:00Z"}, {"2026-01-28T00:00:00Z", 1, "2026-02-28T00:00:00Z"}, {"2026-01-29T00:00:00Z", 1, "2026-02-28T00:00:00Z"},
		{"2028-01-31T00:00:00Z", 1, "2028-02-29T00:00:00Z"}, {"2028-02-29T00:00:00Z", 12, "2029-02-28T00:00:00Z"}, {"2028-02-29T00:00:00Z", 48, "2032-02-29T00:00:00Z"},
		{"2096-02-29T00:00:00Z", 48, "2100-02-28T00:00:00Z"}, // 2100 is no leap year
		{"2026-03-31T00:00:00Z", 1, "2026-04-30T00:00:00Z"}, {"2026-12-31T00:00:00Z", 2, "2027-02-28T00:00:00Z"}, {"2026-10-31T00:00:00Z", 13, "2027-11-30T00:00:00Z"},
		{"2026-02-28T00:00:00Z", 1, "2026-03-28T00:00:00Z"}, // not on to the end of March
		{"2026-12-01T00:00:00Z", 1, "2027-01-01T00:00:00Z"}, {"2026-01-31T23:59:59.999Z", 1, "2026-02-28T23:59:59.999Z"},
		{"2026-03-31T00:00:00Z", -1, "2026-02-28T00:00:00Z"}, {"2026-01-31T00:00:00Z", -2, "2025-11-30T00:00:00Z"}, {"2026-01-31T00:00:00Z", 1200, "2126-01-31T00:00:00Z"},
		{"2026-02-01T00:30:00+01:00", 1, "2026-02-28T23:30:00Z"}, // January 31 in UTC
	} {
		from, err := time.Parse(time.RFC3339, c.from)
		if err != nil {
			t.Fatal(err)
		}
		if got := AddMonths(from, c.months); !got.Equal(day(c.want)) || got.Location() != time.UTC {
			t.Errorf("%s plus %d months: %v, want %s", c.from, c.months, got, c.want)
		}
	}
}

// The month is the one asked for, the day the same or the last of a shorter month, the time of day untouched; later stays later.
func TestAddMonthsStaysInTheMonth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := time.UnixMilli(rapid.Int64Range(0, time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()-1).Draw(t, "from")).UTC()
		months := rapid.IntRange(-600, 1200).Draw(t, "months")
		got := AddMonths(from, months)
		if want := from.Year()*12 + int(from.Month()) + months; got.Year()*12+int(got.Month()) != want {
			t.Fatalf("%v plus %d months is %v: another month", from, months, got)
		}
		if got.Day() != from.Day() && (got.Day() > from.Day() || got.AddDate(0, 0, 1).Day() != 1) {
			t.Errorf("%v plus %d months is %v: another day", from, months, got)
		}
		if got.Sub(got.Truncate(24*time.Hour)) != from.Sub(from.Truncate(24*time.Hour)) {
			t.Errorf("%v plus %d months is %v: another time of day", from, months, got)
		}
		if later := from.Add(24 * time.Hour); AddMonths(later, months).Before(got) {
			t.Errorf("%v ends before %v does", later, from)
		}
	})
}

func TestContractEnd(t *testing.T) {
	closed := day("2026-01-31T09:30:00Z")
	for _, c := range []struct {
		endsAt string
		months int
		want   time.Time
	}{
		{"", 0, closed.Add(365 * 24 * time.Hour)},
		{"", 1, day("2026-02-28T09:30:00Z")},
		{"", 25, day("2028-02-29T09:30:00Z")},
		{"2026-06-01T00:00:00Z", 25, day("2026-06-01T00:00:00Z")}, // ends_at before the term
		{"2200-12-31T23:59:59Z", 0, day("2200-12-31T23:59:59Z")},
	} {
		var endsAt time.Time
		if c.endsAt != "" {
			endsAt = day(c.endsAt)
		}
		if got := ContractEnd(closed, endsAt, c.months); !got.Equal(c.want) {
			t.Errorf("%q, %d months: %v, want %v", c.endsAt, c.months, got, c.want)
		}
	}
	if got := ContractEnd(day("2200-01-01T00:00:00Z"), time.Time{}, 1200); !got.Equal(Forever) {
		t.Errorf("after Forever: %v", got)
	}
}

func day(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}
