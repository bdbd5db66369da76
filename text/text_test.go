package text

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestCuts(t *testing.T) {
	for _, c := range []struct {
		in       string
		n        int
		fit, cut string // with "…" and with "..."
	}{
		{"", 0, "", ""},
		{"", 3, "", ""},
		{"abc", 3, "abc", "abc"},
		{"abcd", 3, "ab…", "abc..."},
		{"abcd", 1, "…", "a..."},
		{"abcd", 0, "…", "..."},
		{"abcd", -5, "…", "..."},
		{"aäö€漢", 5, "aäö€漢", "aäö€漢"},
		{"aäö€漢", 4, "aäö…", "aäö€..."},
		{"e\u0301e", 2, "e…", "e\u0301..."}, // a combining accent counts
		{"👩‍🚀!", 4, "👩‍🚀!", "👩‍🚀!"},         // three characters that are drawn as one
		{"\xff\xfe\xfd", 3, "\xff\xfe\xfd", "\xff\xfe\xfd"},
		{"\xff\xfe\xfd", 2, "\xff…", "\xff\xfe..."},
	} {
		if got := Fit(c.in, c.n, "…"); got != c.fit {
			t.Errorf("Fit(%q, %d) = %q, want %q", c.in, c.n, got, c.fit)
		}
		if got := Cut(c.in, c.n, "..."); got != c.cut {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.in, c.n, got, c.cut)
		}
	}
	if got := Fit("abcdef", 5, "..."); got != "ab..." {
		t.Errorf("with a longer mark: %q", got)
	}
}

func TestCutBytes(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aäö", 2, "a"}, {"aäö", 3, "aä"}, {"€€", 2, ""}, {"€€", 5, "€"}, {"abc", 0, ""}, {"abc", -1, ""},
		{"a\xff", 10, "a\uFFFD"},
		{"a\xff", 2, "a"},                // the character that stands for the byte is longer than it
		{"\xe2\x82", 3, "\uFFFD"},        // half a character, as a cut by somebody else leaves it
		{"\x80\x80\x80\x80", 2, ""},      // four bytes that begin no character
		{"漢\xff\xff字", 9, "漢\uFFFD字"},    // a row of bad bytes becomes one
		{"a\u0301", 2, "a"},              // an accent is not torn apart, though its letter loses it
		{"\U0001F680x", 4, "\U0001F680"}, // four bytes
	} {
		if got := CutBytes(c.in, c.n); got != c.want {
			t.Errorf("CutBytes(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
		}
	}
}

// Whatever the text: a cut is a beginning of it, no longer than asked for, and as long as can be.
func TestCutsKeepAsMuchAsMayBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, n := rapid.String().Draw(t, "s"), rapid.IntRange(1, 40).Draw(t, "n")
		runes := []rune(s)
		if want := string(runes[:min(n, len(runes))]); Cut(s, n, "") != want {
			t.Errorf("Cut(%q, %d) = %q, want %q", s, n, Cut(s, n, ""), want)
		}
		fit := Fit(s, n, "…")
		if got := utf8.RuneCountInString(fit); got != min(n, len(runes)) {
			t.Errorf("Fit(%q, %d) has %d characters", s, n, got)
		}
		if strings.TrimSuffix(fit, "…") != s && !strings.HasPrefix(s, strings.TrimSuffix(fit, "…")) {
			t.Errorf("Fit(%q, %d) = %q is no beginning", s, n, fit)
		}
		short := CutBytes(s, n)
		if !strings.HasPrefix(s, short) || len(short) > n || !utf8.ValidString(short) {
			t.Errorf("CutBytes(%q, %d) = %q", s, n, short)
		}
		if _, next := utf8.DecodeRuneInString(s[len(short):]); next > 0 && len(short)+next <= n {
			t.Errorf("CutBytes(%q, %d) = %q, and one more character would fit", s, n, short)
		}
	})
}

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " \t\n": "", "one": "one", "  two\r\n\twords ": "two words", "a\x00b\x1b[31mc": "a b [31mc", "no\u00a0break\u2028line": "no break line",
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestThousands(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "-": "-", "0": "0", "999": "999", "-999": "-999", "1000": "1,000", "-1000": "-1,000", "-0": "-0", "123456": "123,456", "1234567": "1,234,567",
		"1234.5678": "1,234.5678", "-100000.00": "-100,000.00", "999999999999999999": "999,999,999,999,999,999", "NaN": "NaN", "+Inf": "+Inf", "-Inf": "-Inf",
	} {
		if got := Thousands(in); got != want {
			t.Errorf("Thousands(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[float64]string{
		0: "0", -0.3: "0", 999.4: "999", 999.6: "1,000", 48000.5: "48,000", 48001.5: "48,002", -123456: "-123,456", 1e15: "1,000,000,000,000,000", math.Inf(1): "+Inf",
	} {
		if got := Whole(in); got != want {
			t.Errorf("Whole(%v) = %q, want %q", in, got, want)
		}
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain Ünïcode 漢": "plain Ünïcode 漢", "\x1b[31mred\x07": `\u001b[31mred\u0007`, "\xff\u202e\U000e0001": `\xff\u202e\U000e0001`, "a\nb\t": `a\u000ab\u0009`,
		"\u009b31m": `\u009b31m`, "a\u00a0b": `a\u00a0b`, "\uFFFD": "\uFFFD", // the first is an escape sequence in one byte; the last is a character as any other
	} {
		if got := Visible(in); got != want {
			t.Errorf("%q becomes %s, want %s", in, got, want)
		}
	}
	if got := VisibleLines("a\nb\r"); got != "a\nb\\u000d" {
		t.Errorf("%q", got)
	}
}
