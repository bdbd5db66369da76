package attempts

import (
	"math/bits"
	"time"
)

const (
	sentenceTokens = 64  // positions fit one uint64; a longer sentence is read in overlapping windows
	sentenceCarry  = 16  // tokens that the next window repeats, so that no short match is lost at a cut
	slotWords      = 16  // uint64 words in a set of slots: the model may have 1024 distinct word sets
	ruleWords      = 8   // the model may have 512 rules
	maxClasses     = 16  // classes of a model
	maxSlots       = 8   // words of one pattern
	maxGap         = 12  // words that a pattern may skip at one place
	maxLabelBytes  = 256 // a longer tag or category is not looked up
)

type slotSet [slotWords]uint64

func (x *slotSet) has(i uint16) bool { return x[i>>6]&(1<<(i&63)) != 0 }
func (x *slotSet) add(i uint16)      { x[i>>6] |= 1 << (i & 63) }

type ruleSet [ruleWords]uint64

func (x *ruleSet) has(i int) bool { return x[i>>6]&(1<<(i&63)) != 0 }
func (x *ruleSet) add(i int)      { x[i>>6] |= 1 << (i & 63) }

// reading is the state of one Classify. It lives on the stack; only findings leave it.
type reading struct {
	m     *model
	found uint32
	void  uint32 // classes that a flag of the ticket explains away
	best  [maxClasses]sighting
	doubt [maxClasses]float64
	rules ruleSet

	text   string
	at     time.Time
	here   ruleSet // rules already found in this text: a second match adds nothing
	start  int     // where the sentence's quote starts in text
	n      int
	words  [sentenceTokens]uint16 // 0: a word that the model does not know
	from   [sentenceTokens]int32
	to     [sentenceTokens]int32
	breaks uint64 // positions before which a clause starts
	seen   slotSet
	before slotSet // what the previous sentence held

	carryContext bool
	steps        int // work done, for the test that cost is linear
}

// push adds a word to the sentence.
func (s *reading) push(word uint16, from, to int) {
	if s.n == sentenceTokens {
		s.window()
	}
	s.words[s.n], s.from[s.n], s.to[s.n] = word, int32(from), int32(to)
	s.n++
	if word != 0 {
		w := &s.m.slotsOf[word]
		for i := range s.seen {
			s.seen[i] |= w[i]
		}
	}
}

// window judges a full buffer and starts the next one with its last words.
func (s *reading) window() {
	s.judge(int(s.to[s.n-1]))
	const keep = sentenceTokens - sentenceCarry
	copy(s.words[:], s.words[keep:])
	copy(s.from[:], s.from[keep:])
	copy(s.to[:], s.to[keep:])
	s.breaks >>= keep
	s.n = sentenceCarry
	s.start = int(s.from[0])
	s.seen = slotSet{}
	for _, w := range s.words[:s.n] {
		for i := range s.seen {
			s.seen[i] |= s.m.slotsOf[w][i]
		}
	}
}

// clause notes that the next word starts a clause: no negation reaches across.
func (s *reading) clause() {
	if s.n < sentenceTokens {
		s.breaks |= 1 << s.n
	}
}

// sentence ends the sentence at offset end; the next one starts at next.
func (s *reading) sentence(end, next int) {
	if s.n > 0 {
		s.judge(end)
		s.before = s.seen
		s.seen = slotSet{}
		s.n, s.breaks = 0, 0
	}
	s.start = next
}

// judge matches the model against the sentence, which ends at offset end.
func (s *reading) judge(end int) {
	m := s.m
	var excluded, negating bool
	var shut uint32
	var neg negations
	for i := range s.seen {
		for w := s.seen[i] & m.anchors[i]; w != 0; w &= w - 1 {
			slot := i<<6 | bits.TrailingZeros64(w)
			for _, pi := range m.anchored[slot] {
				s.steps++
				p := &m.patterns[pi]
				r := &m.rules[p.rule]
				if s.here.has(int(p.rule)) || s.void&(1<<r.class) != 0 || !s.holds(p) || !s.inContext(r) {
					continue
				}
				var found matches
				s.match(p, &found)
				if found.n == 0 {
					continue
				}
				if !excluded {
					shut, excluded = s.exclusions(), true
				}
				if shut&(1<<r.class) != 0 || s.anyMatch(r.except) {
					continue
				}
				if !negating {
					neg, negating = s.negations(), true
				}
				for _, f := range found.span[:found.n] {
					if r.negatable && neg.reach(f, m.negationWindow) {
						continue
					}
					s.here.add(int(p.rule))
					q := trimQuote(s.text, s.start, end, int(s.from[f.first]), m.quoteBytes)
					s.sight(r.class, int(p.rule), sighting{at: s.at, weight: r.weight, rule: r.id, quote: q})
					break
				}
			}
		}
	}
}

// holds reports whether the sentence holds a word for every slot of p, in whatever order.
func (s *reading) holds(p *pattern) bool {
	for _, x := range p.slots {
		if !s.seen.has(x.set) {
			return false
		}
	}
	return true
}

// inContext reports whether this sentence or the one before it holds the context that r requires.
func (s *reading) inContext(r *rule) bool {
	return !r.needsContext || s.seen.has(r.context) || s.before.has(r.context)
}

// span is where a pattern matched: its first and last position, and the positions that its slots took.
type span struct {
	first, last int
	taken       uint64
}

type matches struct {
	n    int
	span [8]span
}

// match finds where p matches, in one pass over the words: for each slot it keeps the latest place where the pattern up
// to there matched, which is the best one under gaps that are bounded from above.
func (s *reading) match(p *pattern, out *matches) {
	var state [maxSlots]span
	k := len(p.slots) - 1
	for i := range state[:k+1] {
		state[i].last = -1
	}
	for i := 0; i < s.n; i++ {
		word := s.words[i]
		if word == 0 {
			continue
		}
		w := &s.m.slotsOf[word]
		for j := k; j >= 0; j-- {
			s.steps++
			x := p.slots[j]
			if !w.has(x.set) {
				continue
			}
			if j == 0 {
				state[0] = span{first: i, last: i, taken: 1 << i}
			} else if b := &state[j-1]; b.last >= 0 && i-b.last-1 <= int(x.gap) && b.last < i {
				state[j] = span{first: b.first, last: i, taken: b.taken | 1<<i}
			} else {
				continue
			}
			if j == k && out.n < len(out.span) {
				out.span[out.n] = state[k]
				out.n++
			}
		}
	}
}

func (s *reading) anyMatch(patterns []pattern) bool {
	for i := range patterns {
		var found matches
		if s.holds(&patterns[i]) {
			if s.match(&patterns[i], &found); found.n > 0 {
				return true
			}
		}
	}
	return false
}

// exclusions returns the classes that this sentence cannot carry, whatever it says.
func (s *reading) exclusions() (shut uint32) {
	for i := range s.m.exclusions {
		if x := &s.m.exclusions[i]; shut&x.classes != x.classes && s.anyMatch(x.patterns) {
			shut |= x.classes
		}
	}
	return shut
}

// negations are the positions of words that deny: before takes back what follows, after what precedes.
// breaks are the positions before which a clause starts.
type negations struct{ before, after, breaks uint64 }

func (s *reading) negations() (n negations) {
	collect := func(patterns []pattern) (all uint64) {
		for i := range patterns {
			var found matches
			if !s.holds(&patterns[i]) {
				continue
			}
			s.match(&patterns[i], &found)
			for _, f := range found.span[:found.n] {
				all |= f.taken
			}
		}
		return all
	}
	n.before = collect(s.m.negateBefore)
	if n.before != 0 {
		n.before &^= collect(s.m.negateNot)
	}
	n.after = collect(s.m.negateAfter)
	n.breaks = s.breaks
	for i, word := range s.words[:s.n] {
		if s.m.slotsOf[word].has(s.m.breakWords) {
			n.breaks |= 1 << i
		}
	}
	return n
}

// reach reports whether a match is denied: by a word before it in its clause, within the window; by one between its own
// words that is not part of the phrase; or by one right after it.
func (n negations) reach(f span, window int) bool {
	lo := max(0, f.first-window)
	if b := n.breaks & (1<<(f.first+1) - 1); b != 0 {
		lo = max(lo, 63-bits.LeadingZeros64(b))
	}
	upto := func(i int) uint64 { return 1<<i - 1 } // positions below i; all of them for 64
	if n.before&(upto(f.first)&^upto(lo)) != 0 {
		return true
	}
	if n.before&(upto(f.last)&^upto(f.first))&^f.taken != 0 {
		return true
	}
	hi := min(sentenceTokens, f.last+1+window/2)
	if b := n.breaks &^ upto(f.last+1); b != 0 {
		hi = min(hi, bits.TrailingZeros64(b))
	}
	return n.after&(upto(hi)&^upto(f.last+1))&^f.taken != 0
}
