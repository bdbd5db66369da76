package attempts

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

const (
	headerBytes = 320 // an attribution or forwarded header is not longer
	quoteMarks  = `"'“”‘’„«»`
)

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
