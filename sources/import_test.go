package sources

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/text"
)

var update = flag.Bool("update", false, "write what is expected instead of comparing with it")

func itoa(i int) string { return strconv.Itoa(i) }

// collect runs an import and returns all of its records, one a line, and its summary.
func collect(t *testing.T, im Import, export string) (string, Summary) {
	t.Helper()
	var out strings.Builder
	im.Output = func(_ context.Context, r Record) error {
		known := "-"
		if !r.KnownAt.IsZero() {
			known = r.KnownAt.Format(time.RFC3339)
		}
		fmt.Fprintf(&out, "%s %s %s\n", r.Key, known, r.Value)
		return nil
	}
	s, err := im.Run(context.Background(), strings.NewReader(export))
	if err != nil {
		t.Fatal(err)
	}
	if s.Rows != s.RowsSent+s.RowsRefused+s.RowsPassedOver {
		t.Errorf("the rows do not add up: %+v", s)
	}
	refused := 0
	for _, r := range s.Refused {
		refused += r.Rows
	}
	if refused != s.RowsRefused {
		t.Errorf("refusals add up to %d, %d rows were refused", refused, s.RowsRefused)
	}
	return out.String(), s
}

// TestImport holds a small export with a fault of each kind against testdata/orders.golden: records, refused rows,
// summary for people and for programs.
func TestImport(t *testing.T) {
	export, err := os.ReadFile("testdata/orders.csv")
	if err != nil {
		t.Fatal(err)
	}
	run := func() string {
		m, err := LoadMapping("testdata/orders.jq")
		if err != nil {
			t.Fatal(err)
		}
		var rejects bytes.Buffer
		records, s := collect(t, Import{Kind: Deals, Mapping: m, File: "some/folder/orders.csv", KnownAtColumn: "known", Rejects: &rejects}, string(export))
		asJSON, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return "-- records --\n" + records + "-- rejects --\n" + rejects.String() + "-- summary --\n" + s.String() + "-- json --\n" + string(asJSON) + "\n"
	}
	first := run()
	if second := run(); second != first {
		t.Errorf("the second run differs:\n%s\n%s", first, second)
	}
	golden(t, "testdata/orders.golden", first)
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test ./sources -update writes it); got\n%s", path, got)
	}
}

// TestJSONNumbersKeepTheirDigits: money must not go through float64.
func TestJSONNumbersKeepTheirDigits(t *testing.T) {
	m := write(t, `{deal_id: .id, account_id: "A", closed_at: "2026-01-01T00:00:00Z", currency: "EUR", signed_price: .price}`)
	for _, amount := range []string{"1234.5600", "0.1", "12345678901234.5678", "99999999999999.9999", "99999999999999", "0.0001", "1e3", "100000.0000"} {
		records, _ := collect(t, Import{Kind: Deals, Mapping: m, File: "x.jsonl"}, `{"id":"D","price":`+amount+"}\n")
		if !strings.Contains(records, `"signed_price":`+amount+"}") && !strings.Contains(records, `"signed_price":`+amount+",") {
			t.Errorf("%s became %s", amount, records)
		}
		_, value, _ := strings.Cut(strings.TrimSpace(records), " - ")
		d, err := churn.DecodeDeal([]byte(value), time.Time{})
		if err != nil || d.SignedPrice.Amount.Cmp(churn.MustMoney(amount).Amount) != 0 {
			t.Errorf("%s was read as %v, %v", amount, d.SignedPrice, err)
		}
	}
}

func TestFormats(t *testing.T) {
	m := write(t, `{ticket_id: .id, account_id: .a, opened_at: .at, body: .text}`)
	const want = `A - {"account_id":"A","body":"one\ntwo","event_id":"T:`
	for _, c := range []struct {
		name, export string
		im           Import
	}{
		{"csv", "id,a,at,text\nT,A,2026-01-01T00:00:00Z,\"one\ntwo\"\n", Import{File: "x.csv"}},
		{"byte-order mark", "\uFEFFid,a,at,text\nT,A,2026-01-01T00:00:00Z,\"one\ntwo\"\n", Import{File: "x.csv"}},
		{"line ends of Windows", "id,a,at,text\r\nT,A,2026-01-01T00:00:00Z,\"one\r\ntwo\"\r\n", Import{File: "x.csv"}},
		{"semicolons", "id;a;at;text\nT;A;2026-01-01T00:00:00Z;\"one\ntwo\"", Import{File: "x.csv", Delimiter: ';'}},
		{"json lines", `{"id":"T","a":"A","at":"2026-01-01T00:00:00Z","text":"one\ntwo"}`, Import{File: "x.jsonl"}},
		{"json lines by option", "\n\uFEFF"[1:] + `{"id":"T","a":"A","at":"2026-01-01T00:00:00Z","text":"one\ntwo"}` + "\n\n", Import{Format: JSONLines}},
	} {
		c.im.Kind, c.im.Mapping = Tickets, m
		if records, s := collect(t, c.im, c.export); !strings.HasPrefix(records, want) || s.Rows != 1 {
			t.Errorf("%s: got %s %+v", c.name, records, s)
		}
	}
}

func TestExportsThatCannotBeRead(t *testing.T) {
	deals := write(t, `module {aftershock: "deals"}; .`)
	for _, c := range []struct {
		name, export string
		im           Import
		want         string
	}{
		{"empty", "", Import{}, "the file is empty: its first line must name the columns"},
		{"duplicate column", "a,b,a\n", Import{}, `line 1: two columns are named "a"`},
		{"column without a name", "a,,b\n", Import{}, "line 1: column 2 has no name"},
		{"wrong delimiter", "a;b;c\n1;2;3\n", Import{}, `try --delimiter ";"`},
		{"UTF-16", "\xFF\xFEa\x00", Import{}, "the file is UTF-16"},
		{"broken quotes", "a,b\n1,2\n\"3\"4,5\n", Import{}, "after 1 rows: line 3: the quoting is broken in the row that begins in line 3"},
		{"open quote", "a,b\n1,\"" + strings.Repeat("xy\n", MaxRow/2), Import{}, "after the row of line 0: a row is longer than 16 MiB: is a quote not closed?"},
		{"no such column", "a,b\n", Import{KnownAtColumn: "c"}, `there is no column "c"`},
		{"wrong kind", "a\n", Import{Kind: Tickets}, "makes deals, not tickets: try aftershock import deals"},
		{"no kind", "a\n", Import{Kind: "people"}, `the kind is "people"`},
		{"no format", "a\n", Import{Format: "xlsx"}, `the format is "xlsx"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.im.Mapping = deals; c.im.Kind == "" {
				c.im.Kind = Deals
			}
			if _, err := c.im.Run(context.Background(), strings.NewReader(c.export)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestJSONLinesThatCannotBeRead(t *testing.T) {
	m := write(t, `{ticket_id: .id, account_id: "A", opened_at: "2026-01-01T00:00:00Z"}`)
	export := strings.Join([]string{
		`{"id":"1"}`, `{"id":"2"`, `{"id":"3"} {}`, `{"id":"4","id":"5"}`, `["6"]`, "{\"id\":\"\xff\"}", `{"id":"` + strings.Repeat("x", MaxRow) + `"}`, ``, `{"id":"9"}`,
	}, "\n")
	records, s := collect(t, Import{Kind: Tickets, Mapping: m, File: "x.ndjson"}, export)
	if n := strings.Count(records, "\n"); n != 2 || s.Rows != 8 {
		t.Errorf("%d records of %d rows:\n%s", n, s.Rows, records)
	}
	var got []string
	for _, r := range s.Refused {
		got = append(got, fmt.Sprintf("%s %v %s", r.Code, r.Lines, text.Cut(r.Reason, 60, "...")))
	}
	want := `unreadable_row [2 3 4] the JSON value ends too early
mapping_error [5] expected an object but got: array (["6"])
invalid_utf8 [6] the row is not UTF-8
row_too_long [7] the row is longer than 16 MiB`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

// TestARowIsInOrOut: a row whose second event is refused sends none.
func TestARowIsInOrOut(t *testing.T) {
	m := write(t, `{ticket_id: .id, account_id: "A", opened_at: "2026-01-01T00:00:00Z"}, {ticket_id: .id, account_id: "A"}`)
	records, s := collect(t, Import{Kind: Tickets, Mapping: m, File: "x.csv"}, "id\n1\n")
	if records != "" || s.Events != 0 || s.RowsRefused != 1 || s.Refused[0].Field != "opened_at" {
		t.Errorf("got %s %+v", records, s)
	}
}

func TestOutputErrorEndsTheImport(t *testing.T) {
	m := write(t, `{ticket_id: .id, account_id: "A", opened_at: "2026-01-01T00:00:00Z"}`)
	down := errors.New("the broker is down")
	_, err := Import{Kind: Tickets, Mapping: m, File: "x.csv", Output: func(context.Context, Record) error { return down }}.Run(
		context.Background(), strings.NewReader("id\n1\n2\n"))
	if !errors.Is(err, down) || !strings.Contains(err.Error(), "sending line 2") {
		t.Errorf("got %v", err)
	}
}

func TestProgress(t *testing.T) {
	m := write(t, `empty`)
	export := "id\n" + strings.Repeat("1234567\n", 1<<19)
	var told []int64
	s, err := Import{Kind: Tickets, Mapping: m, File: "x.csv", Size: int64(len(export)), Progress: func(read, total int64) {
		if total != int64(len(export)) {
			t.Errorf("total is %d", total)
		}
		told = append(told, read)
	}}.Run(context.Background(), strings.NewReader(export))
	if err != nil || s.RowsPassedOver != 1<<19 {
		t.Fatalf("%v %+v", err, s)
	}
	if len(told) < 4 || len(told) > 6 || told[len(told)-1] != int64(len(export)) {
		t.Errorf("told %v of %d", told, len(export))
	}
}

func TestReasonsAreBounded(t *testing.T) {
	m := write(t, `{refuse: .id}`)
	var export strings.Builder
	export.WriteString("id\n")
	for i := range 1000 {
		export.WriteString(itoa(i) + "\n")
	}
	_, s := collect(t, Import{Kind: Deals, Mapping: m, File: "x.csv"}, export.String())
	if len(s.Refused) != maxReasons+1 || s.Refused[0].Rows != 1000-maxReasons {
		t.Errorf("%d reasons, the first of %d rows", len(s.Refused), s.Refused[0].Rows)
	}
}
