package churn

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// text reads an optional string, such as what somebody wrote.
func (s *scanner) text(field string) string { return s.upTo(field, MaxText) }

// name reads an optional string that is an id, a name or a word.
func (s *scanner) name(field string) string { return s.upTo(field, MaxName) }

func (s *scanner) upTo(field string, most int) string {
	if s.null() || !s.is(field, "a string", `"`) {
		return ""
	}
	v := s.rawString()
	if len(v) > most {
		s.fail(CodeTextTooLong, field, "has %d bytes, at most %d are allowed", len(v), most)
	}
	return v
}

const startsNumber = "-0123456789"

// number reads an optional finite number between low and high.
func (s *scanner) number(field string, low, high float64) *float64 {
	if s.null() || !s.is(field, "a number", startsNumber) {
		return nil
	}
	raw := s.rawNumber()
	if s.err != nil {
		return nil
	}
	v, err := strconv.ParseFloat(raw, 64)
	if err != nil || math.IsInf(v, 0) || v < low || v > high {
		s.fail(CodeBadValue, field, "%s is not between %v and %v", shortQuote(raw), low, high)
		return nil
	}
	return &v
}

// integer reads an optional whole number between low and high.
func (s *scanner) integer(field string, low, high int64) (v int64, given bool) {
	if s.null() || !s.is(field, "a whole number", startsNumber) {
		return 0, false
	}
	raw := s.rawNumber()
	if s.err != nil {
		return 0, false
	}
	v, err := strconv.ParseInt(raw, 10, 64)
	if err != nil && strings.ContainsAny(raw, ".eE") {
		s.fail(CodeWrongType, field, "must be a whole number, found %s", shortQuote(raw))
		return 0, false
	}
	if err != nil || v < low || v > high {
		s.fail(CodeBadValue, field, "%s is not between %d and %d", shortQuote(raw), low, high)
		return 0, false
	}
	return v, true
}

// count reads an optional number of things.
func (s *scanner) count(field string) *int {
	v, given := s.integer(field, 0, math.MaxInt32)
	if !given {
		return nil
	}
	n := int(v)
	return &n
}

// boolean reads an optional boolean.
func (s *scanner) boolean(field string) *bool {
	if s.null() || !s.is(field, "true or false", "tf") {
		return nil
	}
	v := s.literal() == "true"
	return &v
}

// money reads an optional amount of at least zero: a JSON number or a decimal string.
func (s *scanner) money(field string) OptionalMoney {
	if s.null() || !s.is(field, "a number or a decimal string", `"`+startsNumber) {
		return OptionalMoney{}
	}
	var raw string
	if s.src[s.pos] == '"' {
		raw = s.rawString()
	} else {
		raw = s.rawNumber()
	}
	if s.err != nil {
		return OptionalMoney{}
	}
	m, err := Money(raw)
	switch {
	case err != nil:
		s.fail(CodeBadMoney, field, "%v", err)
	case m.Amount.IsNeg():
		s.fail(CodeBadValue, field, "%s is below zero", shortQuote(raw))
	}
	return m
}

var (
	firstInstant = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	endOfTime    = time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC)
)

// instant reads an optional RFC 3339 time, to the millisecond.
func (s *scanner) instant(field string) time.Time {
	if s.null() || !s.is(field, "an RFC 3339 time as a string", `"`) {
		return time.Time{}
	}
	raw := s.rawString()
	if s.err != nil {
		return time.Time{}
	}
	t, r := ParseInstant(raw)
	if r != nil {
		s.fail(r.Code, field, "%s", r.Reason)
	}
	return t
}

// ParseInstant reads an RFC 3339 time in the years 1970 to 2200, as UTC to the millisecond.
func ParseInstant(raw string) (time.Time, *Rejection) {
	t, err := time.Parse(time.RFC3339, raw)
	if err != nil {
		return time.Time{}, &Rejection{Code: CodeBadTime, Reason: fmt.Sprintf("%s is not an RFC 3339 time such as 2026-01-31T09:30:00Z", shortQuote(raw))}
	}
	t = t.UTC().Truncate(time.Millisecond)
	if t.Before(firstInstant) || !t.Before(endOfTime) {
		return time.Time{}, &Rejection{Code: CodeTimeOutOfRange, Reason: fmt.Sprintf("%s is outside the years 1970 to 2200", shortQuote(raw))}
	}
	return t, nil
}

// oneOf reads an optional string of a closed list.
func (s *scanner) oneOf(field string, allowed ...string) string {
	v := s.text(field)
	if v == "" {
		return ""
	}
	for _, a := range allowed {
		if v == a {
			return v
		}
	}
	s.fail(CodeBadValue, field, "%s is none of %s", shortQuote(v), strings.Join(allowed, ", "))
	return ""
}

// shortQuote quotes what a producer sent without letting it fill a log.
func shortQuote(v string) string {
	const most = 60
	if len(v) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(v[cut]) {
			cut--
		}
		return strconv.Quote(v[:cut]) + "..."
	}
	return strconv.Quote(v)
}
