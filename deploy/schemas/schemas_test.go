package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/aftershock/aftershock/churn"
)

var update = flag.Bool("update", false, "write README.md instead of comparing with it")

// decoders are what the incoming schemas are held against.
var decoders = map[string]func([]byte) error{
	"deal-closed.v1":    func(v []byte) error { _, err := churn.DecodeDeal(v, time.Time{}); return err },
	"support-ticket.v1": func(v []byte) error { _, err := churn.DecodeTicket(v, time.Time{}); return err },
}

func parse(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func load(t *testing.T, name string) (*jsonschema.Schema, map[string]any) {
	t.Helper()
	text, err := Read(name)
	if err != nil {
		t.Fatal(err)
	}
	document := parse(t, text).(map[string]any)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(document["$id"].(string), document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(document["$id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return schema, document
}

func write(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSchemasAreWhole(t *testing.T) {
	if got := strings.Join(Names(), " "); got != "alert.v1 churn-feedback.v1 deal-closed.v1 support-ticket.v1" {
		t.Errorf("the schemas are %s", got)
	}
	if _, err := Read("invoice.v1"); err == nil || !strings.Contains(err.Error(), "deal-closed.v1") {
		t.Errorf("an unknown name must list the known ones, got %v", err)
	}
	for _, name := range Names() {
		schema, document := load(t, name)
		if document["title"] == "" || document["description"] == "" || !strings.HasSuffix(document["$id"].(string), name+".json") {
			t.Errorf("%s: title, description and $id are needed", name)
		}
		for _, f := range fields(document) {
			if f.description == "" {
				t.Errorf("%s: %s has no description", name, f.path)
			}
		}
		examples := document["examples"].([]any)
		for _, example := range examples {
			if err := schema.Validate(example); err != nil {
				t.Errorf("%s: its own example: %v", name, err)
			}
			if decode := decoders[name]; decode != nil {
				if err := decode(write(t, example)); err != nil {
					t.Errorf("%s: the decoder refuses the example: %v", name, err)
				}
			}
		}
	}
}

// values stand one after the other in every field of every schema.
var values = []string{
	`null`, `""`, `"x"`, `"new"`, `"won"`, `"lost"`, `"client"`, `"eur"`, `"USD"`, `true`, `false`, `[]`, `{}`, `[null]`, `["x"]`, `[1]`, `[{}]`, `[[]]`, `{"x":1}`, `{"at":1}`, `[{"term":1}]`,
	`[{"from":"us"}]`, `[{"value":-1}]`, `[{"text":"x","from":"client","at":"2026-01-31T09:30:00Z"}]`,
	`0`, `1`, `2`, `-1`, `-0`, `0.5`, `-1.01`, `1201`, `2147483647`, `2147483648`, `9223372036854775807`, `9223372036854775808`, `1e3`, `1e400`,
	`1234.5678`, `1234.56789`, `99999999999999.9999`, `99999999999999`, `100000000000000`, `0.00010`, `1.00000`,
	`"1234.5678"`, `"1234.56789"`, `"99999999999999.9999"`, `"100000000000000"`, `"-1"`, `"-0.0"`, `"+5"`, `".5"`, `"5."`, `"1,5"`, `"00012.50000"`, `" 1"`,
	`"2026-01-31T09:30:00Z"`, `"2026-01-31T09:30:00.123456+02:00"`, `"2026-01-31"`, `"2026-01-31 09:30:00Z"`, `"2026-02-30T09:30:00Z"`, `"2026-13-01T09:30:00Z"`,
	`"2026-01-31T24:00:00Z"`, `"2026-01-31T09:30:60Z"`, `"2026-01-31T09:30:00"`, `"2026-01-31t09:30:00z"`, `"1969-12-31T23:59:59Z"`, `"1970-01-01T00:00:00Z"`, `"2200-12-31T23:59:59Z"`,
	`"2201-01-01T00:00:00Z"`, `"2028-02-29T00:00:00Z"`, `"2027-02-29T00:00:00Z"`,
}

// inexpressible are the faults that a schema cannot see: they compare fields with one another, or bytes.
var inexpressible = []churn.Code{churn.CodeBadInterval, churn.CodeDuplicateKey, churn.CodeInvalidUTF8}

// wholeWithPoint finds 12.0 and 1e3, which are whole numbers to a schema only (TestKnownDifferences).
var wholeWithPoint = regexp.MustCompile(`found "[0-9]+(\.0+|e[0-9]+)"`)

// TestSchemasAgreeWithTheDecoder puts every value into every field of every example, and takes every field out: what the
// schema accepts the decoder accepts, and the other way round.
func TestSchemasAgreeWithTheDecoder(t *testing.T) {
	for name, decode := range decoders {
		t.Run(name, func(t *testing.T) {
			schema, document := load(t, name)
			cases := 0
			check := func(what string, v any) {
				cases++
				text := write(t, v)
				bySchema, byDecoder := schema.Validate(parse(t, text)), decode(text)
				var rejected *churn.Rejection
				if errors.As(byDecoder, &rejected) {
					if slices.Contains(inexpressible, rejected.Code) || strings.Contains(rejected.Reason, "must be a whole number") && wholeWithPoint.MatchString(rejected.Reason) {
						return
					}
				}
				if (bySchema == nil) != (byDecoder == nil) {
					t.Errorf("%s:\nschema:  %v\ndecoder: %v", what, bySchema, byDecoder)
				}
			}
			for i, example := range document["examples"].([]any) {
				for _, f := range fields(document) {
					if strings.Contains(f.path, "[]") {
						continue // elements of lists are reached through the lists' own values
					}
					for _, value := range values {
						if c := changed(t, example, f.path, json.RawMessage(value)); c != nil {
							check(fmt.Sprintf("example %d with %s = %s", i, f.path, value), c)
						}
					}
					if c := changed(t, example, f.path, nil); c != nil {
						check(fmt.Sprintf("example %d without %s", i, f.path), c)
					}
				}
			}
			t.Logf("%d cases", cases)
		})
	}
}

// changed returns a copy of an example with one field set to a value, or taken out where the value is nil.
func changed(t *testing.T, example any, path string, value json.RawMessage) any {
	t.Helper()
	root := parse(t, write(t, example)).(map[string]any)
	at := root
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		inner, ok := at[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			at[name] = inner
		}
		at = inner
	}
	last := names[len(names)-1]
	if value != nil {
		at[last] = value
		return root
	}
	if _, there := at[last]; !there {
		return nil
	}
	delete(at, last)
	return root
}

// TestKnownDifferences are the places where schema and decoder differ, as README.md lists them. A difference that
// goes away must leave this table and the list.
func TestKnownDifferences(t *testing.T) {
	deal := func(field, value string) string {
		return `{"event_id":"e","deal_id":"d","account_id":"a","closed_at":"2026-01-01T00:00:00Z","outcome":"lost","` + field + `":` + value + `}`
	}
	for _, c := range []struct {
		name, value     string
		schema, decoder bool
	}{
		{"a whole number with a point", deal("term_months", "12.0"), true, false},
		{"an exponent in a string", deal("signed_price", `"1e3"`), false, true},
		{"a comma before fractions of a second", deal("occurred_at", `"2026-01-01T00:00:00,5Z"`), false, true},
		{"an hour of one digit", deal("occurred_at", `"2026-01-01T9:00:00Z"`), false, true},
		{"1969 in UTC", deal("occurred_at", `"1970-01-01T00:00:00+01:00"`), true, false},
		{"text of more bytes than characters", deal("account_name", `"`+strings.Repeat("é", churn.MaxName)+`"`), true, false},
		{"ends before it begins", deal("ends_at", `"2025-01-01T00:00:00Z"`), true, false},
		{"a key twice", `{"event_id":"e",` + deal("event_id", `"f"`)[1:], true, false},
	} {
		schema, _ := load(t, "deal-closed.v1")
		bySchema, byDecoder := schema.Validate(parse(t, []byte(c.value))), decoders["deal-closed.v1"]([]byte(c.value))
		if (bySchema == nil) != c.schema || (byDecoder == nil) != c.decoder {
			t.Errorf("%s: schema %v, decoder %v", c.name, bySchema, byDecoder)
		}
	}
}

func TestCurrencies(t *testing.T) {
	_, document := load(t, "deal-closed.v1")
	listed := document["$defs"].(map[string]any)["currency"].(map[string]any)["enum"].([]any)
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			for c := 'A'; c <= 'Z'; c++ {
				code := string([]rune{a, b, c})
				if slices.Contains(listed, any(code)) != churn.KnownCurrency(code) {
					t.Errorf("%s: schema %v, decoder %v", code, !churn.KnownCurrency(code), churn.KnownCurrency(code))
				}
			}
		}
	}
}

func TestFeedbackAndAlerts(t *testing.T) {
	for _, c := range []struct {
		schema, value string
		ok            bool
	}{
		{"churn-feedback.v1", `{"who":"a","what":"ack"}`, true},
		{"churn-feedback.v1", `{"who":"a","what":"snooze"}`, false},
		{"churn-feedback.v1", `{"who":"a","what":"ack","until":"2026-01-31T09:30:00Z"}`, false},
		{"churn-feedback.v1", `{"who":"","what":"ack"}`, false},
		{"churn-feedback.v1", `{"who":"a","what":"delete"}`, false},
		{"churn-feedback.v1", `{"what":"close"}`, false},
		{"alert.v1", `{}`, false},
	} {
		schema, _ := load(t, c.schema)
		if err := schema.Validate(parse(t, []byte(c.value))); (err == nil) != c.ok {
			t.Errorf("%s: %s: %v", c.schema, c.value, err)
		}
	}
	schema, document := load(t, "alert.v1")
	example := document["examples"].([]any)[0]
	for _, c := range []struct {
		path, value string
		ok          bool
	}{
		{"status", `"pending"`, false}, {"status", `"resolved"`, false}, {"status", `"reminder"`, true}, {"sequence", `0`, false},
		{"contract", `null`, true}, {"contract.hardness", `null`, true}, {"contract.hardness", `101`, false}, {"value_at_risk", `null`, true},
		{"value_at_risk.amount", `60000`, false}, {"account", `{}`, false}, {"evidence", `null`, false}, {"new_field", `1`, true}, {"fingerprint", `"x"`, false},
	} {
		if err := schema.Validate(parse(t, write(t, changed(t, example, c.path, json.RawMessage(c.value))))); (err == nil) != c.ok {
			t.Errorf("alert with %s = %s: %v", c.path, c.value, err)
		}
	}
}

// TestReadme: the tables in README.md are made from the schemas.
func TestReadme(t *testing.T) {
	got := readme(t)
	if *update {
		if err := os.WriteFile("README.md", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("README.md")
	if err != nil || string(want) != got {
		t.Errorf("README.md is not what the schemas say (%v): go test ./deploy/schemas -update writes it", err)
	}
}

// field is one row of a schema's table.
type field struct {
	path, kind, description, example string
	required                         bool
}

// fields walks a schema; the elements of a list are under name[].
func fields(document map[string]any) []field {
	var all []field
	var walk func(prefix string, node map[string]any)
	resolve := func(node map[string]any) map[string]any {
		merged := map[string]any{}
		for ref, ok := node["$ref"].(string); ok; ref, ok = node["$ref"].(string) {
			target := document["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
			for key, v := range target {
				merged[key] = v
			}
			merged["name"] = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(ref, "#/$defs/"), "optional"))
			for key, v := range node {
				if key != "$ref" {
					merged[key] = v
				}
			}
			node = target
		}
		if len(merged) == 0 {
			return node
		}
		return merged
	}
	walk = func(prefix string, node map[string]any) {
		required, _ := node["required"].([]any)
		properties, _ := node["properties"].(map[string]any)
		names := make([]string, 0, len(properties))
		for name := range properties {
			names = append(names, name)
		}
		sort.Slice(names, func(i, j int) bool {
			a, b := slices.Contains(required, any(names[i])), slices.Contains(required, any(names[j]))
			return a && !b || a == b && names[i] < names[j]
		})
		for _, name := range names {
			p := resolve(properties[name].(map[string]any))
			f := field{path: prefix + name, kind: kind(p), required: slices.Contains(required, any(name))}
			f.description, _ = p["description"].(string)
			if examples, ok := p["examples"].([]any); ok {
				text, _ := json.Marshal(examples[0])
				f.example = string(text)
			}
			all = append(all, f)
			walk(prefix+name+".", p)
			if items, ok := p["items"].(map[string]any); ok {
				walk(prefix+name+"[].", resolve(items))
			}
		}
	}
	walk("", document)
	return all
}

func kind(node map[string]any) string {
	if values, ok := node["enum"].([]any); ok && len(values) <= 10 {
		var shown []string
		for _, v := range values {
			if v != nil && v != "" {
				shown = append(shown, fmt.Sprintf("`%v`", v))
			}
		}
		return strings.Join(shown, " ")
	}
	if v, ok := node["const"]; ok {
		return fmt.Sprintf("`%v`", v)
	}
	if name, ok := node["name"].(string); ok && name != "texts" && name != "count" && name != "source" {
		return map[string]string{"money": "amount"}[name] + strings.TrimPrefix(name, "money")
	}
	if node["format"] == "date-time" {
		return "time"
	}
	switch of := node["type"].(type) {
	case string:
		return of
	case []any:
		return fmt.Sprint(of[0])
	}
	return ""
}

func readme(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`# Schemas of the topics

The values on Aftershock's topics as JSON Schemas, draft 2020-12. ` + "`aftershock schema`" + ` prints them. The tables below are
made from the schemas (` + "`go test ./deploy/schemas -update`" + `), and a test puts ` + fmt.Sprint(len(values)) + ` values into every field to hold
the incoming ones against the decoder.

A time is RFC 3339, in the years 1970 to 2200. An amount is a number or a decimal string, at most 14 digits before and 4
after the point, never below zero. In what comes in, a null is the same as an absent field, and unknown fields are ignored.

Where schema and decoder differ:

| value | schema | decoder |
|---|---|---|
| a whole number written 12.0 | accepts | wrong_type |
| an amount in a string with an exponent, "1e3" | refuses | accepts |
| a time with a comma before the fraction, or an hour of one digit | refuses | accepts |
| a time that is in 1970 to 2200 where it was written, but not in UTC | accepts | time_out_of_range |
| a text of as many characters as are allowed, but more bytes | accepts | text_too_long |
| ends_at not after closed_at | accepts | bad_interval |
| a key twice in one object, bytes that are not UTF-8 | not seen | duplicate_key, invalid_utf8 |
`)
	for _, name := range Names() {
		_, document := load(t, name)
		fmt.Fprintf(&b, "\n## %s\n\n[%s.json](%s.json): %s\n\n| field | type | | what it says | example |\n|---|---|---|---|---|\n",
			document["title"], name, name, document["description"])
		for _, f := range fields(document) {
			required := ""
			if f.required {
				required = "required"
			}
			example := f.example
			if example != "" {
				example = "`" + example + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.path, f.kind, required, f.description, strings.ReplaceAll(example, "|", "\\|"))
		}
		if name == "deal-closed.v1" {
			b.WriteString("\nA deal whose outcome is not lost needs `currency` and `signed_price` too.\n")
		}
	}
	return b.String()
}
