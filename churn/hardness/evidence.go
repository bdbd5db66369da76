package hardness

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aftershock/aftershock/churn"
)

// result sums up, and cuts the evidence out of one string.
func (s *scoring) result() churn.Hardness {
	m := s.m
	h := churn.Hardness{
		Score:         float64(min(max(s.tenths, 0), 1000)) / 10,
		Coverage:      math.Round(min(s.covered/m.total, 1)*1000) / 1000,
		DiscountDepth: discountDepth(s.d),
		ModelVersion:  m.version,
	}
	h.Band = m.band(h.Score, h.Coverage)
	if s.count > 0 {
		slices.SortFunc(s.parts[:s.count], compareParts)
		all := string(s.text)
		h.Contributions = make([]churn.Contribution, s.count)
		for i := range h.Contributions {
			p := &s.parts[i]
			h.Contributions[i] = churn.Contribution{
				Component: componentNames[p.component], Value: p.value, Points: float64(p.tenths) / 10, Evidence: all[p.start:p.end], Proxy: p.proxy,
			}
		}
	}
	if s.absent > 0 {
		h.Missing = slices.Clone(s.missing[:s.absent])
	}
	return h
}

// compareParts orders by magnitude, then by name.
func compareParts(a, b part) int {
	if n := cmp.Compare(max(b.tenths, -b.tenths), max(a.tenths, -a.tenths)); n != 0 {
		return n
	}
	return strings.Compare(componentNames[a.component], componentNames[b.component])
}

func (m *Model) band(score, coverage float64) churn.Band {
	switch {
	case coverage < m.minimumCoverage:
		return churn.BandUnknown
	case score >= m.hard:
		return churn.BandHard
	case score >= m.firm:
		return churn.BandFirm
	}
	return churn.BandSoft
}

// maxClip bounds, in bytes, what evidence repeats of each of a source's own words.
const maxClip = 48

func (s *scoring) say(text string) *scoring {
	s.text = append(s.text, text...)
	return s
}

// clipped writes a source's words on one line, cut to maxClip.
func (s *scoring) clipped(text string) *scoring {
	whole := len(text) <= maxClip
	if !whole {
		cut := maxClip
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	for _, r := range text {
		if unicode.IsControl(r) {
			r = ' '
		}
		s.text = utf8.AppendRune(s.text, r)
	}
	if !whole {
		s.say("...")
	}
	return s
}

// number writes a count and its noun; without a noun the bare count.
func (s *scoring) number(n int, one, many string) *scoring {
	s.text = strconv.AppendInt(s.text, int64(n), 10)
	switch {
	case one == "":
		return s
	case n == 1:
		return s.say(" ").say(one)
	}
	return s.say(" ").say(many)
}

func (s *scoring) decimal(v float64, places int) *scoring {
	s.text = strconv.AppendFloat(s.text, v, 'f', places, 64)
	return s
}

// amount writes "EUR 1,250.00": rounded to cents, for people only.
func (s *scoring) amount(v float64) *scoring {
	if s.d.Currency != "" {
		s.say(s.d.Currency).say(" ")
	}
	start := len(s.text)
	s.decimal(v, 2)
	for i := len(s.text) - len(".00") - 3; i > start; i -= 3 {
		s.text = slices.Insert(s.text, i, ',')
	}
	return s
}

// named adds a component that counts the entries of a list, and names the first few in the order of the alphabet, so that
// the order of the list does not show. Blank entries do not count.
func (s *scoring) named(component int, all *[]string, field, lead string) {
	if all == nil {
		s.lacks(field)
		return
	}
	var first [3]string
	count, kept := 0, 0
	for _, text := range *all {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		count++
		switch {
		case kept < len(first):
			first[kept] = text
			kept++
		case text < first[kept-1]:
			first[kept-1] = text
		default:
			continue
		}
		for i := kept - 1; i > 0 && first[i] < first[i-1]; i-- {
			first[i], first[i-1] = first[i-1], first[i]
		}
	}
	start := len(s.text)
	s.say(lead).number(count, "thing", "things").say(": ")
	for i, text := range first[:kept] {
		if i > 0 {
			s.say(", ")
		}
		s.clipped(text)
	}
	if count > kept {
		s.say(" and others")
	}
	s.say(".")
	s.add(component, float64(count), measured, start)
}

// maxToneWord is the longest first word of a discourteous phrase.
const maxToneWord = 24

// isDiscourteous reports whether a message holds one of the model's words or phrases, as whole words and whatever their
// case. It reads English only and sees neither irony nor denial ("no nonsense").
func (m *Model) isDiscourteous(text string) bool {
	var word [maxToneWord]byte
	for i := 0; i < len(text); i++ {
		start := i
		for i < len(text) && asciiLetter(text[i]) {
			if i-start < maxToneWord {
				word[i-start] = text[i] | 0x20
			}
			i++
		}
		if n := i - start; n > 0 && n <= maxToneWord {
			for _, rest := range m.discourteous[string(word[:n])] {
				if follows(text[i:], rest) && !letterBefore(text[:start]) {
					return true
				}
			}
		}
	}
	return false
}

func asciiLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func letterBefore(text string) bool {
	r, _ := utf8.DecodeLastRuneInString(text)
	return unicode.IsLetter(r)
}

// follows reports whether text goes on with the words of rest and ends there at a word's end.
func follows(text, rest string) bool {
	for rest != "" {
		var word string
		word, rest, _ = strings.Cut(rest, " ")
		after := strings.TrimLeft(text, " -\t\r\n")
		if len(after) == len(text) || len(after) < len(word) || !strings.EqualFold(after[:len(word)], word) {
			return false
		}
		text = after[len(word):]
	}
	r, _ := utf8.DecodeRuneInString(text)
	return !unicode.IsLetter(r)
}
