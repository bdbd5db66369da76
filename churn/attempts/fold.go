package attempts

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a character is to a word, where it is not a letter.
const (
	foldApart      = rune(-1) // ends the word
	foldSkip       = rune(-2) // invisible: the word goes on as if it were not there
	foldApostrophe = rune(-3) // dropped between two letters
)

// latin folds U+00C0..U+017F to the letter without its mark; a space stands for a letter that has no such twin.
const latin = "aaaaaaaceeeeiiiidnooooo ouuuuytsaaaaaaaceeeeiiiidnooooo ouuuuyty" + // U+00C0..U+00FF
	"aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll" + // U+0100..U+013F
	"lllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs" // U+0140..U+017F

// foldRune returns the lower-case form of a letter or digit without its mark, or what the character is instead.
func foldRune(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		if r < 0 {
			return foldApart
		}
		if l := lower[r]; l != 0 {
			return rune(l)
		}
		if r == '\'' {
			return foldApostrophe
		}
		return foldApart
	case r >= 0xC0 && r <= 0x17F:
		if r == 0xD7 || r == 0xF7 {
			return foldApart
		}
		if l := latin[r-0xC0]; l != ' ' {
			return rune(l)
		}
		return unicode.ToLower(r)
	case r >= 0xFF01 && r <= 0xFF5E: // full width
		return foldRune(r - 0xFEE0)
	case r == '‘' || r == '’' || r == 'ʼ' || r == '′':
		return foldApostrophe
	case r == 0xAD || r >= 0x200B && r <= 0x200F || r >= 0x202A && r <= 0x202E || r >= 0x2060 && r <= 0x2064 || r == 0xFEFF:
		return foldSkip
	case unicode.Is(unicode.M, r):
		return foldSkip
	case unicode.IsLetter(r) || unicode.IsDigit(r):
		return unicode.ToLower(r)
	}
	return foldApart
}

// foldInto reads the character at text[i], which is not an ASCII letter or digit, as part of a word with hash h. It
// reports whether the word goes on.
func foldInto(text string, i int, h uint64) (next int, hash uint64, inside bool) {
	var r rune
	var size int
	if text[i] == '&' {
		r, size = entity(text[i:])
	} else if r, size = utf8.DecodeRuneInString(text[i:]); r == utf8.RuneError && size <= 1 {
		return i, h, false
	}
	switch f := foldRune(r); f {
	case foldApart:
		return i, h, false
	case foldSkip:
		return i + size, h, true
	case foldApostrophe:
		after, _ := utf8.DecodeRuneInString(text[i+size:])
		return i + size, h, foldRune(after) >= 0
	default:
		return i + size, hashRune(h, f), true
	}
}

func hashRune(h uint64, r rune) uint64 {
	if r < utf8.RuneSelf {
		return (h ^ uint64(r)) * hashPrime
	}
	var b [utf8.UTFMax]byte
	for _, c := range b[:utf8.EncodeRune(b[:], r)] {
		h = (h ^ uint64(c)) * hashPrime
	}
	return h
}

// entity reads an HTML character reference; one that is not known stands for a space.
func entity(s string) (rune, int) {
	head := s[:min(len(s), 9)]
	n := strings.IndexByte(head, ';')
	if n < 0 {
		return ' ', 1
	}
	switch head[1:n] {
	case "apos", "rsquo", "lsquo", "#39", "#039", "#x27", "#8217", "#x2019":
		return '\'', n + 1
	case "shy", "zwnj", "zwj", "#8203", "#x200b", "#x200B", "#173":
		return 0xAD, n + 1
	case "quot", "ldquo", "rdquo", "#34":
		return '"', n + 1
	case "lt":
		return '<', n + 1
	case "nbsp", "amp", "gt", "#160", "ndash", "mdash":
		return ' ', n + 1
	}
	return ' ', 1
}

// tag reads an HTML-like tag at i and returns the offset after it; a < that starts none is a space.
func (s *reading) tag(i int) int {
	text := s.text
	if i+1 == len(text) || lower[text[i+1]] == 0 && text[i+1] != '/' && text[i+1] != '!' {
		return i + 1
	}
	head := text[i+1 : min(len(text), i+1+512)]
	n := strings.IndexAny(head, "<>") // stopping at the next < keeps "<a<a<a" linear
	if n < 0 || head[n] == '<' {
		s.steps += max(n, len("<"))
		return i + 1
	}
	end := i + 1 + n + 1
	s.steps += n
	tag := head[:n]
	name := strings.TrimPrefix(tag, "/")
	if cut := strings.IndexAny(name, " \t\r\n/"); cut >= 0 {
		name = name[:cut]
	}
	switch {
	case strings.Contains(tag, "gmail_quote") || strings.Contains(tag, "appendonsend") || strings.Contains(tag, "divRplyFwdMsg"):
		s.sentence(i, len(text))
		return len(text)
	case strings.EqualFold(name, "br"):
		return s.line(end)
	case tag[0] != '/' && (strings.EqualFold(name, "blockquote") || strings.EqualFold(name, "style") || strings.EqualFold(name, "script")):
		s.sentence(i, end)
		end = s.element(end, name)
		s.start = end
		return end
	case strings.EqualFold(name, "p") || strings.EqualFold(name, "div") || strings.EqualFold(name, "li") || strings.EqualFold(name, "td") ||
		strings.EqualFold(name, "tr") || strings.EqualFold(name, "ul") || strings.EqualFold(name, "ol") || strings.EqualFold(name, "blockquote") ||
		len(name) == 2 && lower[name[0]] == 'h' && name[1] >= '1' && name[1] <= '6':
		s.sentence(i, end)
		return s.line(end)
	}
	return end
}

// element returns the offset after the end of the element whose content starts at i; elements of its name may nest.
func (s *reading) element(i int, name string) int {
	text := s.text
	for depth := 1; ; {
		n := strings.IndexByte(text[i:], '<')
		if n < 0 {
			s.steps += len(text) - i
			return len(text)
		}
		s.steps += n + 1
		i += n + 1
		rest := text[i:]
		if foldPrefix(rest, name) {
			depth++
		} else if len(rest) > 0 && rest[0] == '/' && foldPrefix(rest[1:], name) {
			if depth--; depth == 0 {
				if n := strings.IndexByte(rest[:min(len(rest), 64)], '>'); n >= 0 {
					return i + n + 1
				}
				return i
			}
		}
	}
}
