package dial

import (
	"fmt"
	"log/slog"
)

// Secret is a string that shows itself only where it is used: never in a log, an error or a dump of the config.
type Secret string

const hidden = "(hidden)"

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString keeps %#v from telling.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// LogValue keeps slog from telling.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps encoders from telling.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
