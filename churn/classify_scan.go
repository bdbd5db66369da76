package churn

import (
	"strings"
	"time"
	"unicode/utf8"
)

// The hash of a word is FNV-1a over its normal form: lower case, without accents, apostrophes and invisible characters.
const (
	hashSeed  = 0xcbf29ce484222325
	hashPrime = 0x100000001b3
)

// What a byte means outside a word; letters and digits start one.
const (
	kSpace = iota
	kWord
	kNewline
	kStop   // . ! ?
	kClause // , ; ( )
	kColon
	kQuote
	kTag    // <
	kEntity // &
	kPercent
	kHigh // not ASCII
)

var kinds, lower = byteTables()

func byteTables() (kinds, lower [256]uint8) {
	for c := range 256 {
		switch b := byte(c); {
		case b >= 0x80:
			kinds[c] = kHigh
		case '0' <= b && b <= '9' || 'a' <= b && b <= 'z':
			kinds[c], lower[c] = kWord, b
		case 'A' <= b && b <= 'Z':
			kinds[c], lower[c] = kWord, b|0x20
		}
	}
	for chars, kind := range map[string]uint8{"\n": kNewline, ".!?": kStop, ",;()": kClause, ":": kColon, `"`: kQuote, "<": kTag, "&": kEntity, "%": kPercent} {
		for _, b := range []byte(chars) {
			kinds[b] = kind
		}
	}
	return kinds, lower
}

// read judges every sentence of one text that was said at one moment.
func (s *reading) read(text string, at time.Time) {
	if text == "" {
		return
	}
	if !s.carryContext {
		s.before = slotSet{}
	}
	s.text, s.at, s.here = text, at, ruleSet{}
	s.n, s.breaks, s.seen = 0, 0, slotSet{}
	s.start = 0
	for i := s.line(0); i < len(text); {
		s.steps++
		switch c := text[i]; kinds[c] {
		case kWord:
			i = s.word(i)
		case kNewline:
			i = s.line(i + 1)
		case kStop:
			i++
			if i == len(text) || kinds[text[i]] != kWord { // not 3.5 and not acme.com
				s.sentence(i, i)
			}
		case kClause:
			s.clause()
			i++
		case kColon:
			s.clause()
			i = s.attributed(i+1, false)
		case kQuote:
			i = s.attributed(i, true)
		case kTag:
			i = s.tag(i)
		case kEntity:
			r, size := entity(text[i:])
			if i += size; foldRune(r) == foldApart && (r == '<' || r == '"') {
				s.clause()
			}
		case kPercent:
			s.push(s.m.percent, i, i+1)
			i++
		case kHigh:
			i = s.high(i)
		default:
			i++
		}
	}
	s.sentence(len(text), len(text))
}

// word reads the word at i and returns the offset after it.
func (s *reading) word(i int) int {
	text := s.text
	from, h := i, uint64(hashSeed)
	digit := text[i] <= '9' && text[i] >= '0'
scan:
	for i < len(text) {
		c := text[i]
		if l := lower[c]; l != 0 {
			h = (h ^ uint64(l)) * hashPrime
			i++
			continue
		}
		switch {
		case c == '\'':
			if i+1 == len(text) || lower[text[i+1]] == 0 {
				break scan
			}
			i++
		case c >= utf8.RuneSelf || c == '&':
			next, h2, inside := foldInto(text, i, h)
			if !inside {
				break scan
			}
			i, h = next, h2
		default:
			break scan
		}
	}
	s.steps += i - from
	if digit {
		s.push(s.m.number, from, i)
	} else {
		s.push(s.m.lookup(h), from, i)
	}
	return i
}

// high reads a character that is not ASCII and not inside a word.
func (s *reading) high(i int) int {
	r, size := utf8.DecodeRuneInString(s.text[i:])
	if r == utf8.RuneError && size <= 1 {
		s.sentence(i, i+1) // a quote never holds invalid bytes
		return i + 1
	}
	switch r {
	case '“', '”', '„', '«', '»':
		return s.attributed(i, true)
	case '—', '–', ',', '、':
		s.clause()
	case '。', '!', '?', '…', '\u2029':
		s.sentence(i+size, i+size)
	case '\u2028', '\u0085':
		return s.line(i + size)
	case ':':
		s.clause()
		return s.attributed(i+size, false)
	default:
		if f := foldRune(r); f != foldSkip && f != foldApart && f != foldApostrophe {
			return s.word(i)
		}
	}
	return i + size
}

// line looks at the start of the line at i: whether a sentence ends there and whether the line, or all that follows, is
// an earlier message. It returns where to go on.
func (s *reading) line(i int) int {
	text := s.text
	for i < len(text) {
		from := i
		for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r') {
			i++
		}
		s.steps += i - from + 1
		if i == len(text) {
			return i
		}
		switch c := text[i]; c {
		case '\n': // a blank line
			s.sentence(from, i+1)
			i++
			continue
		case '>':
			s.sentence(from, i)
			i = s.lineEnd(i)
			s.start = i
			continue
		case '&':
			if strings.HasPrefix(text[i:], "&gt;") {
				s.sentence(from, i)
				i = s.lineEnd(i)
				s.start = i
				continue
			}
		case '-', '_', '*', '=':
			if s.earlier(i) {
				s.sentence(from, len(text))
				return len(text)
			}
			s.sentence(from, i)
		case 'O', 'o', 'F', 'f':
			if s.earlier(i) {
				s.sentence(from, len(text))
				return len(text)
			}
		default:
			if strings.HasPrefix(text[i:], "•") {
				s.sentence(from, i)
			} else if c >= '0' && c <= '9' && i+1 < len(text) && (text[i+1] == '.' || text[i+1] == ')') {
				s.sentence(from, i)
			}
		}
		return i
	}
	return i
}

func (s *reading) lineEnd(i int) int {
	n := strings.IndexByte(s.text[i:], '\n')
	if n < 0 {
		n = len(s.text) - i - 1
	}
	s.steps += n + 1
	return i + n + 1
}

const (
	headerBytes = 320 // an attribution or forwarded header is not longer
	quoteMarks  = `"'“”‘’„«»`
)

// earlier reports whether an earlier message starts at the line at i, after which nothing is the client's.
func (s *reading) earlier(i int) bool {
	text := s.text
	head := text[i:min(len(text), i+headerBytes)]
	line, rest, more := strings.Cut(head, "\n")
	switch head[0] {
	case '-', '_', '*', '=':
		if strings.HasPrefix(head, "-- \n") || strings.HasPrefix(head, "-- \r\n") {
			return true // a signature
		}
		s.steps += len(line)
		if len(line) < 5 || line[1] != line[0] {
			return false
		}
		line = strings.Trim(line, "-_*= \t\r")
		if strings.EqualFold(line, "original message") || strings.EqualFold(line, "forwarded message") || strings.EqualFold(line, "original appointment") {
			return true
		}
		rest = strings.TrimLeft(rest, " \t\r\n*")
		return line == "" && len(rest) >= 5 && strings.EqualFold(rest[:5], "from:")
	case 'F', 'f':
		if len(head) < 5 || !strings.EqualFold(head[:5], "from:") || !more {
			return false
		}
		s.steps += len(head)
		next := strings.TrimLeft(rest, " \t\r\n*")
		return foldPrefix(next, "sent:") || foldPrefix(next, "date:") || foldPrefix(next, "to:") || foldPrefix(next, "subject:")
	default: // On 3 May 2026, Ann wrote:
		if len(head) < 3 || !strings.EqualFold(head[:3], "on ") {
			return false
		}
		s.steps += len(head)
		if second, _, ok := strings.Cut(rest, "\n"); ok || more { // the header may be wrapped once
			line = head[:min(len(head), len(line)+1+len(second))]
		}
		w := strings.Index(line, "wrote:")
		if w < 0 || strings.HasSuffix(strings.TrimRight(line[:w], " "), "you") {
			return false
		}
		after := strings.TrimLeft(head[w+len("wrote:"):], " \t\r")
		if after != "" && after[0] != '\n' {
			return false
		}
		after = strings.TrimLeft(after, " \t\r\n")
		return !strings.HasPrefix(after, ">") && !strings.HasPrefix(after, "&gt;") // those lines are left out one by one
	}
}

func foldPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// attributed handles a colon or opening quotation mark at i. After "you wrote" it leaves out what follows: up to the closing
// mark, or without marks to the end of the paragraph.
func (s *reading) attributed(i int, mark bool) int {
	text := s.text
	skipMark := func() int {
		if mark {
			_, size := utf8.DecodeRuneInString(text[i:])
			s.clause()
			return i + size
		}
		return i
	}
	if s.n == 0 || !s.attribution() {
		return skipMark()
	}
	s.sentence(i, i)
	end := i + len(text[i:]) - len(strings.TrimLeft(text[i:], " \t\r\n"))
	var closing string
	if r, size := utf8.DecodeRuneInString(text[end:]); size > 0 && strings.ContainsRune(quoteMarks, r) {
		closing = closers(r)
		end += size
	}
	for end < len(text) { // one loop for both ends: what is looked at is also left out
		r, size := utf8.DecodeRuneInString(text[end:])
		if r == '\n' && (strings.HasPrefix(text[end:], "\n\n") || strings.HasPrefix(text[end:], "\n\r\n")) {
			break
		}
		end += size
		if closing != "" && strings.ContainsRune(closing, r) {
			break
		}
	}
	s.steps += end - i
	s.start = end
	return end
}

func closers(open rune) string {
	switch open {
	case '\'', '‘', '’':
		return "'’"
	case '«', '»':
		return "«»"
	}
	return `"“”`
}

// attribution reports whether the last words of the sentence name the vendor as the one who speaks.
func (s *reading) attribution() bool {
	for i := range s.m.attributions {
		p := &s.m.attributions[i]
		if !s.holds(p) {
			continue
		}
		var found matches
		s.match(p, &found)
		for _, f := range found.span[:found.n] {
			if s.n-1-f.last <= 2 {
				return true
			}
		}
	}
	return false
}

// trimQuote returns the quote text[start:end]: trimmed, and where it is longer than limit cut to whole words around the
// match at offset near.
func trimQuote(text string, start, end, near, limit int) string {
	const marks = " \t\r\n\v\f\u00a0\u200b\ufeff" + `"'“”‘’„«»-–—*•_=,;:`
	lo, hi := max(start, 0), min(end, len(text))
	if near-lo > 2*limit { // nothing further away can be in the quote
		lo = near - 2*limit
	}
	if hi-near > 2*limit {
		hi = near + 2*limit
	}
	for i := lo; i < hi; { // left-out parts may hold invalid bytes, a cut may have made some
		r, size := utf8.DecodeRuneInString(text[i:hi])
		if r == utf8.RuneError && size == 1 {
			if i >= near {
				hi = i
				break
			}
			lo = i + 1
		}
		i += size
	}
	q := strings.TrimLeft(text[lo:hi], marks)
	lo = hi - len(q)
	q = strings.TrimRight(q, marks)
	if len(q) <= limit {
		return q
	}
	if near-lo > limit*3/4 {
		q = q[wordStart(q, min(near-lo-limit/4, len(q)-limit)):]
	}
	if len(q) > limit {
		q = q[:wordEnd(q, limit)]
	}
	return strings.TrimRight(strings.TrimLeft(q, marks), marks)
}

// wordStart moves i forward to the start of a word, or at least of a character, within reach.
func wordStart(q string, i int) int {
	if i <= 0 {
		return 0
	}
	for j := i; j < min(len(q), i+40); j++ {
		if q[j-1] == ' ' || q[j-1] == '\n' {
			return j
		}
	}
	for i < len(q) && !utf8.RuneStart(q[i]) {
		i++
	}
	return i
}

// wordEnd moves i back to the end of a word, or at least of a character, within reach.
func wordEnd(q string, i int) int {
	for j := i; j > max(0, i-40); j-- {
		if q[j] == ' ' || q[j] == '\n' {
			return j
		}
	}
	for i > 0 && !utf8.RuneStart(q[i]) {
		i--
	}
	return i
}
