package sources

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadMappings(t *testing.T) {
	files, err := filepath.Glob("testdata/mappings/*.bad.jq")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad mappings: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".bad.jq"), func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(file, ".jq") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			_, err = LoadMapping(file)
			if err == nil {
				t.Fatal("the mapping was accepted")
			}
			got := strings.ReplaceAll(strings.ReplaceAll(err.Error(), file, "MAPPING"), "testdata/mappings/", "")
			if got != strings.TrimSpace(string(want)) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// write makes a mapping of a text.
func write(t *testing.T, text string) *Mapping {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mapping.jq")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := LoadMapping(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestFaultsOnARow is what a mapping can do wrong only when it runs.
func TestFaultsOnARow(t *testing.T) {
	for _, c := range []struct{ name, mapping, code, reason string }{
		{"clock", `{deal_id: (now | tostring)}`, CodeMappingError, "importing a file twice must give the same events"},
		{"environment", `{deal_id: env.HOME}`, CodeMappingError, "cannot read the environment"},
		{"environment variable", `{deal_id: $ENV.HOME, account_id: "a", closed_at: "2026-01-01T00:00:00Z", outcome: "lost"}`, "missing_field", "is required"},
		{"endless", `range(infinite)`, CodeMappingError, "more than 1000 events"},
		{"not an event", `"x"`, CodeMappingError, `made "x" where an event`},
		{"refusal with more", `{refuse: "x", deal_id: "y"}`, CodeMappingError, "and nothing else"},
		{"refusal without reason", `{refuse: ""}`, CodeMappingError, "a refusal is"},
		{"NaN", `{deal_id: "x", term_months: nan}`, CodeMappingError, "the number NaN"},
		{"infinity", `{deal_id: "x", a: [infinite]}`, CodeMappingError, "the number +Inf"},
		{"percent sign", `error("50%d off")`, CodeMappingError, "50%d off"},
		{"halt", `halt`, CodeMappingError, "halt is not for mappings"},
		{"no table", `lookup("accounts"; "id"; "x")`, CodeMappingError, "--with accounts=FILE.csv"},
		{"bad date", `{closed_at: ("31.12.2026" | instant)}`, CodeMappingError, "year first"},
		{"bad amount", `{signed_price: ("1,200" | money)}`, CodeMappingError, "digits and a decimal point"},
		{"bad known_at", `{known_at: "soon"}`, CodeBadKnownAt, "is no time"},
		{"arithmetic", `{deal_id: "d", account_id: "a", closed_at: "2026-01-01T00:00:00Z", currency: "EUR", signed_price: (0.1 + 0.2)}`, "bad_money", "decimals"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Import{Kind: Deals, Mapping: write(t, c.mapping), File: "x.csv", Output: func(context.Context, Record) error {
				t.Error("something was sent")
				return nil
			}}.Run(context.Background(), strings.NewReader("id\n1\n"))
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Refused) != 1 || s.Refused[0].Code != c.code || !strings.Contains(s.Refused[0].Reason, c.reason) {
				t.Errorf("refused %+v, want %s with %q", s.Refused, c.code, c.reason)
			}
		})
	}
}

func TestAnEndlessMappingStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	m := write(t, `def f: f; f`)
	im := Import{Kind: Deals, Mapping: m, File: "x.csv"}
	done := make(chan error)
	go func() {
		_, err := im.Run(ctx, strings.NewReader("id\n1\n"))
		done <- err
	}()
	cancel()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("got %v", err)
	}
}

func TestTables(t *testing.T) {
	folder := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	export := put("export.csv", "id\n")
	put("people.csv", "id,name\n1,Ada\n2,Bob\n2,Eve\n")
	ragged := put("ragged.csv", "id,name\n1\n")
	run := func(program string) string {
		m := write(t, `module {tables: {people: "people.csv"}}; `+program)
		if err := m.LoadTables(nil, export); err != nil {
			t.Fatal(err)
		}
		out, err := m.run(context.Background(), map[string]any{}, 7, "export.csv")
		if err != nil {
			return err.Error()
		}
		return show(out)
	}
	for program, want := range map[string]string{
		`lookup("people"; "id"; "1").name`:  `["Ada"]`,
		`lookup("people"; "id"; 1).name`:    `["Ada"]`,
		`lookup("people"; "id"; "9")`:       `[null]`,
		`lookup("people"; "id"; null)`:      `[null]`,
		`$tables.people | length`:           `[3]`,
		`"\($file):\($row)"`:                `["export.csv:7"]`,
		`lookup("people"; "id"; "2")`:       `several rows where id is "2"`,
		`lookup("people"; "nick"; "2")`:     `has no column "nick"`,
		`lookup("people"; "id"; {})`:        `must be a string or a whole number`,
		`lookup("people"; "id"; "1"), [[]]`: `[{"id":"1","name":"Ada"},[]]`,
	} {
		if got := run(program); !strings.Contains(got, want) {
			t.Errorf("%s = %s, want %s", program, got, want)
		}
	}
	m := write(t, `module {tables: {people: "people.csv", teams: "teams.csv"}}; .`)
	err := m.LoadTables(map[string]string{"people": ragged}, export)
	if err == nil || !strings.Contains(err.Error(), "ragged.csv:2: the row has 1 fields, the header 2") ||
		!strings.Contains(err.Error(), "teams.csv is not there: say where it is with --with teams=FILE.csv") {
		t.Errorf("both faults must be reported, got %v", err)
	}
}

func TestHash01IsUniform(t *testing.T) {
	if got := Hash01("S-8cec59/rounds"); got != 0.06441164030517565 {
		t.Errorf("Hash01 must never change, drawn data depends on it: got %v", got)
	}
	const n, bins = 100_000, 50
	var count [bins]int
	for i := range n {
		v := Hash01(strings.Repeat("x", i%7) + string(rune('a'+i%26)) + "/" + itoa(i))
		if v < 0 || v >= 1 {
			t.Fatalf("%v is not in [0, 1)", v)
		}
		count[int(v*bins)]++
	}
	var chi2 float64
	for _, c := range count {
		d := float64(c) - n/bins
		chi2 += d * d / (n / bins)
	}
	// 49 degrees of freedom: 85.4 is exceeded by chance once in a thousand.
	if chi2 > 85.4 {
		t.Errorf("chi squared is %.1f over %d bins", chi2, bins)
	}
}

func TestMoney(t *testing.T) {
	for program, want := range map[string]string{
		`"1200.50"|money`: `["1200.5"]`, `1200|money`: `["1200"]`, `(0.1+0.2)|money`: `["0.3"]`, `"1.23455"|money`: `["1.2346"]`,
		`"1.23445"|money`: `["1.2344"]`, `" 7 "|money`: `["7"]`, `99999999999999|money`: `["99999999999999"]`, `"-3"|money`: `["-3"]`,
		`"999999999999999"|money`: "at most 18 digits", `"1e3"|money`: `["1000"]`, `"€5"|money`: "is no amount", `null|money`: "got null", `""|money`: "is no amount",
	} {
		m := write(t, program)
		out, err := m.run(context.Background(), nil, 1, "")
		got := show(out)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s = %s, want %s", program, got, want)
		}
	}
}
