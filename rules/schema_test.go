package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemaOf compiles a schema, and returns what it says too.
func schemaOf(t *testing.T, name string) (*jsonschema.Schema, map[string]any) {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schemas()[name]))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema, document.(map[string]any)
}

// bySchema reads YAML as an editor does.
func bySchema(t *testing.T, schema *jsonschema.Schema, text []byte) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// TestSchemasTakeWhatIsShipped: every rule file, every test file and every example of docs/rules.md.
func TestSchemasTakeWhatIsShipped(t *testing.T) {
	rule, _ := schemaOf(t, "rules.v1")
	test, _ := schemaOf(t, "rules-test.v1")
	names, err := fs.Glob(Builtin(), "*.yaml")
	if err != nil || len(names) < 10 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(Builtin(), name)
		if err != nil {
			t.Fatal(err)
		}
		schema := rule
		if isTest(name) {
			schema = test
		}
		if err := bySchema(t, schema, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	doc, err := os.ReadFile("../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(doc, -1) {
		schema := rule
		if bytes.Contains(block[1], []byte("tests:")) {
			schema = test
		} else if !bytes.Contains(block[1], []byte("groups:")) {
			continue
		}
		examples++
		if err := bySchema(t, schema, block[1]); err != nil {
			t.Errorf("docs/rules.md: %v\n%s", err, block[1])
		}
	}
	if examples < 2 {
		t.Errorf("only %d examples stand in docs/rules.md", examples)
	}
}

// TestSchemasHaveTheKeys: those that the loader knows, and no others, each described.
func TestSchemasHaveTheKeys(t *testing.T) {
	_, rule := schemaOf(t, "rules.v1")
	_, test := schemaOf(t, "rules-test.v1")
	of := func(document map[string]any, definition string) map[string]any {
		at := document
		if definition != "" {
			at = document["$defs"].(map[string]any)[definition].(map[string]any)
		}
		if at["additionalProperties"] != false {
			t.Errorf("%s takes keys that nobody knows", definition)
		}
		return at["properties"].(map[string]any)
	}
	keys := func(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
	sorted := func(s []string) []string { return slices.Sorted(slices.Values(s)) }
	if got := keys(of(rule, "group")); !slices.Equal(got, sorted(groupKeys)) {
		t.Errorf("of a group the schema has %v, the loader %v", got, sorted(groupKeys))
	}
	if got := keys(of(rule, "rule")); !slices.Equal(got, sorted(ruleKeys)) {
		t.Errorf("of a rule the schema has %v, the loader %v", got, sorted(ruleKeys))
	}
	if got := keys(of(rule, "rule")["annotations"].(map[string]any)["properties"].(map[string]any)); !slices.Equal(got, sorted(annotations)) {
		t.Errorf("of annotations the schema has %v, the loader %v", got, annotations)
	}
	for _, definition := range []string{"group", "rule"} {
		for name, p := range of(rule, definition) {
			if p.(map[string]any)["description"] == nil {
				t.Errorf("%s.%s is not described", definition, name)
			}
		}
	}
	// The loader of tests says which keys it takes, where one is wrong.
	for definition, place := range map[string]string{
		"":         "nonsense: 1",
		"test":     "tests: [{nonsense: 1}]",
		"event":    "tests: [{name: n, events: [{nonsense: 1}], instants: []}]",
		"feedback": "tests: [{name: n, feedback: [{nonsense: 1}], instants: []}]",
		"instant":  "tests: [{name: n, instants: [{nonsense: 1}]}]",
		"alert":    "tests: [{name: n, instants: [{at: 2026-01-01, alerts: [{nonsense: 1}]}]}]",
	} {
		dir := t.TempDir()
		for name, content := range map[string]string{"r.yaml": "groups: [{name: g, schedule: '0 6 * * *', rules: [{alert: R, query: SELECT 1 AS x, identity: [x]}]}]", "r.test.yaml": place} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, err := LoadTestPaths(dir)
		known := regexp.MustCompile(`unknown (?:key|field) "nonsense".*?known keys: ([a-z_, ]+)`).FindStringSubmatch(fmt.Sprint(err))
		if known == nil {
			t.Errorf("%s: the loader does not say which keys it knows: %v", definition, err)
			continue
		}
		if got, want := keys(of(test, definition)), sorted(strings.Split(known[1], ", ")); !slices.Equal(got, want) {
			t.Errorf("of %q the schema has %v, the loader %v", definition, got, want)
		}
	}
}

// TestSchemaAndLoaderAgree: a rule file with one thing changed is taken by both or by neither, but for what is listed. The loader
// takes numbers for words and keys without a value, which the schema marks: they are likelier to be mistakes.
func TestSchemaAndLoaderAgree(t *testing.T) {
	schema, _ := schemaOf(t, "rules.v1")
	const good = `groups:
  - name: g
    schedule: "0 6 * * *"
    timezone: Europe/Berlin
    eval_delay: 2m
    catch_up: all
    owner_weekly_maximum: 5
    rules:
      - alert: R
        severity: warning
        kind: risk
        sources: [deals]
        stale_after: 7d
        query: SELECT 1 AS x, now() AS seen
        identity: [x]
        value_at_risk: x
        currency: y
        for: 1h
        keep_firing_for: 1d12h
        repeat_every: 2w
        happened_at: seen
        late_after: 24h
        escalate_after: 48h
        escalate_severity: critical
        topic: churn.alerts
        labels: {owner: me}
        annotations: {summary: s, description: d, playbook: p}
`
	values := []string{"", `""`, "x", "X-Y", "[]", "[x]", "[x, x]", "{}", "{a: b}", "0", "0s", "5", "-1", "1.5", "true", "90s", "1d12h", "7 days", "d", "critical", "Europe/Berlin", "all", `"*/5 * * * *"`, `"* * *"`, "{summary: 1}", "[deals]", "[a b]", "SELECT 1;"}
	// What the loader alone knows: names of zones, what stands in a schedule, what is like another key, templates.
	only := regexp.MustCompile(`unknown timezone|bad schedule|bad template|without escalate_after|without happened_at`)
	line := regexp.MustCompile(`(?m)^( +(?:- )?)([a-z_]+): (.+)$`)
	cases := 0
	for _, at := range line.FindAllStringSubmatchIndex(good, -1) {
		for _, value := range values {
			text := good[:at[6]] + value + good[at[7]:]
			_, byLoader := Load(Document{"r.yaml", []byte(text)})
			byItsSchema := bySchema(t, schema, []byte(text))
			cases++
			var problems Problems
			if errors.As(byLoader, &problems) && !slices.ContainsFunc(problems, func(p Problem) bool { return !only.MatchString(p.Message) }) {
				continue
			}
			narrower := slices.Contains([]string{"", "0", "5", "-1", "1.5", "true", "{summary: 1}"}, value)
			if byLoader == nil && byItsSchema != nil && narrower {
				continue
			}
			if (byLoader == nil) != (byItsSchema == nil) {
				t.Errorf("%s: %s\nthe loader: %v\nthe schema: %v", good[at[4]:at[5]], value, byLoader, byItsSchema)
			}
		}
	}
	t.Logf("%d cases", cases)
}
