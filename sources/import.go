package sources

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/itchyny/gojq"

	"github.com/aftershock/aftershock/churn"
)

// Record is one event as it goes to Kafka.
type Record struct {
	Key     string    // account_id
	Value   []byte    // JSON with sorted keys: the same event is the same bytes
	KnownAt time.Time // for the header aftershock-known-at; zero: known when a consumer stores it
}

// Format is how an export is written.
type Format string

const (
	CSV       Format = "csv"
	JSONLines Format = "jsonl"
)

// Import runs one export through a mapping.
type Import struct {
	Kind    Kind
	Mapping *Mapping
	// File is the export's name, for $file and messages. Only its last part is used: where a file lies on a machine is
	// no part of what happened.
	File string
	// Format defaults to JSONLines for files named .jsonl, .ndjson or .json, else CSV.
	Format Format
	// Delimiter of CSV. Defaults to a comma.
	Delimiter rune
	// KnownAtColumn names the column (a key of the row) that says when each fact became known. A mapping's own
	// known_at goes before it. Defaults to none.
	KnownAtColumn string
	// Output gets every record, in the order of the rows; its error ends the import. Nil checks the export without sending.
	Output func(context.Context, Record) error
	// Rejects gets every row that was not sent, a JSON object a line. Defaults to none.
	Rejects io.Writer
	// Progress is told how far the reading is, about once a megabyte and at the end. total is Size. Defaults to none.
	Progress func(bytesRead, total int64)
	// Size of the export in bytes, 0 where it is not known.
	Size int64
}

// Codes of refusals that are not codes of churn.
const (
	CodeRefused      = "refused_by_mapping" // the mapping said {refuse: "reason"}
	CodeMappingError = "mapping_error"      // the mapping failed on this row, or emitted what is no event
	CodeBadKnownAt   = "bad_known_at"       // a time of knowing that is no time
)

// Run reads the export to its end and returns what became of its rows, also when it ends early with an error.
func (im Import) Run(ctx context.Context, export io.Reader) (Summary, error) {
	im.File = filepath.Base(cmp.Or(im.File, "-"))
	s := Summary{File: im.File, Refused: []Refusal{}}
	if im.Kind != Deals && im.Kind != Tickets {
		return s, fmt.Errorf("importing %s: the kind is %q, must be deals or tickets", im.File, im.Kind)
	}
	if k := im.Mapping.Kind(); k != "" && k != im.Kind {
		return s, fmt.Errorf("importing %s: the mapping %s makes %s, not %s: try aftershock import %s", im.File, im.Mapping.path, k, im.Kind, k)
	}
	counted := &counter{r: export, total: im.Size, tell: im.Progress}
	read, err := im.open(counted)
	if err != nil {
		return s, fmt.Errorf("importing %s: %w", im.File, err)
	}
	t := tally{Summary: &s, seen: map[uint64]uint64{}, seed: maphash.MakeSeed()}
	for {
		if err := ctx.Err(); err != nil {
			return s, fmt.Errorf("importing %s: stopped after %d rows: %w", im.File, s.Rows, err)
		}
		r, err := read.next()
		if errors.Is(err, io.EOF) {
			counted.done()
			return s, nil
		}
		if err == nil {
			s.Rows++
			err = im.row(ctx, r, &t)
		}
		if err != nil {
			return s, fmt.Errorf("importing %s: after %d rows: %w", im.File, s.Rows, err)
		}
	}
}

func (im *Import) open(r io.Reader) (rows, error) {
	format := im.Format
	if format == "" {
		switch strings.ToLower(filepath.Ext(im.File)) {
		case ".jsonl", ".ndjson", ".json":
			format = JSONLines
		default:
			format = CSV
		}
	}
	switch format {
	case JSONLines:
		return newJSONRows(r)
	case CSV:
		c, err := newCSVRows(r, cmp.Or(im.Delimiter, ','))
		if err != nil {
			return nil, err
		}
		if im.KnownAtColumn != "" && !slices.Contains(c.header, im.KnownAtColumn) {
			return nil, fmt.Errorf("there is no column %q to take the time of knowing from; there are %q", im.KnownAtColumn, c.header)
		}
		return c, nil
	}
	return nil, fmt.Errorf("the format is %q, must be %s or %s", format, CSV, JSONLines)
}

// row takes one row through the mapping. The error is about the import; what is wrong with the row goes to the tally.
func (im *Import) row(ctx context.Context, r row, t *tally) error {
	events, why := im.convert(ctx, r)
	if err := ctx.Err(); err != nil {
		return err // the mapping was interrupted, which says nothing about the row
	}
	if why != nil {
		t.refuse(r.line, why)
		return im.reject(r, why)
	}
	if len(events) == 0 {
		t.pass(r.line)
		return nil
	}
	t.RowsSent++
	for _, e := range events {
		t.remember(r.line, e)
		if im.Output != nil {
			if err := im.Output(ctx, e.Record); err != nil {
				return fmt.Errorf("sending line %d: %w", r.line, err)
			}
		}
		t.Events++
	}
	return nil
}

// event is a record and what is needed to notice that two rows speak of one thing.
type event struct {
	Record
	identity string
}

// refusal is why one row is not sent. group is what it is counted by: reasons that quote a value would never add up.
type refusal struct{ code, field, reason, group string }

func (im *Import) convert(ctx context.Context, r row) ([]event, *refusal) {
	if r.fault != nil {
		return nil, &refusal{code: r.fault.code, reason: r.fault.reason, group: r.fault.code}
	}
	outputs, err := im.Mapping.run(ctx, r.value, r.line, im.File)
	if err != nil {
		return nil, mappingError("%v", err)
	}
	var events []event
	for _, out := range outputs {
		e, why := im.event(r, out)
		if why != nil {
			return nil, why
		}
		events = append(events, e)
	}
	return events, nil
}

// quoted finds what a reason quotes from a row.
var quoted = regexp.MustCompile(`"(?:\\.|[^"\\])*"|[0-9]+`)

func mappingError(format string, args ...any) *refusal {
	reason := fmt.Sprintf(format, args...)
	return &refusal{code: CodeMappingError, reason: reason, group: CodeMappingError + "\x00" + quoted.ReplaceAllString(reason, "")}
}

func (im *Import) event(r row, out any) (event, *refusal) {
	object, ok := out.(map[string]any)
	if !ok {
		return event{}, mappingError("the mapping made %s where an event or {refuse: \"reason\"} belongs", show(out))
	}
	if reason, refused := object["refuse"]; refused {
		text, ok := reason.(string)
		if !ok || text == "" || len(object) != 1 {
			return event{}, mappingError("a refusal is {refuse: \"reason\"} and nothing else, got %s", show(out))
		}
		return event{}, &refusal{code: CodeRefused, reason: text, group: CodeRefused + "\x00" + text}
	}
	value, err := clean(object)
	if err != nil {
		return event{}, mappingError("%v", err)
	}
	fields := value.(map[string]any)
	knownAt, why := im.knownAt(fields, r)
	if why != nil {
		return event{}, why
	}
	delete(fields, "known_at")
	return im.encode(fields, knownAt)
}

// encode writes an event's bytes and holds them against the decoder that consumers use.
func (im *Import) encode(fields map[string]any, knownAt time.Time) (event, *refusal) {
	idField := map[Kind]string{Deals: "deal_id", Tickets: "ticket_id"}[im.Kind]
	id, _ := fields[idField].(string)
	if _, given := fields["event_id"]; !given && id != "" {
		content, err := gojq.Marshal(fields)
		if err != nil {
			return event{}, mappingError("%v", err)
		}
		fields["event_id"] = id + ":" + churn.Hash(string(im.Kind), string(content))
	}
	value, err := gojq.Marshal(fields)
	if err != nil {
		return event{}, mappingError("%v", err)
	}
	e := event{Record: Record{Value: value, KnownAt: knownAt}}
	var revision int64
	if im.Kind == Deals {
		var d churn.DealClosed
		d, err = churn.DecodeDeal(value, time.Time{})
		e.Key, revision = d.AccountID, d.Revision
	} else {
		var t churn.SupportTicket
		t, err = churn.DecodeTicket(value, time.Time{})
		e.Key, revision = t.AccountID, t.Revision
	}
	if err != nil {
		var rejected *churn.Rejection
		if !errors.As(err, &rejected) {
			return event{}, mappingError("%v", err)
		}
		code := string(rejected.Code)
		return event{}, &refusal{code: code, field: rejected.Field, reason: rejected.Reason, group: code + "\x00" + rejected.Field}
	}
	e.identity = fmt.Sprintf("%s\x00%d", id, revision)
	return e, nil
}

// knownAt finds when an event became known: what the mapping says, else the column.
func (im *Import) knownAt(fields map[string]any, r row) (time.Time, *refusal) {
	from, v := "known_at", fields["known_at"]
	if source, ok := r.value.(map[string]any); ok && v == nil && im.KnownAtColumn != "" {
		from, v = im.KnownAtColumn, source[im.KnownAtColumn]
		if v == "" {
			v = nil
		}
		if v == nil {
			return time.Time{}, &refusal{code: CodeBadKnownAt, field: from, reason: "is empty, and the mapping sets no known_at",
				group: CodeBadKnownAt + "\x00empty"}
		}
	}
	if v == nil {
		return time.Time{}, nil
	}
	s, ok := v.(string)
	if !ok {
		return time.Time{}, &refusal{code: CodeBadKnownAt, field: from, reason: "must be a string, got " + show(v), group: CodeBadKnownAt}
	}
	at, err := instant(s)
	if err != nil {
		return time.Time{}, &refusal{code: CodeBadKnownAt, field: from, reason: err.Error(), group: CodeBadKnownAt}
	}
	return at, nil
}

// clean drops nulls, which mean the same as no field, and refuses numbers that JSON cannot carry: jq would write null
// for NaN and the greatest number for infinity.
func clean(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		kept := make(map[string]any, len(v))
		for key, item := range v {
			if item == nil {
				continue
			}
			c, err := clean(item)
			if err != nil {
				return nil, err
			}
			kept[key] = c
		}
		return kept, nil
	case []any:
		kept := make([]any, len(v))
		for i, item := range v {
			c, err := clean(item)
			if err != nil {
				return nil, err
			}
			kept[i] = c
		}
		return kept, nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("the mapping made the number %v", v)
		}
	}
	return v, nil
}

// reject writes a row that was not sent.
func (im *Import) reject(r row, why *refusal) error {
	if im.Rejects == nil {
		return nil
	}
	original := r.value
	if original == nil {
		original = r.raw
	}
	line, err := json.Marshal(struct {
		File   string `json:"file"`
		Line   int    `json:"line"`
		Code   string `json:"code"`
		Field  string `json:"field,omitempty"`
		Reason string `json:"reason"`
		Row    any    `json:"row"`
	}{im.File, r.line, why.code, why.field, why.reason, original})
	if err == nil {
		_, err = im.Rejects.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing the refused row of line %d: %w", r.line, err)
	}
	return nil
}

// counter tells how far the reading is.
type counter struct {
	r          io.Reader
	read, told int64
	total      int64
	tell       func(bytesRead, total int64)
}

func (c *counter) Read(p []byte) (int, error) {
	const every = 1 << 20
	n, err := c.r.Read(p)
	if c.read += int64(n); c.tell != nil && c.read-c.told >= every {
		c.told = c.read
		c.tell(c.read, c.total)
	}
	return n, err
}

func (c *counter) done() {
	if c.tell != nil {
		c.tell(c.read, c.total)
	}
}
