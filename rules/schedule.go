package rules

import (
	"fmt"
	"iter"
	"strings"
	"time"
	_ "time/tzdata" // a schedule names its zone, and not every machine has them

	"github.com/robfig/cron/v3"
)

// Schedule says when a group is due. This is the one place that knows the cron library, which reads the fields; when
// the clocks change is decided here, because the library skips 02:30 in spring and fires 01:30 twice in autumn.
//
// A schedule whose hour field admits every hour follows elapsed time: it is due at each instant whose local reading
// matches, in a repeated hour too. Any other is a list of fixed local times: each is due once a day, at its first
// occurrence where the hour repeats, and at the end of the gap where the clocks jump over it.
type Schedule struct {
	Spec string
	Zone *time.Location

	walls   cron.Schedule // over local readings taken as if they were UTC
	elapsed bool
}

const everyHour = 1<<24 - 1

var cronParser = cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// ParseSchedule reads a cron expression of five fields (minute hour day month weekday) or six (second first).
// An error says which field is wrong; a schedule that can never be due is an error too.
func ParseSchedule(spec string, zone *time.Location) (s Schedule, err error) {
	spec = strings.Join(strings.Fields(spec), " ")
	switch {
	case spec == "":
		return s, fmt.Errorf("the schedule is empty")
	case strings.Contains(spec, "TZ="):
		return s, fmt.Errorf("a schedule cannot carry a zone: use the key timezone")
	case strings.HasPrefix(spec, "@"):
		return s, fmt.Errorf("%q is a shorthand, which is not read: write the fields, for example 0 6 * * * for each day at 06:00", spec)
	}
	defer func() { // the library panics on some inputs
		if p := recover(); p != nil {
			err = fmt.Errorf("%q is not a cron expression", spec)
		}
	}()
	parsed, err := cronParser.Parse(spec)
	if err != nil {
		return s, fmt.Errorf("%q is not a cron expression: %w", spec, err)
	}
	fields := parsed.(*cron.SpecSchedule)
	fields.Location = time.UTC
	if zone == nil {
		zone = time.UTC
	}
	s = Schedule{Spec: spec, Zone: zone, walls: fields, elapsed: fields.Hour&everyHour == everyHour}
	if s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, fmt.Errorf("%q is never due", spec)
	}
	return s, nil
}

// Next returns the first instant after t at which the schedule is due, in UTC; zero where there is none within five years.
func (s Schedule) Next(t time.Time) time.Time {
	if s.elapsed {
		return s.nextElapsed(t)
	}
	wall := reading(t.In(s.Zone))
	for {
		if wall = s.walls.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if due := s.resolve(wall); due.After(t) {
			return due
		}
	}
}

// nextElapsed looks within each span of constant offset, where local readings and instants run alike.
func (s Schedule) nextElapsed(t time.Time) time.Time {
	limit := t.AddDate(6, 0, 0)
	for t.Before(limit) {
		local := t.In(s.Zone)
		_, offset := local.Zone()
		_, end := span(local)
		wall := s.walls.Next(reading(local))
		if wall.IsZero() {
			return time.Time{}
		}
		due := wall.Add(-time.Duration(offset) * time.Second)
		if end.IsZero() || due.Before(end) {
			return due
		}
		if first := s.firstAt(end); !first.IsZero() {
			return first
		}
		t = end
	}
	return time.Time{}
}

// firstAt returns t itself where the reading at t, the first of a new offset, is due.
func (s Schedule) firstAt(t time.Time) time.Time {
	wall := reading(t.In(s.Zone))
	if s.walls.Next(wall.Add(-time.Nanosecond)).Equal(wall) {
		return t.UTC()
	}
	return time.Time{}
}

// resolve returns the instant of a local reading: the first of two, or the end of the gap that swallows it.
func (s Schedule) resolve(wall time.Time) time.Time {
	guess := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, s.Zone)
	start, end := span(guess)
	spans := []time.Time{guess}
	if !start.IsZero() {
		spans = []time.Time{start.Add(-time.Second), guess}
	}
	if !end.IsZero() {
		spans = append(spans, end)
	}
	for _, in := range spans { // in time order, so the first occurrence wins
		_, offset := in.In(s.Zone).Zone()
		from, until := span(in.In(s.Zone))
		due := wall.Add(-time.Duration(offset) * time.Second)
		if !due.Before(from) && (until.IsZero() || due.Before(until)) {
			return due
		}
	}
	for _, edge := range []time.Time{start, end} {
		if !edge.IsZero() && wall.Before(reading(edge.In(s.Zone))) && !wall.Before(reading(edge.Add(-time.Second).In(s.Zone))) {
			return edge.UTC()
		}
	}
	return guess.UTC()
}

// span is the span of constant offset around t, or a part of it, as ZoneBounds has it. Go takes each year for 365 days long
// there: on the last day of a leap year the end that it gives has passed, and going on from it would lead nowhere for ever.
func span(t time.Time) (start, end time.Time) {
	start, end = t.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		end = t.Truncate(24 * time.Hour).Add(24 * time.Hour)
	}
	return start, end
}

// Ticks yields every instant after `after` and at or before `until` at which the schedule is due, in order.
func (s Schedule) Ticks(after, until time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for t := s.Next(after); !t.IsZero() && !t.After(until); t = s.Next(t) {
			if !yield(t) {
				return
			}
		}
	}
}

// reading returns the local date and clock of t as if it were UTC.
func reading(t time.Time) time.Time {
	_, offset := t.Zone() // looked up once: each of Year, Month and so on would do it again
	return time.Unix(t.Unix()+int64(offset), int64(t.Nanosecond())).UTC()
}
