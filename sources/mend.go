package sources

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/itchyny/gojq"
)

// Mend is a compiled jq program that turns the value of a refused record into one that can be an event. It is not safe for
// concurrent use.
type Mend struct{ program Mapping }

// Broken is a refused record, as a mend sees it.
type Broken struct {
	Value               []byte // $text, and where it is JSON, the input
	Key                 []byte
	Headers             map[string]string
	Position            string // topic/partition/offset
	Code, Field, Reason string
}

// LoadMend reads and compiles a mend, with the functions and the limits of mappings. The error is a *MappingError where the
// program is at fault.
func LoadMend(path string) (*Mend, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading mend: %w", err)
	}
	m := &Mend{Mapping{path: path, tables: &tables{byName: map[string]*table{}},
		knows: []string{"$text", "$key", "$headers", "$position", "$code", "$field", "$reason"}}}
	return m, m.program.compile(string(text))
}

// Apply returns the mended value. The error says why there is none: the program failed, made nothing, or refused.
func (m *Mend) Apply(ctx context.Context, b Broken) ([]byte, error) {
	// A value that is no JSON is null, and $text is all there is: that is what the program may be there to mend.
	value, _ := parseJSON(b.Value)
	headers := make(map[string]any, len(b.Headers))
	for name, text := range b.Headers {
		headers[name] = plainText([]byte(text))
	}
	iter := m.program.code.RunWithContext(ctx, value, plainText(b.Value), plainText(b.Key), headers, b.Position, b.Code, b.Field, plainText([]byte(b.Reason)))
	made, ok := iter.Next()
	if !ok {
		return nil, errors.New("the mend makes nothing of it")
	}
	if err, failed := made.(error); failed {
		return nil, fmt.Errorf("the mend failed: %w", err)
	}
	if more, again := iter.Next(); again {
		if err, failed := more.(error); failed {
			return nil, fmt.Errorf("the mend failed: %w", err)
		}
		return nil, errors.New("the mend makes several values of it: one record stays one record")
	}
	object, ok := made.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the mend made %s where an object belongs", show(made))
	}
	if reason, refused := object["refuse"].(string); refused && len(object) == 1 {
		return nil, fmt.Errorf("the mend refuses it: %s", reason)
	}
	clean, err := clean(object)
	if err != nil {
		return nil, fmt.Errorf("the mend failed: %w", err)
	}
	return gojq.Marshal(clean)
}

func plainText(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }
