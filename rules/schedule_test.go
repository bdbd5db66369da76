package rules

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestScheduleTicks(t *testing.T) {
	for _, c := range []struct{ why, spec, zone, after, until, want string }{
		{"a fixed time in UTC", "30 6 * * *", "UTC", "2026-01-01T06:30:00Z", "2026-01-03T06:30:00Z",
			"2026-01-02T06:30:00Z 2026-01-03T06:30:00Z"},
		{"a zone with a quarter of an hour", "0 9 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z",
			"2026-01-01T03:15:00Z"},
		{"every hour in that zone, at its own full hours", "0 * * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z",
			"2026-01-01T00:15:00Z 2026-01-01T01:15:00Z"},
		{"02:30 does not exist in spring: the end of the gap", "30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z",
			"2026-03-28T01:30:00Z 2026-03-29T01:00:00Z 2026-03-30T00:30:00Z"},
		{"two times in the gap are one tick", "15,45 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z",
			"2026-03-29T01:00:00Z"},
		{"the end of the gap is due itself: one tick", "0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z",
			"2026-03-29T01:00:00Z"},
		{"02:30 comes twice in autumn: the first", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z",
			"2026-10-25T00:30:00Z 2026-10-26T01:30:00Z"},
		{"asked between the two: tomorrow", "30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T12:00:00Z",
			"2026-10-26T01:30:00Z"},
		{"01:30 comes twice in autumn in New York", "30 1 * * *", "America/New_York", "2026-11-01T00:00:00Z", "2026-11-02T12:00:00Z",
			"2026-11-01T05:30:00Z 2026-11-02T06:30:00Z"},
		{"02:30 is skipped in spring in New York", "30 2 * * *", "America/New_York", "2026-03-08T00:00:00Z", "2026-03-08T23:00:00Z",
			"2026-03-08T07:00:00Z"},
		{"every 30 minutes follows elapsed time over the gap", "*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z",
			"2026-03-29T00:30:00Z 2026-03-29T01:00:00Z 2026-03-29T01:30:00Z 2026-03-29T02:00:00Z"},
		{"and over the repeated hour", "*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z",
			"2026-10-25T00:30:00Z 2026-10-25T01:00:00Z 2026-10-25T01:30:00Z 2026-10-25T02:00:00Z"},
		{"half an hour of summer time: the gap", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-04T12:00:00Z",
			"2026-10-03T15:30:00Z"},
		{"half an hour of summer time: the repeated half hour, first", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-05T12:00:00Z",
			"2026-04-04T14:45:00Z"},
		{"every ten minutes there", "*/10 * * * *", "Australia/Lord_Howe", "2026-04-04T14:40:00Z", "2026-04-04T15:30:00Z",
			"2026-04-04T14:50:00Z 2026-04-04T15:00:00Z 2026-04-04T15:10:00Z 2026-04-04T15:20:00Z 2026-04-04T15:30:00Z"},
		{"every second hour is a list of fixed times", "0 */2 * * *", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T03:00:00Z",
			"2026-10-25T00:00:00Z 2026-10-25T03:00:00Z"},
		{"six fields, seconds first", "15 0 6 * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-01T06:00:15Z"},
		{"weekdays by name", "0 9 * * mon", "UTC", "2026-01-01T00:00:00Z", "2026-01-13T00:00:00Z", "2026-01-05T09:00:00Z 2026-01-12T09:00:00Z"},
		{"the last day is due, the first is not", "0 0 1 * *", "UTC", "2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-02-01T00:00:00Z 2026-03-01T00:00:00Z"},
		{"a whole day that a zone left out", "0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2011-12-31T00:00:00Z",
			"2011-12-29T19:00:00Z 2011-12-30T10:00:00Z 2011-12-30T19:00:00Z"},
	} {
		t.Run(c.why, func(t *testing.T) {
			s, err := ParseSchedule(c.spec, zone(t, c.zone))
			if err != nil {
				t.Fatal(err)
			}
			after, _ := time.Parse(time.RFC3339, c.after)
			until, _ := time.Parse(time.RFC3339, c.until)
			got := ""
			for tick := range s.Ticks(after, until) {
				if got != "" {
					got += " "
				}
				got += tick.Format(time.RFC3339)
			}
			if got != c.want {
				t.Errorf("%s in %s\ngot  %s\nwant %s", c.spec, c.zone, got, c.want)
			}
		})
	}
}

func TestParseScheduleRefuses(t *testing.T) {
	for _, spec := range []string{
		"", " ", "TZ=UTC", "TZ=", "CRON_TZ=Europe/Berlin 0 6 * * *", "0 6 * * * TZ=UTC", "@hourly", "@every 1h", "* * * *",
		"* * * * * * *", "60 * * * *", "a b c d e", "0 0 31 2 *", "-1 * * * *", "*/0 * * * *", ", * * * *", "0 6 * * 7",
	} {
		if s, err := ParseSchedule(spec, time.UTC); err == nil {
			t.Errorf("%q is read, next %v", spec, s.Next(time.Now()))
		}
	}
}

// A fixed local time is due exactly once a local day, and ticks never go back, over every change of the clocks.
func TestFixedTimesComeOnceADay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"Europe/Berlin", "America/New_York", "UTC", "Asia/Kathmandu", "Australia/Lord_Howe"}).Draw(t, "zone")
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		hour, minute := rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")
		s, err := ParseSchedule(itoa(minute)+" "+itoa(hour)+" * * *", z)
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(rapid.IntRange(2000, 2036).Draw(t, "year"), 1, 1, 0, 0, 0, 0, z)
		last, days := from.Add(-time.Nanosecond), 0
		for tick := range s.Ticks(last, from.AddDate(1, 0, 0).Add(-time.Nanosecond)) {
			if !tick.After(last) {
				t.Fatalf("%v after %v", tick, last)
			}
			if days > 0 && tick.In(z).YearDay() != last.In(z).YearDay()+1 {
				t.Fatalf("%v follows %v", tick.In(z), last.In(z))
			}
			last = tick
			days++
		}
		if want := time.Date(from.Year(), 12, 31, 12, 0, 0, 0, z).YearDay(); days != want {
			t.Fatalf("%d ticks in %d days", days, want)
		}
	})
}

// A schedule of every minute is due at each minute of elapsed time, whatever the clocks show.
func TestEveryMinuteFollowsElapsedTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"}).Draw(t, "zone")
		z, _ := time.LoadLocation(name)
		s, err := ParseSchedule("* * * * *", z)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(rapid.Int64Range(1e9, 2e9).Draw(t, "at"), 0)
		if next := s.Next(at); !next.Equal(at.Truncate(time.Minute).Add(time.Minute)) {
			t.Fatalf("after %v comes %v", at.In(z), next.In(z))
		}
	})
}

func itoa(n int) string { return string(rune('0'+n/10)) + string(rune('0'+n%10)) }
