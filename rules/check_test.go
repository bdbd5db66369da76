package rules

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/aftershock/aftershock/churn/alert"
)

// described answers each query with columns, or with an error as ClickHouse words it.
type described map[string]string

func (d described) Columns(_ context.Context, query string) ([]alert.Column, error) {
	for part, answer := range d {
		if !strings.Contains(query, part) {
			continue
		}
		if message, ok := strings.CutPrefix(answer, "error: "); ok {
			return nil, errors.New(message)
		}
		var columns []alert.Column
		for name := range strings.FieldsSeq(answer) {
			columns = append(columns, alert.Column{Name: name, Type: "String"})
		}
		return columns, nil
	}
	return nil, errors.New("no answer")
}

func TestCheckSaysWhere(t *testing.T) {
	set := loaded(t, `groups:
  - name: g
    schedule: "0 6 * * *"
    rules:
      - alert: Columns
        query: SELECT good
        identity: [acount_id]
        value_at_risk: arr
        labels: {team: "{{ .team }}"}
        annotations:
          summary: "{{ range .classes }}{{ .inner }}{{ $.outer }}{{ end }} {{ if .owner }}{{ else }}{{ .gone }}{{ end }}"
      - alert: Syntax
        query: |
          SELECT account_id
          FRM contract_signals
        identity: [account_id]
      - alert: Unknown
        query: |
          SELECT account_id,
                 acount_name
          FROM x
        identity: [account_id]
      - alert: Inline
        query: SELECT account_id FROM contract_sgnal
        identity: [account_id]
      - alert: Nowhere
        query: SELECT nothing
        identity: [account_id]
`)
	err := Check(t.Context(), set, described{
		"good":           "account_id classes owner",
		"FRM":            "error: code: 62, message: Syntax error: failed at position 34 (contract_signals) (line 3, col 5): contract_signals\n)\n. Expected one of: token, Comma",
		"acount_name":    "error: code: 47, message: Unknown expression identifier `acount_name` in scope SELECT",
		"contract_sgnal": "error: code: 46, message: Unknown table function contract_sgnal",
		"nothing":        "error: code: 241, message: Memory limit exceeded",
	})
	want := []string{
		`test.yaml:7:20: rule Columns: identity names column "acount_id", which the query does not return (did you mean account_id?)`,
		`test.yaml:8:24: rule Columns: value_at_risk names column "arr"`,
		`test.yaml:8:24: rule Columns: currency (of value_at_risk) names column "reporting_currency"`,
		`test.yaml:9:24: rule Columns: labels.team names column "team"`,
		`test.yaml:11:20: rule Columns: annotations.summary names column "gone"`,
		`test.yaml:11:20: rule Columns: annotations.summary names column "outer"`,
		`test.yaml:15:15: rule Syntax: the warehouse refuses the query: code: 62, message: Syntax error: failed at position 34 (contract_signals): contract_signals )`,
		`test.yaml:20:18: rule Unknown: the warehouse refuses the query: code: 47`,
		`test.yaml:24:16: rule Inline: the warehouse refuses the query: code: 46`,
		`test.yaml:27:16: rule Nowhere: the warehouse refuses the query: code: 241, message: Memory limit exceeded`,
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Fatalf("got\n%v", err)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

// The page that people write rules from is tried: its rule loads, and its test belongs to it.
func TestTheDocumentedRuleLoads(t *testing.T) {
	page, err := os.ReadFile("../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) != 3 { // the second shows an editor its schema
		t.Fatalf("%d yaml blocks", len(blocks))
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"unhappy-renewals.yaml": blocks[0][1], "unhappy-renewals.test.yaml": blocks[2][1]} {
		if err := os.WriteFile(dir+"/"+name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := LoadPaths(dir); err != nil {
		t.Error(err)
	}
	files, err := LoadTestPaths(dir+"/unhappy-renewals.yaml", dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 || len(files[0].Cases[0].Events) != 2 {
		t.Errorf("%+v", files)
	}
	for _, key := range append(append([]string{}, groupKeys...), ruleKeys...) {
		if !strings.Contains(string(page), "| `"+key+"` |") {
			t.Errorf("docs/rules.md does not explain the key %s", key)
		}
	}
	for _, reason := range []string{alert.ReasonMet, alert.ReasonWaiting, alert.ReasonCleared, alert.ReasonNotHeld, alert.ReasonHolding, alert.ReasonReturned, alert.ReasonRemoved, alert.ReasonRepeated} {
		if !strings.Contains(string(page), "`"+reason+"`") {
			t.Errorf("docs/rules.md does not explain the reason %s", reason)
		}
	}
}

func loaded(t *testing.T, text string) *Set {
	t.Helper()
	set, err := Load(Document{"test.yaml", []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return set
}
