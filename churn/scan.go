package churn

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// MaxText is the longest text, in bytes, that a field may hold; MaxName that of an id, a name or a word, which stand in keys, alerts
// and tables whole.
const (
	MaxText = 1 << 20
	MaxName = 1 << 10
)

// maxDepth bounds nesting, so that a hostile value cannot exhaust the stack.
const maxDepth = 100

// scanner reads one JSON value strictly, in one pass and without reflection. encoding/json is not used because it
// silently keeps the last of duplicate keys and repairs invalid UTF-8, and costs several times as much (docs/adr/0003).
//
// The first fault sticks: every later call returns zero values, so callers need to look at err only once.
type scanner struct {
	src   string
	pos   int
	depth int
	skips int      // values being skipped, one within the other: their keys are no fields of ours
	path  string   // dotted path of the object being read, with a trailing dot
	keys  []string // keys of the objects that are open, to find duplicates
	err   *Rejection
}

func newScanner(value []byte) *scanner {
	// No copy: what is decoded points into the value, which nobody changes after.
	s := &scanner{src: unsafe.String(unsafe.SliceData(value), len(value)), keys: make([]string, 0, 24)}
	switch {
	case len(value) == 0:
		s.fail(CodeEmptyValue, "", "the record has no value")
	case !utf8.ValidString(s.src):
		s.fail(CodeInvalidUTF8, "", "the value is not valid UTF-8")
	}
	return s
}

// CheckJSON finds what encoding/json lets pass in one JSON value: repeated keys, and bytes that are not UTF-8.
func CheckJSON(value []byte) error {
	s := newScanner(value)
	s.skip()
	s.end()
	if s.err != nil {
		return s.err
	}
	return nil
}

// fail records the first fault. field is relative to the object being read.
func (s *scanner) fail(code Code, field, format string, args ...any) {
	if s.err == nil {
		s.err = &Rejection{Code: code, Field: strings.TrimSuffix(s.path+field, "."), Reason: fmt.Sprintf(format, args...)}
	}
}

func (s *scanner) malformed(format string, args ...any) {
	if s.err == nil {
		s.err = &Rejection{Code: CodeMalformedJSON, Reason: fmt.Sprintf("at byte %d: ", s.pos) + fmt.Sprintf(format, args...)}
	}
}

func (s *scanner) space() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the first byte of the next token, 0 at the end or after a fault.
func (s *scanner) peek() byte {
	if s.err != nil {
		return 0
	}
	s.space()
	if s.pos >= len(s.src) {
		s.malformed("the value ends too early")
		return 0
	}
	return s.src[s.pos]
}

// here is the character that a message names: for a person, so a whole one rather than its first byte.
func (s *scanner) here() rune {
	r, _ := utf8.DecodeRuneInString(s.src[s.pos:])
	return r
}

func (s *scanner) expect(c byte) bool {
	got := s.peek()
	if s.err == nil && got != c {
		s.malformed("found %q where %q belongs", s.here(), c)
	}
	if s.err != nil {
		return false
	}
	s.pos++
	return true
}

// end checks that nothing follows the value.
func (s *scanner) end() {
	if s.err != nil {
		return
	}
	if s.space(); s.pos < len(s.src) {
		s.malformed("something follows the value")
	}
}

// object reads an object and calls visit for each key; visit must read the value. Duplicate keys are a fault.
func (s *scanner) object(visit func(key string)) {
	if !s.expect('{') || !s.deeper() {
		return
	}
	defer func() { s.depth-- }()
	base := len(s.keys)
	defer func() { s.keys = s.keys[:base] }()
	var many map[string]struct{} // only for wide objects, where a linear search would be quadratic
	if s.peek() == '}' {
		s.pos++
		return
	}
	for s.err == nil {
		if s.peek() != '"' {
			s.malformed("an object's key must be a string")
			return
		}
		key := s.rawString()
		if s.err != nil {
			return
		}
		if s.seen(base, key, &many) {
			if s.skips > 0 {
				s.err = &Rejection{Code: CodeDuplicateKey, Reason: fmt.Sprintf("before byte %d: the key %s stands twice in one object", s.pos, shortQuote(key))}
				return
			}
			s.fail(CodeDuplicateKey, key, "the key %s stands twice in one object", shortQuote(key))
			return
		}
		if !s.expect(':') {
			return
		}
		visit(key)
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return
		default:
			s.malformed("a comma or the end of the object belongs here")
		}
	}
}

// seen notes key among the keys of the object whose keys begin at base, and reports whether it was there already.
func (s *scanner) seen(base int, key string, many *map[string]struct{}) bool {
	const narrow = 32
	if *many != nil {
		if _, twice := (*many)[key]; twice {
			return true
		}
		(*many)[key] = struct{}{}
		return false
	}
	for _, k := range s.keys[base:] {
		if k == key {
			return true
		}
	}
	s.keys = append(s.keys, key)
	if len(s.keys)-base > narrow {
		*many = make(map[string]struct{}, 4*narrow)
		for _, k := range s.keys[base:] {
			(*many)[k] = struct{}{}
		}
	}
	return false
}

// array reads an array and calls visit for each element; visit must read the element.
func (s *scanner) array(visit func(i int)) {
	if !s.expect('[') || !s.deeper() {
		return
	}
	defer func() { s.depth-- }()
	if s.peek() == ']' {
		s.pos++
		return
	}
	for i := 0; s.err == nil; i++ {
		visit(i)
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return
		default:
			s.malformed("a comma or the end of the list belongs here")
		}
	}
}

func (s *scanner) deeper() bool {
	if s.depth++; s.depth > maxDepth {
		s.malformed("nested more than %d levels deep", maxDepth)
		return false
	}
	return true
}

// in reads an object or list under a field's name, so that faults inside name their whole path.
func (s *scanner) in(field string, read func()) {
	outer := s.path
	s.path += field + "."
	read()
	s.path = outer
}

// skip reads a value that no field wants, as strictly as any other.
func (s *scanner) skip() {
	s.skips++
	defer func() { s.skips-- }()
	switch c := s.peek(); {
	case c == '{':
		s.object(func(string) { s.skip() })
	case c == '[':
		s.array(func(int) { s.skip() })
	case c == '"':
		s.rawString()
	case c == '-' || c >= '0' && c <= '9':
		s.rawNumber()
	case c != 0:
		s.literal()
	}
}

// literal reads true, false or null.
func (s *scanner) literal() string {
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(s.src[s.pos:], word) {
			s.pos += len(word)
			return word
		}
	}
	s.malformed("found %q where a value belongs", s.here())
	return ""
}

// null reads a null if one comes next. A null is the same as an absent field.
func (s *scanner) null() bool {
	if s.peek() == 'n' {
		return s.literal() == "null"
	}
	return false
}

// is checks the JSON type of the next value by its first byte.
func (s *scanner) is(field, want string, first string) bool {
	c := s.peek()
	if s.err != nil {
		return false
	}
	if strings.IndexByte(first, c) >= 0 {
		return true
	}
	if found := jsonType(c); found != "" {
		s.fail(CodeWrongType, field, "must be %s, found %s", want, found)
	} else { // NaN, say
		s.malformed("found %q where a value belongs", s.here())
	}
	return false
}

// jsonType names the type of a value by its first byte; empty where no value of JSON begins so.
func jsonType(first byte) string {
	switch {
	case first == 'n':
		return "null"
	case first == '{':
		return "an object"
	case first == '[':
		return "a list"
	case first == '"':
		return "a string"
	case first == 't' || first == 'f':
		return "a boolean"
	case first == '-' || first >= '0' && first <= '9':
		return "a number"
	}
	return ""
}

// rawString reads a string token. Without escapes it is a slice of the source, which costs nothing.
func (s *scanner) rawString() string {
	s.pos++ // the opening quote
	start := s.pos
	for i := plainUntil(s.src, start); i < len(s.src); i++ {
		switch c := s.src[i]; {
		case c == '"':
			s.pos = i + 1
			return s.src[start:i]
		case c == '\\':
			return s.escapedString(start, i)
		case c < 0x20:
			s.pos = i
			s.malformed("a control character stands unescaped in a string")
			return ""
		}
	}
	s.pos = len(s.src)
	s.malformed("a string does not end")
	return ""
}

// plainUntil passes over characters that need no second look, eight at a time, which long texts are full of.
func plainUntil(src string, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	zero := func(x uint64) uint64 { return (x - ones) & ^x & highs } // a byte of x is zero
	for ; i+8 <= len(src); i += 8 {
		x := binary.LittleEndian.Uint64([]byte(src[i : i+8]))
		control := (x - ones*0x20) & ^x & highs
		if control|zero(x^ones*'"')|zero(x^ones*'\\') != 0 {
			break
		}
	}
	return i
}

func (s *scanner) escapedString(start, i int) string {
	var b strings.Builder
	b.WriteString(s.src[start:i])
	for i < len(s.src) {
		switch c := s.src[i]; {
		case c == '"':
			s.pos = i + 1
			return b.String()
		case c < 0x20:
			s.pos = i
			s.malformed("a control character stands unescaped in a string")
			return ""
		case c == '\\':
			n := s.escape(&b, i)
			if n == 0 {
				return ""
			}
			i += n
		default:
			b.WriteByte(c)
			i++
		}
	}
	s.pos = len(s.src)
	s.malformed("a string does not end")
	return ""
}

// escape writes the character that the escape at i stands for and returns the escape's length, 0 after a fault.
func (s *scanner) escape(b *strings.Builder, i int) int {
	s.pos = i
	if i+1 >= len(s.src) {
		s.malformed("a string does not end")
		return 0
	}
	switch c := s.src[i+1]; c {
	case '"', '\\', '/':
		b.WriteByte(c)
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'u':
		r, ok := s.hex4(i + 2)
		if !ok {
			s.malformed("\\u must be followed by four hexadecimal digits")
			return 0
		}
		if !utf16.IsSurrogate(r) {
			b.WriteRune(r)
			return 6
		}
		low, ok := rune(0), false
		if strings.HasPrefix(s.src[i+6:], `\u`) {
			low, ok = s.hex4(i + 8)
		}
		pair := utf16.DecodeRune(r, low)
		if !ok || pair == utf8.RuneError {
			// Written out it would become U+FFFD: a change of the client's words that nobody would notice.
			s.fail(CodeInvalidUTF8, "", "at byte %d: half of a surrogate pair is not a character", i)
			return 0
		}
		b.WriteRune(pair)
		return 12
	default:
		s.malformed("\\%c is not an escape of JSON", c)
		return 0
	}
	return 2
}

func (s *scanner) hex4(i int) (rune, bool) {
	if i+4 > len(s.src) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s.src[i : i+4]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// rawNumber reads a number token by JSON's grammar.
func (s *scanner) rawNumber() string {
	start := s.pos
	digits := func() int {
		from := s.pos
		for s.pos < len(s.src) && s.src[s.pos] >= '0' && s.src[s.pos] <= '9' {
			s.pos++
		}
		return s.pos - from
	}
	at := func(chars string) bool { return s.pos < len(s.src) && strings.IndexByte(chars, s.src[s.pos]) >= 0 }
	if at("-") {
		s.pos++
	}
	leadingZero := at("0")
	if n := digits(); n == 0 || leadingZero && n > 1 {
		s.malformed("a number is not written as JSON wants it")
		return ""
	}
	if at(".") {
		s.pos++
		if digits() == 0 {
			s.malformed("a number is not written as JSON wants it")
			return ""
		}
	}
	if at("eE") {
		s.pos++
		if at("+-") {
			s.pos++
		}
		if digits() == 0 {
			s.malformed("a number is not written as JSON wants it")
			return ""
		}
	}
	return s.src[start:s.pos]
}
