package churn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// skipped is the scanner's verdict on one whole value of any type.
func skipped(value []byte) *Rejection {
	s := newScanner(value)
	s.skip()
	s.end()
	return s.err
}

// stricter are the faults for which the scanner refuses what encoding/json lets pass.
func stricter(r *Rejection) bool {
	return r.Code == CodeInvalidUTF8 || r.Code == CodeDuplicateKey || strings.HasSuffix(r.Reason, "levels deep")
}

// differ holds the scanner's verdict against encoding/json's, and returns what is wrong with it, if anything.
func differ(value []byte) string {
	r, valid := skipped(value), json.Valid(value)
	switch {
	case r == nil && !valid:
		return "the scanner accepts what encoding/json refuses"
	case r != nil && valid && !stricter(r):
		return "encoding/json accepts what the scanner refuses: " + r.Error()
	}
	return ""
}

// Any short string of the bytes that JSON is made of: scanner and encoding/json must agree.
func TestScannerAgreesWithEncodingJSON(t *testing.T) {
	alphabet := rapid.SampledFrom([]string{"{", "}", "[", "]", ":", ",", `"`, `\`, "u", "00", "d83d", "de00", `\u`, "/", "b", "n", "t", "0", "1", "9", "-", "+", ".", "e", "E",
		"true", "false", "null", " ", "\n", "\x00", "\x1f", "\x7f", "é", "\u2028", "\xff", `"a"`, `"b"`, `"a":`, `"b":`})
	rapid.Check(t, func(t *rapid.T) {
		value := strings.Join(rapid.SliceOfN(alphabet, 0, 24).Draw(t, "value"), "")
		for _, v := range []string{value, `"` + value + `"`, "[" + value + "]", `{"a":` + value + "}", "-" + value} {
			if wrong := differ([]byte(v)); wrong != "" {
				t.Fatalf("%q: %s", v, wrong)
			}
		}
	})
}

// A string or number that both accept must be read as the same one.
func TestScannerReadsWhatEncodingJSONReads(t *testing.T) {
	piece := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`, `\u0000`, `\u00e9`, `\uD83D\uDE00`, `\ufffd`, `\uFFFF`}))
	rapid.Check(t, func(t *rapid.T) {
		value := []byte(`"` + strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, "string"), "") + `"`)
		var want string
		s := newScanner(value)
		got := s.text("")
		s.end()
		switch err := json.Unmarshal(value, &want); {
		case err != nil && s.err == nil:
			t.Errorf("%q: only the scanner accepts it", value)
		case err == nil && s.err != nil && !stricter(s.err), err == nil && s.err == nil && got != want:
			t.Errorf("%q: %q, %v; encoding/json reads %q", value, got, s.err, want)
		}
		if number, err := json.Marshal(rapid.Float64().Draw(t, "number")); err == nil {
			var want float64
			if err := json.Unmarshal(number, &want); err != nil {
				t.Fatal(err)
			}
			if got := newScanner(number).number("", want, want); got == nil || *got != want {
				t.Errorf("%s: %v, want %v", number, got, want)
			}
		}
	})
}

// anyValue draws a value of any type, its objects without duplicate keys.
func anyValue(depth int) *rapid.Generator[any] {
	scalar := rapid.OneOf(rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Float64().AsAny(), rapid.String().AsAny())
	if depth == 0 {
		return scalar
	}
	inner := anyValue(depth - 1)
	return rapid.OneOf(scalar, rapid.SliceOfN(inner, 0, 4).AsAny(), rapid.MapOfN(rapid.String(), inner, 0, 4).AsAny())
}

func TestScannerAcceptsEveryMarshalledValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value, err := json.MarshalIndent(anyValue(3).Draw(t, "value"), " ", "\t")
		if err != nil {
			t.Skip("no such JSON")
		}
		// What Go writes for strings that are not UTF-8 is valid, so everything must pass.
		if r := skipped(value); r != nil {
			t.Errorf("%s: %v", value, r)
		}
		// Spaces say nothing; anything else after a value is a fault.
		var compact bytes.Buffer
		if err := json.Compact(&compact, value); err != nil {
			t.Fatal(err)
		}
		if r := skipped(append(compact.Bytes(), '}')); r == nil {
			t.Errorf("%s}: accepted", compact.Bytes())
		}
	})
}

// Objects with many keys find duplicates by a map, those with few by a search: both sides of the border must find them.
func TestScannerFindsDuplicatesInWideObjects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfNDistinct(rapid.StringN(0, 4, -1), 2, 80, rapid.ID[string]).Draw(t, "keys")
		twice := rapid.IntRange(0, len(keys)-1).Draw(t, "twice")
		at := rapid.IntRange(0, len(keys)).Draw(t, "at")
		write := func(keys []string) []byte {
			var b bytes.Buffer
			for i, k := range keys {
				quoted, err := json.Marshal(k)
				if err != nil {
					t.Fatal(err)
				}
				b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
				b.Write(quoted)
				b.WriteString(`:{"x":[{"x":0}]}`) // an inner object's keys are its own
			}
			return append(b.Bytes(), '}')
		}
		if r := skipped(write(keys)); r != nil {
			t.Fatal(r)
		}
		with := append(append(append([]string{}, keys[:at]...), keys[twice]), keys[at:]...)
		if r := skipped(write(with)); r == nil || r.Code != CodeDuplicateKey {
			t.Errorf("%v, want a duplicate key", r)
		}
	})
}

// Each key of an object, given again at its end, is found, on both sides of where the search becomes a map.
func TestScannerFindsEveryDuplicate(t *testing.T) {
	for n := 30; n <= 36; n++ {
		object := `{"outer":{`
		for i := range n {
			object += fmt.Sprintf(`"k%d":0,`, i)
		}
		for i := range n {
			for _, late := range []string{"", `"another":0,"\u006bx":0,`} {
				if r := skipped([]byte(object + late + fmt.Sprintf(`"k%d":0}}`, i))); r == nil || r.Code != CodeDuplicateKey {
					t.Errorf("%d keys, number %d again: %v", n, i, r)
				}
			}
		}
		if r := skipped([]byte(object + `"outer":{"k0":0}}}`)); r != nil {
			t.Errorf("%d keys: %v", n, r)
		}
	}
}

// A string holds no bare control character, before an escape or after it, in a value or in a key.
func TestScannerRefusesControlCharacters(t *testing.T) {
	for c := byte(0); c <= 0x80; c++ {
		for _, text := range []string{`"` + string(rune(c)) + `"`, `"\\` + string(rune(c)) + `"`, `{"` + string(rune(c)) + `":1}`, `["` + string(rune(c)) + `\n"]`} {
			if wrong := differ([]byte(text)); wrong != "" {
				t.Errorf("%q: %s", text, wrong)
			}
		}
	}
}

// After the first fault everything reads as nothing, and the fault stays.
func TestScannerFirstFaultSticks(t *testing.T) {
	s := newScanner([]byte(`[7, "a", true]`))
	s.fail(CodeBadValue, "first", "is bad")
	first := *s.err
	s.skip()
	v, given := s.integer("f", 0, 9)
	if s.text("f") != "" || v != 0 || given || s.boolean("f") != nil || s.number("f", 0, 9) != nil || s.money("f").Known || !s.instant("f").IsZero() ||
		s.oneOf("f", "a") != "" || s.texts("f") != nil || s.messages("f") != nil || s.negotiation("f") != nil {
		t.Error("something was read after a fault")
	}
	s.require("g", true)
	s.end()
	if !reflect.DeepEqual(*s.err, first) || s.pos != 0 {
		t.Errorf("%v at %d", s.err, s.pos)
	}
}

func TestShortQuoteIsShort(t *testing.T) {
	for _, c := range [][2]string{
		{"", `""`}, {"a\nb", `"a\nb"`}, {strings.Repeat("a", 60), `"` + strings.Repeat("a", 60) + `"`}, {strings.Repeat("a", 61), `"` + strings.Repeat("a", 60) + `"...`},
		{"a" + strings.Repeat("é", 60), `"a` + strings.Repeat("é", 29) + `"...`},
	} {
		if got := shortQuote(c[0]); got != c[1] {
			t.Errorf("%s, want %s", got, c[1])
		}
	}
}
