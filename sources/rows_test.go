package sources

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func readRows(t *rapid.T, r rows) []any {
	var all []any
	for {
		row, err := r.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if row.fault != nil {
			t.Fatalf("line %d: %s", row.line, row.fault.reason)
		}
		all = append(all, row.value)
	}
}

// TestRowsRoundTrip: what was written as CSV or JSON lines is read back, whatever characters it holds.
func TestRowsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-zé ]{0,5}[a-z]`), 2, 5, rapid.ID[string]).Draw(t, "names")
		cell := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", `"`, `""`, ",", "\n", "a\nb", "\uFEFF", ";", "0.1", " x "}))
		var want []any
		var lines [][]string
		for range rapid.IntRange(0, 8).Draw(t, "rows") {
			row, line := map[string]any{}, []string{}
			for _, name := range names {
				// CSV readers read every \r\n as \n; that is no loss that an export could notice.
				v := strings.ReplaceAll(cell.Draw(t, "cell"), "\r", "")
				row[name] = v
				line = append(line, v)
			}
			want, lines = append(want, row), append(lines, line)
		}
		delimiter := rapid.SampledFrom([]rune{',', ';', '\t', '|'}).Draw(t, "delimiter")
		var asCSV, asJSON bytes.Buffer
		w := csv.NewWriter(&asCSV)
		w.Comma = delimiter
		_ = w.Write(names)
		_ = w.WriteAll(lines)
		for _, row := range want {
			if err := json.NewEncoder(&asJSON).Encode(row); err != nil {
				t.Fatal(err)
			}
		}
		c, err := newCSVRows(&asCSV, delimiter)
		if err != nil {
			t.Fatal(err)
		}
		if got := readRows(t, c); !reflect.DeepEqual(got, want) {
			t.Fatalf("CSV: got %q, want %q", got, want)
		}
		j, err := newJSONRows(&asJSON)
		if err != nil {
			t.Fatal(err)
		}
		if got := readRows(t, j); !reflect.DeepEqual(got, want) {
			t.Fatalf("JSON lines: got %q, want %q", got, want)
		}
	})
}

// FuzzRows: any bytes end in rows, faults or an error.
func FuzzRows(f *testing.F) {
	f.Add([]byte("a,b\n1,\"2\n3\"\nx\"y,1\n"), byte(','))
	f.Add([]byte("{\"a\":[1,{}]}\n[\n"), byte(';'))
	f.Fuzz(func(t *testing.T, text []byte, delimiter byte) {
		readers := []rows{}
		if c, err := newCSVRows(bytes.NewReader(text), rune(delimiter)); err == nil {
			readers = append(readers, c)
		}
		if j, err := newJSONRows(bytes.NewReader(text)); err == nil {
			readers = append(readers, j)
		}
		for _, r := range readers {
			before := 0
			for {
				row, err := r.next()
				if err != nil {
					break
				}
				if row.line <= before {
					t.Fatalf("line %d after line %d", row.line, before)
				}
				before = row.line
			}
		}
	})
}
