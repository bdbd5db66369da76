package attempts

import (
	"strings"
	"unicode/utf8"
)

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
