package rules

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/text"
)

// wording is one label or annotation, compiled.
type wording struct {
	section string // labels or annotations
	name    string
	body    *template.Template
	at      place
	fields  []string // columns that it names
}

// textFuncs are what a label or annotation may call. An unknown value prints as "unknown" in each.
var textFuncs = template.FuncMap{
	"money": formatMoney,
	"pct":   formatPercent,
	"days":  formatDays,
	"date":  formatDate,
	"list":  formatList,
}

func compile(section, name, body string, at place) (wording, error) {
	t, err := template.New(section + "." + name).Funcs(textFuncs).Option("missingkey=error").Parse(body)
	if err != nil {
		return wording{}, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "template: "))
	}
	out := wording{section: section, name: name, body: t, at: at}
	for _, tree := range t.Templates() {
		if tree.Tree != nil {
			out.fields = append(out.fields, fieldsOf(tree.Tree.Root, false)...)
		}
	}
	slices.Sort(out.fields)
	out.fields = slices.Compact(out.fields)
	return out, nil
}

// fieldsOf lists the columns that a template names; inside range and with the dot is another value, so only $.name counts.
func fieldsOf(n parse.Node, moved bool) []string {
	var out []string
	branch := func(b *parse.BranchNode, moves bool) {
		out = append(out, fieldsOf(b.Pipe, moved)...)
		out = append(out, fieldsOf(b.List, moved || moves)...)
		if b.ElseList != nil {
			out = append(out, fieldsOf(b.ElseList, moved)...)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, c := range n.Nodes {
			out = append(out, fieldsOf(c, moved)...)
		}
	case *parse.ActionNode:
		return fieldsOf(n.Pipe, moved)
	case *parse.PipeNode:
		if n == nil {
			return nil
		}
		for _, c := range n.Cmds {
			for _, arg := range c.Args {
				out = append(out, fieldsOf(arg, moved)...)
			}
		}
	case *parse.FieldNode:
		if !moved {
			return n.Ident[:1]
		}
	case *parse.VariableNode:
		if n.Ident[0] == "$" && len(n.Ident) > 1 {
			return n.Ident[1:2]
		}
	case *parse.ChainNode:
		return fieldsOf(n.Node, moved)
	case *parse.IfNode:
		branch(&n.BranchNode, false)
	case *parse.RangeNode:
		branch(&n.BranchNode, true)
	case *parse.WithNode:
		branch(&n.BranchNode, true)
	}
	return out
}

// Render fills every label and annotation from a row. An error names the text at fault.
func (r *Rule) Render(row alert.Row) (labels, notes map[string]string, err error) {
	data := make(map[string]any, len(row))
	for k, v := range row {
		data[k] = printable(v)
	}
	labels, notes = map[string]string{}, map[string]string{}
	for _, t := range r.texts {
		var b strings.Builder
		if err := t.body.Execute(&b, data); err != nil {
			return nil, nil, fmt.Errorf("filling %s.%s: %s", t.section, t.name, strings.TrimPrefix(err.Error(), "template: "))
		}
		into, most := labels, alert.MaxLabel
		if t.section == "annotations" {
			into, most = notes, alert.MaxAnnotation
		}
		into[t.name] = text.Fit(strings.TrimSpace(b.String()), most, "…")
	}
	return labels, notes, nil
}

// unknown stands for NULL in a template: it prints as "unknown" and is false for if.
type unknown []struct{}

func (unknown) String() string { return "unknown" }

// amount stands for money in a template: it prints its exact digits without trailing zeros.
type amount string

func printable(v any) any {
	switch v := v.(type) {
	case nil:
		return unknown(nil)
	case churn.OptionalMoney:
		if !v.Known {
			return unknown(nil)
		}
		return amount(v.Amount.Trim(0).String())
	case time.Time:
		return v.UTC()
	}
	return v
}

func Number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	case amount:
		f, err := strconv.ParseFloat(string(v), 64)
		return f, err == nil
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil
	}
	return 0, false
}

// formatMoney writes 48000.7 and "EUR" as "48,001 EUR": whole units, since nobody acts on cents.
func formatMoney(v any, currency ...any) string {
	f, ok := Number(v)
	if !ok {
		return "unknown"
	}
	digits := text.Whole(f)
	if len(currency) > 0 {
		if c, ok := currency[0].(string); ok && c != "" {
			digits += " " + c
		}
	}
	return digits
}

// formatPercent writes 0.083 as "8.3%".
func formatPercent(v any) string {
	f, ok := Number(v)
	if !ok {
		return "unknown"
	}
	return strings.TrimSuffix(strconv.FormatFloat(f*100, 'f', 1, 64), ".0") + "%"
}

// formatDays writes 12.4 as "12 days".
func formatDays(v any) string {
	f, ok := Number(v)
	if !ok {
		return "unknown"
	}
	n := math.Floor(f)
	if n == 1 {
		return "1 day"
	}
	return strconv.FormatFloat(n, 'f', 0, 64) + " days"
}

// formatDate writes an instant as its UTC date, 2025-01-31.
func formatDate(v any) string {
	t, ok := v.(time.Time)
	if !ok || t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format(time.DateOnly)
}

// formatList writes ["price_reduction", "downgrade"] as "price reduction, downgrade".
func formatList(v any) string {
	items, ok := v.([]any)
	if !ok || len(items) == 0 {
		return "none"
	}
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = strings.ReplaceAll(Plain(item), "_", " ")
	}
	return strings.Join(words, ", ")
}
