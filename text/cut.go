package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fit cuts a text to a width: at most n characters, of which the last ones are the mark where something was cut off. Where n has
// no room for the mark, the mark stands alone: what was cut always says so.
func Fit(s string, n int, mark string) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return Cut(s, n-utf8.RuneCountInString(mark), mark)
}

// Cut keeps the first n characters of a text, and puts the mark behind them where something was cut off. A byte that is no UTF-8
// counts as a character and stays as it is.
func Cut(s string, n int, mark string) string {
	for i := range s {
		if n <= 0 {
			return s[:i] + mark
		}
		n--
	}
	return s
}

// CutBytes keeps at most the first n bytes of a text, without half a character at the end. What it returns is UTF-8: bytes that
// are not become U+FFFD before anything is cut.
func CutBytes(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:max(n, 0)]
}

// Line folds a text onto one line: what stands between its words, be it white space or control characters, becomes one blank.
func Line(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}
