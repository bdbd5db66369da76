package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/aftershock/aftershock/text"
)

// templateFuncs are what the template of a body may call. Clients' words are in the alerts: what a chat would take for markup or
// for the naming of a person is for slack and markdown to take out, and json to quote.
var templateFuncs = template.FuncMap{
	"json":     toJSON,
	"slack":    escapeSlack,
	"markdown": escapeMarkdown,
	"short":    shorten,
	"money":    toMoney,
	"date":     toDate,
	"upper":    func(v any) string { return strings.ToUpper(toText(v)) },
	"text":     toText,
}

func loadTemplate(path string) (*template.Template, error) {
	if path == "" {
		return nil, nil
	}
	written, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	t := template.New(filepath.Base(path)).Funcs(templateFuncs)
	// What {{ template }} writes cannot be quoted; what include returns can.
	t.Funcs(template.FuncMap{"include": func(name string, data any) (string, error) {
		var b strings.Builder
		err := t.ExecuteTemplate(&b, name, data)
		return b.String(), err
	}})
	_, err = t.Parse(string(written))
	if err != nil {
		return nil, fmt.Errorf("reading the template: %s", strings.TrimPrefix(err.Error(), "template: "))
	}
	return t, nil
}

// fill gives a template what is in a JSON object, by the names there, and the link.
func fill(t *template.Template, value []byte, link string) ([]byte, error) {
	var data map[string]any
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber() // exact
	if err := decoder.Decode(&data); err != nil {
		return nil, fmt.Errorf("reading the alert: %w", err)
	}
	// So that a template need not ask whether they are there.
	for _, name := range []string{"labels", "annotations", "account", "feedback"} {
		if data[name] == nil {
			data[name] = map[string]any{}
		}
	}
	data["link"] = link
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("filling the template: %s", strings.TrimPrefix(err.Error(), "template: "))
	}
	return b.Bytes(), nil
}

// toText writes what a template is given; nothing is the empty text.
func toText(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// toJSON quotes a value, so that it can stand in a JSON text.
func toJSON(v any) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// escapeSlack: the three characters by which Slack knows links, mentions and entities. Emphasis is left: it does no harm.
func escapeSlack(v any) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(toText(v))
}

// escapeMarkdown: what would make links, mentions, headings or emphasis.
func escapeMarkdown(v any) string {
	return markdownMarks.Replace(toText(v))
}

var markdownMarks = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `(`, `\(`, `)`, `\)`, `*`, `\*`, `_`, `\_`, `#`, `\#`, "`", "\\`", `~`, `\~`, `|`, `\|`,
	`<`, `&lt;`, `>`, `&gt;`)

// shorten cuts a text to n characters.
func shorten(n int, v any) string { return text.Fit(toText(v), n, "…") }

// toMoney writes {amount, currency} as "48,001 EUR": whole units, since nobody acts on cents.
func toMoney(v any) string {
	value, ok := v.(map[string]any)
	if !ok {
		return "unknown"
	}
	amount, err := strconv.ParseFloat(toText(value["amount"]), 64)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(text.Whole(amount) + " " + toText(value["currency"]))
}

// toDate writes an instant as its UTC date.
func toDate(v any) string {
	t, err := time.Parse(time.RFC3339, toText(v))
	if err != nil {
		return "unknown"
	}
	return t.UTC().Format(time.DateOnly)
}
