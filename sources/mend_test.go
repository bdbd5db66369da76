package sources

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func mend(t *testing.T, program string) (*Mend, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mend.jq")
	if err := os.WriteFile(path, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadMend(path)
}

func TestMend(t *testing.T) {
	deal := Broken{Value: []byte(`{"deal_id": "D-1", "signed_price": 1234567890123456.1234, "note": null}`), Key: []byte("A-1"),
		Headers: map[string]string{"region": "eu"}, Position: "deals.closed/0/7", Code: "missing_field", Field: "account_id", Reason: "absent"}
	torn := Broken{Value: []byte("{\"deal_id\": \"D-\xff\""), Code: "malformed_json"}
	for _, c := range []struct {
		program   string
		broken    Broken
		want, err string
	}{
		{`.account_id = $key`, deal, `{"account_id":"A-1","deal_id":"D-1","signed_price":1234567890123456.1234}`, ""},
		{`{position: $position, code: $code, field: $field, reason: $reason, region: $headers.region}`, deal,
			`{"code":"missing_field","field":"account_id","position":"deals.closed/0/7","reason":"absent","region":"eu"}`, ""},
		{`if . == null then $text + "}" | fromjson else . end`, torn, "{\"deal_id\":\"D-\uFFFD\"}", ""},
		{`{at: instant}`, Broken{Value: []byte(`"2026-01-31"`)}, `{"at":"2026-01-31T00:00:00Z"}`, ""},
		{`empty`, deal, "", "the mend makes nothing of it"},
		{`., .`, deal, "", "the mend makes several values of it"},
		{`., error("late")`, deal, "", "the mend failed: error: late"},
		{`"text"`, deal, "", `the mend made "text" where an object belongs`},
		{`{refuse: "not mine"}`, deal, "", "the mend refuses it: not mine"},
		{`.signed_price |= ascii_downcase`, deal, "", "the mend failed: "},
		{`.at = (now | todate)`, deal, "", "now is not for mappings"},
		{`.n = nan`, deal, "", "the mend failed: "},
	} {
		m, err := mend(t, c.program)
		if err != nil {
			t.Fatalf("%s: %v", c.program, err)
		}
		got, err := m.Apply(t.Context(), c.broken)
		switch {
		case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v, want %q", c.program, err, c.err)
		case string(got) != c.want:
			t.Errorf("%s makes %s, want %s", c.program, got, c.want)
		}
	}
}

func TestMendSaysWhere(t *testing.T) {
	_, err := mend(t, ".a = 1 |\n .b = $row")
	var wrong *MappingError
	if !errors.As(err, &wrong) || wrong.Line != 2 || !strings.Contains(wrong.Hint, "$text, $key, $headers") {
		t.Errorf("%v", err)
	}
	if _, err := LoadMend("nowhere.jq"); err == nil || !strings.Contains(err.Error(), "reading mend: open nowhere.jq") {
		t.Errorf("%v", err)
	}
}
