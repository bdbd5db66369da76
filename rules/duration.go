package rules

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var durationPart = regexp.MustCompile(`^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)`)

var durationUnit = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// ParseDuration reads a duration such as 90s, 15m, 24h, 7d, 2w or 1d12h. A day is 24 hours and a week seven days,
// whatever the clocks do; negative durations do not exist.
func ParseDuration(s string) (time.Duration, error) {
	rest := strings.TrimSpace(s)
	if rest == "0" {
		return 0, nil
	}
	if rest == "" {
		return 0, fmt.Errorf("an empty duration")
	}
	var total float64
	for rest != "" {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, fmt.Errorf("%q is not a duration", s)
		}
		n, _ := strconv.ParseFloat(m[1], 64) // the pattern admits numbers only
		total += n * float64(durationUnit[m[2]])
		rest = rest[len(m[0]):]
	}
	if total >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is longer than 292 years", s)
	}
	return time.Duration(total), nil
}
