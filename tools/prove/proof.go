package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// subject is a list of proofs that belong together.
type subject struct {
	name, about string
	proofs      []proof
}

// proof is one line that must be shown. An error of show says why it could not be shown.
type proof struct {
	line string
	bar  string
	show func(context.Context, *evidence) (value, error)
}

// value is what was found, in few words, whether it meets the bar, and what a reader may want to see beside it.
type value struct {
	text    string
	met     bool
	details []string
}

// atMost is a proof whose bar is a number. Count also says what to show behind the number.
func atMost(line string, bar int, count func(context.Context, *evidence) (n int, beside string, details []string, err error)) proof {
	return proof{line, fmt.Sprintf("at most %d", bar), func(ctx context.Context, e *evidence) (value, error) {
		n, beside, details, err := count(ctx, e)
		return value{strings.TrimSpace(fmt.Sprint(n, " ", beside)), n <= bar, details}, err
	}}
}

// result is a proof that was tried.
type result struct {
	Line    string   `json:"line"`
	Bar     string   `json:"bar"`
	Value   string   `json:"value"`
	Met     bool     `json:"met"`
	Details []string `json:"details,omitempty"`
}

func (p proof) prove(ctx context.Context, e *evidence) result {
	v, err := p.show(ctx, e)
	if err != nil {
		why, rest, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
		v = value{text: "not run: " + why}
		if rest != "" {
			v.details = strings.Split(rest, "\n")
		}
	}
	return result{p.line, p.bar, v.text, v.met, v.details}
}

// list prints what can be shown.
func list(w io.Writer, subjects []subject, asJSON bool) error {
	type line struct {
		Subject string `json:"subject"`
		Line    string `json:"line"`
		Bar     string `json:"bar"`
	}
	lines := []line{}
	var b strings.Builder
	for _, s := range subjects {
		fmt.Fprintf(&b, "%s: %s\n", s.name, s.about)
		for _, p := range s.proofs {
			fmt.Fprintf(&b, "    %s: %s\n", p.line, p.bar)
			lines = append(lines, line{s.name, p.line, p.bar})
		}
	}
	if asJSON {
		return json.NewEncoder(w).Encode(lines)
	}
	_, err := fmt.Fprintf(w, "%s\nmake prove SUBJECT=%s shows one.\n", b.String(), subjects[0].name)
	return err
}

// widths are those of the columns line, bar and value; longer cells go on below.
var widths = [...]int{52, 24, 50}

func table(w io.Writer, results []result) error {
	var b strings.Builder
	row := func(met string, cells ...string) {
		var parts [len(widths)][]string
		height := 0
		for i, cell := range cells {
			parts[i] = wrap(cell, widths[i])
			height = max(height, len(parts[i]))
		}
		for n := range height {
			line := ""
			for i, part := range parts {
				text := ""
				if n < len(part) {
					text = part[n]
				}
				line += fmt.Sprintf("%-*s | ", widths[i], text)
			}
			b.WriteString(strings.TrimRight(line+met, " ") + "\n")
			met = ""
		}
	}
	row("met", "line", "bar", "value")
	for _, width := range widths {
		b.WriteString(strings.Repeat("-", width) + "-+-")
	}
	b.WriteString("----\n")
	unmet := 0
	for _, r := range results {
		met := "met"
		if !r.Met {
			met = "NOT"
			unmet++
		}
		row(met, r.Line, r.Bar, r.Value)
	}
	for _, r := range results {
		if len(r.Details) > 0 {
			fmt.Fprintf(&b, "\n%s:\n    %s\n", r.Line, strings.Join(r.Details, "\n    "))
		}
	}
	fmt.Fprintf(&b, "\n%d of %d lines are met\n", len(results)-unmet, len(results))
	_, err := io.WriteString(w, b.String())
	return err
}

// wrap breaks a text at spaces; a word that is longer than a line stands on one of its own.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
