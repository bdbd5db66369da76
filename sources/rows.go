package sources

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aftershock/aftershock/text"
)

// MaxRow is the longest row, in bytes, that is read.
const MaxRow = 16 << 20

// row is one row of an export, or what is wrong with it.
type row struct {
	line  int
	value any    // what the mapping gets
	fault *fault // nil where the row could be read
	raw   any    // for the rejects file, where there is no value
}

// fault is why a row cannot be read; the rows after it can.
type fault struct{ code, reason string }

// rows reads an export row by row; io.EOF at its end, any other error where reading cannot go on.
type rows interface{ next() (row, error) }

var utf8Mark = []byte{0xEF, 0xBB, 0xBF}

// skipMark drops a byte-order mark and refuses the encodings that are not UTF-8.
func skipMark(r *bufio.Reader) error {
	head, _ := r.Peek(3)
	switch {
	case bytes.Equal(head, utf8Mark):
		_, err := r.Discard(3)
		return err
	case len(head) >= 2 && (head[0] == 0xFF && head[1] == 0xFE || head[0] == 0xFE && head[1] == 0xFF):
		return errors.New("the file is UTF-16: save it as UTF-8 (for example with iconv -f UTF-16 -t UTF-8)")
	}
	return nil
}

// csvRows reads CSV strictly: RFC 4180, every row as wide as the header.
type csvRows struct {
	limit  *limited
	csv    *csv.Reader
	header []string
	line   int // of the row read last
}

// limited ends the reading when one row takes more than MaxRow: a quote that was never closed would otherwise take the
// rest of the file into memory. It keeps the bytes of the row being read, for the rejects file.
type limited struct {
	r         io.Reader
	left      int
	kept      []byte // from keptAt on
	keptAt    int64
	rowBegins int64
}

var errRowTooLong = fmt.Errorf("a row is longer than %d MiB: is a quote not closed?", MaxRow>>20)

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errRowTooLong
	}
	n, err := l.r.Read(p)
	l.left -= n
	if done := l.rowBegins - l.keptAt; done > 0 {
		l.kept, l.keptAt = l.kept[:copy(l.kept, l.kept[done:])], l.rowBegins
	}
	l.kept = append(l.kept, p[:n]...)
	return n, err
}

// text is what stands from the beginning of the row to an offset.
func (l *limited) text(end int64) string {
	return strings.ToValidUTF8(strings.TrimRight(string(l.kept[l.rowBegins-l.keptAt:end-l.keptAt]), "\r\n"), "\uFFFD")
}

func newCSVRows(r io.Reader, delimiter rune) (*csvRows, error) {
	buffered := bufio.NewReader(r)
	if err := skipMark(buffered); err != nil {
		return nil, err
	}
	limit := &limited{r: buffered, left: MaxRow}
	c := &csvRows{limit: limit, csv: csv.NewReader(limit)}
	c.csv.Comma = delimiter
	c.csv.FieldsPerRecord = -1
	header, err := c.csv.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the file is empty: its first line must name the columns")
	case err != nil:
		return nil, fmt.Errorf("reading the names of the columns: %w", c.explain(err))
	}
	if err := checkHeader(header, delimiter); err != nil {
		return nil, err
	}
	c.header = header
	return c, nil
}

func checkHeader(header []string, delimiter rune) error {
	for i, name := range header {
		switch {
		case !utf8.ValidString(name):
			return fmt.Errorf("line 1: the name of column %d is not UTF-8", i+1)
		case strings.TrimSpace(name) == "":
			return fmt.Errorf("line 1: column %d has no name", i+1)
		case slices.Contains(header[:i], name):
			return fmt.Errorf("line 1: two columns are named %q", name)
		}
	}
	if len(header) == 1 {
		for _, other := range []rune{',', ';', '\t', '|'} {
			if other != delimiter && strings.ContainsRune(header[0], other) {
				return fmt.Errorf("line 1: there is one column, %q: try --delimiter %q", text.Cut(header[0], 60, "..."), string(other))
			}
		}
	}
	return nil
}

func (c *csvRows) next() (row, error) {
	c.limit.left, c.limit.rowBegins = MaxRow, c.csv.InputOffset()
	fields, err := c.csv.Read()
	var parse *csv.ParseError
	if errors.As(err, &parse) && errors.Is(err, csv.ErrBareQuote) {
		// A field that is not quoted ends with its line at the latest, so the next row is sound.
		return row{line: parse.StartLine, raw: c.limit.text(c.csv.InputOffset()),
			fault: &fault{"unreadable_row", `a quote (") stands in a field that is not quoted`}}, nil
	}
	if err != nil {
		return row{}, c.explain(err)
	}
	c.line, _ = c.csv.FieldPos(0)
	r := row{line: c.line}
	switch {
	case len(fields) != len(c.header):
		r.fault = &fault{"ragged_row", fmt.Sprintf("the row has %d fields, the header %d", len(fields), len(c.header))}
	case slices.ContainsFunc(fields, func(s string) bool { return !utf8.ValidString(s) }):
		r.fault = &fault{"invalid_utf8", "the row is not UTF-8"}
	}
	if r.fault != nil {
		for i := range fields {
			fields[i] = strings.ToValidUTF8(fields[i], "\uFFFD")
		}
		r.raw = fields
		return r, nil
	}
	value := make(map[string]any, len(fields))
	for i, name := range c.header {
		value[name] = fields[i]
	}
	r.value = value
	return r, nil
}

// explain adds to an error of the CSV reader what to try. After one of these the borders of rows are lost.
func (c *csvRows) explain(err error) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		if errors.Is(err, errRowTooLong) {
			return fmt.Errorf("after the row of line %d: %w", c.line, err)
		}
		return err
	}
	if errors.Is(err, csv.ErrQuote) {
		return fmt.Errorf("line %d: the quoting is broken in the row that begins in line %d: a quoted field must end with \" before the delimiter or "+
			"the end of the line, and a quote within it is written \"\"; rows after it cannot be told apart", parse.Line, parse.StartLine)
	}
	return fmt.Errorf("line %d: %w", parse.Line, parse.Err)
}

// jsonRows reads one JSON value a line.
type jsonRows struct {
	r    *bufio.Reader
	line int
}

func newJSONRows(r io.Reader) (*jsonRows, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	if err := skipMark(buffered); err != nil {
		return nil, err
	}
	return &jsonRows{r: buffered}, nil
}

func (j *jsonRows) next() (row, error) {
	for {
		text, tooLong, err := j.read()
		if err != nil {
			return row{}, err
		}
		r := row{line: j.line}
		if tooLong {
			r.fault = &fault{"row_too_long", fmt.Sprintf("the row is longer than %d MiB", MaxRow>>20)}
			return r, nil
		}
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			continue // a blank line is not a row
		}
		if !utf8.Valid(text) {
			r.fault, r.raw = &fault{"invalid_utf8", "the row is not UTF-8"}, strings.ToValidUTF8(string(text), "\uFFFD")
			return r, nil
		}
		if r.value, err = parseJSON(text); err != nil {
			r.fault, r.raw = &fault{"unreadable_row", err.Error()}, string(text)
		}
		return r, nil
	}
}

// read returns the next line, or that it was too long to keep.
func (j *jsonRows) read() (text []byte, tooLong bool, err error) {
	for {
		part, err := j.r.ReadSlice('\n')
		if !tooLong {
			text = append(text, part...)
		}
		if len(text) > MaxRow {
			text, tooLong = nil, true
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && (len(text) > 0 || tooLong):
		case err != nil:
			return nil, false, err
		}
		j.line++
		return text, tooLong, nil
	}
}

// parseJSON reads one value, numbers with all their digits. A key that stands twice is an error: encoding/json would
// keep the last without a word.
func parseJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := parseValue(d, 0)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.New("the JSON value ends too early")
	}
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON value: one value a line")
	}
	return v, nil
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	const maxDepth = 100
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d levels deep", maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			token, err := d.Token()
			if err != nil {
				return nil, err
			}
			key := token.(string) // the decoder lets nothing else be a key
			if _, twice := object[key]; twice {
				return nil, fmt.Errorf("the key %q stands twice in one object", text.Cut(key, 60, "..."))
			}
			if object[key], err = parseValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return object, err
	}
	return token, nil
}
