package deadletter

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

// Search is which dead letters are looked for.
type Search struct {
	Code      churn.Code       // empty: any
	Topic     string           // that the record came from; empty: any
	Positions []churn.Position // of the records; empty: the newest
	Limit     int              // of the newest
}

// Find returns the newest dead letters, newest first, or those that were asked for, and it is an error where one of them is not
// there. A record that was read twice has two dead letters, of which the first is returned. Progress may be nil.
func (s Search) Find(ctx context.Context, kafka *broker.Connection, progress func(done, total int64)) ([]*Letter, error) {
	wanted, limit := map[string]bool{}, s.Limit
	for _, p := range s.Positions {
		wanted[p.Path()] = true
	}
	if len(wanted) > 0 {
		limit = len(wanted)
	}
	var newest []*Letter
	seen := map[string]bool{}
	newerFirst := func(a, b *Letter) int {
		return cmp.Or(b.RejectedAt.Compare(a.RejectedAt), cmp.Compare(b.Offset, a.Offset), cmp.Compare(a.Path(), b.Path()))
	}
	_, err := Read(ctx, kafka, progress, func(d *Letter) error {
		path := d.Path()
		switch {
		case s.Code != "" && d.Code != s.Code, s.Topic != "" && d.Topic != s.Topic:
			return nil
		case len(wanted) > 0 && !wanted[path], seen[path]:
			return nil
		}
		at, _ := slices.BinarySearchFunc(newest, d, newerFirst)
		if at >= limit {
			return nil
		}
		seen[path] = true
		newest = slices.Insert(newest, at, d)
		if len(newest) > limit {
			delete(seen, newest[limit].Path())
			newest = newest[:limit]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(slices.Clone(s.Positions), func(p churn.Position) bool { return seen[p.Path()] })
	return newest, NotFound(kafka.Topics(), missing)
}

// NotFound is the error of positions of which no dead letter tells; nil where there are none.
func NotFound(topics broker.Topics, missing []churn.Position) error {
	if len(missing) == 0 {
		return nil
	}
	paths := make([]string, len(missing))
	for i, p := range missing {
		paths[i] = p.Path()
	}
	return fmt.Errorf("no dead letter in %s tells of %s: dead letters are kept for %s (kafka.topics.dead_letter_retention); aftershock deadletter list names positions",
		topics.DeadLetter, strings.Join(paths, ", "), topics.DeadLetterRetention)
}

// JSON is a dead letter for a program. Bytes that are not text are in base64.
type JSON struct {
	Position    string       `json:"position"`
	ReplayOf    string       `json:"replay_of,omitempty"`
	Code        churn.Code   `json:"code"`
	Field       string       `json:"field,omitempty"`
	Reason      string       `json:"reason"`
	Timestamp   time.Time    `json:"timestamp"`
	RejectedAt  time.Time    `json:"rejected_at"`
	Key         *string      `json:"key"`
	KeyBase64   string       `json:"key_base64,omitempty"`
	Headers     []headerJSON `json:"headers"`
	Value       *string      `json:"value"`
	ValueBase64 string       `json:"value_base64,omitempty"`
}

type headerJSON struct {
	Key         string  `json:"key"`
	Value       *string `json:"value"`
	ValueBase64 string  `json:"value_base64,omitempty"`
}

// AsJSON is the dead letter for a program.
func AsJSON(d *Letter) JSON {
	l := JSON{
		Position: d.Path(), ReplayOf: d.ReplayOf, Code: d.Code, Field: d.Field, Reason: d.Reason,
		Timestamp: d.Time.UTC(), RejectedAt: d.RejectedAt.UTC(), Headers: []headerJSON{},
	}
	l.Key, l.KeyBase64 = textOrBase64(d.Key)
	l.Value, l.ValueBase64 = textOrBase64(d.Value)
	for _, h := range d.Headers {
		text, encoded := textOrBase64(h.Value)
		l.Headers = append(l.Headers, headerJSON{h.Key, text, encoded})
	}
	return l
}

func textOrBase64(b []byte) (text *string, encoded string) {
	switch {
	case b == nil:
		return nil, ""
	case utf8.Valid(b):
		s := string(b)
		return &s, ""
	}
	return nil, base64.StdEncoding.EncodeToString(b)
}
