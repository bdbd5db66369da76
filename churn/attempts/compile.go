package attempts

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aftershock/aftershock/churn"
)

type compiler struct {
	file  *modelFile
	m     *model
	words map[string]uint16
	sets  map[string]uint16 // slot sets by their sorted words
	errs  []error
}

func newCompiler(f *modelFile) *compiler {
	c := &compiler{file: f, words: map[string]uint16{}, sets: map[string]uint16{}}
	c.m = &model{
		version: f.Version, quoteBytes: f.QuoteBytes, negationWindow: f.NegationWindow,
		slotsOf: make([]slotSet, 1), // word 0 is every word that the model does not know
		tags:    map[uint64]labelRule{}, categories: map[uint64]labelRule{},
	}
	return c
}

func (c *compiler) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (c *compiler) compile() *model {
	f, m := c.file, c.m
	if f.Version == "" {
		c.fail("version is missing")
	}
	if f.QuoteBytes < 40 || f.QuoteBytes > 4096 {
		c.fail("quote_bytes is %d, want 40..4096", f.QuoteBytes)
	}
	if f.NegationWindow < 1 || f.NegationWindow > 20 {
		c.fail("negation_window is %d, want 1..20 words", f.NegationWindow)
	}
	c.number()
	groups := make([]string, 0, len(f.Words))
	for g := range f.Words {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	for _, g := range groups {
		if len(f.Words[g]) == 0 {
			c.fail("words.%s is empty", g)
		}
		for _, w := range f.Words[g] {
			c.word("words."+g, w)
		}
	}
	classes := c.classes()
	c.phrases(classes)
	m.breakWords, _ = c.set("negations.breaks", strings.Join(f.Negations.Breaks, "|"))
	m.negateBefore = c.patterns("negations.before", f.Negations.Before)
	m.negateNot = c.patterns("negations.not", f.Negations.Not)
	m.negateAfter = c.patterns("negations.after", f.Negations.After)
	m.attributions = c.patterns("attributions", f.Attributions)
	for i, x := range f.Exclusions {
		where := fmt.Sprintf("exclusions[%d] %s", i, x.ID)
		e := exclusion{patterns: c.patterns(where, x.Patterns)}
		for _, name := range x.Classes {
			if k, ok := classes[name]; ok {
				e.classes |= 1 << k
			} else {
				c.fail("%s: class %q is not in this model", where, name)
			}
		}
		if len(x.Classes) == 0 {
			e.classes = 1<<len(m.classes) - 1
		}
		m.exclusions = append(m.exclusions, e)
	}
	c.anchor()
	c.table()
	return m
}

func (c *compiler) number() {
	c.m.number = c.add("#")
	c.m.percent = c.add("%")
}

func (c *compiler) classes() map[string]int {
	byName := map[string]int{}
	for i, k := range c.file.Classes {
		where := fmt.Sprintf("classes[%d] %s", i, k.Class)
		if !slices.Contains(knownClasses, k.Class) {
			c.fail("%s: not a known class", where)
		}
		if _, ok := byName[k.Class]; ok {
			c.fail("%s: given twice", where)
		}
		if k.Strength != churn.Strong && k.Strength != churn.Medium && k.Strength != churn.Weak {
			c.fail("%s: strength %q, want strong, medium or weak", where, k.Strength)
		}
		if k.VoidWhere != "" && k.VoidWhere != voidOutage && k.VoidWhere != voidVendorError {
			c.fail("%s: void_where %q, want %s or %s", where, k.VoidWhere, voidOutage, voidVendorError)
		}
		byName[k.Class] = i
		c.m.classes = append(c.m.classes, class{k.Class, k.Strength, k.Confirmatory, k.VoidWhere})
	}
	if len(c.m.classes) == 0 {
		c.fail("classes is empty")
	}
	return byName
}

func (c *compiler) phrases(classes map[string]int) {
	m := c.m
	ids := map[string]bool{}
	for i, p := range c.file.Phrases {
		where := fmt.Sprintf("phrases[%d] %s", i, p.ID)
		k, ok := classes[p.Class]
		if !ok {
			c.fail("%s: class %q is not in this model", where, p.Class)
		}
		if p.ID == "" || ids[p.ID] {
			c.fail("%s: id is missing or given twice", where)
		}
		ids[p.ID] = true
		c.weight(where+": weight", p.Weight)
		if len(p.Patterns) == 0 {
			c.fail("%s: no patterns", where)
		}
		if p.Negation != "" && p.Negation != "ignore" {
			c.fail("%s: negation %q, want nothing or ignore", where, p.Negation)
		}
		r := rule{id: p.ID, class: k, weight: p.Weight, negatable: p.Negation != "ignore", except: c.patterns(where+".except", p.Except)}
		if len(p.Context) > 0 {
			r.needsContext = true
			r.context, _ = c.set(where+".context", strings.Join(p.Context, "|"))
		}
		for _, compiled := range c.patterns(where, p.Patterns) {
			compiled.rule = int32(len(m.rules))
			m.patterns = append(m.patterns, compiled)
		}
		m.rules = append(m.rules, r)
	}
	c.weight("tag_weight", c.file.TagWeight)
	c.weight("category_weight", c.file.CategoryWeight)
	for k, x := range c.file.Classes {
		c.labels(m.tags, "tag:", x.Tags, k, c.file.TagWeight)
		c.labels(m.categories, "category:", x.Categories, k, c.file.CategoryWeight)
	}
	if len(m.rules) > ruleWords*64 {
		c.fail("%d phrases, tags and categories, at most %d", len(m.rules), ruleWords*64)
	}
}

func (c *compiler) weight(where string, w float64) {
	if !(w > 0 && w <= 1) {
		c.fail("%s is %v, want above 0 and at most 1", where, w)
	}
}

func (c *compiler) labels(into map[uint64]labelRule, prefix string, labels []string, class int, weight float64) {
	for _, l := range labels {
		h := labelHash(l)
		if _, ok := into[h]; ok || h == hashSeed {
			c.fail("classes[%d]: %s%s is empty or given twice", class, prefix, l)
		}
		into[h] = labelRule{id: prefix + l, class: class, rule: len(c.m.rules), weight: weight}
		c.m.rules = append(c.m.rules, rule{id: prefix + l, class: class})
	}
}

func (c *compiler) patterns(where string, texts []string) (out []pattern) {
	for _, text := range texts {
		p, ok := c.pattern(fmt.Sprintf("%s: pattern %q", where, text), text)
		if ok {
			out = append(out, p)
		}
	}
	return out
}

func (c *compiler) pattern(where, text string) (p pattern, ok bool) {
	gap, failed := 0, len(c.errs)
	for _, field := range strings.Fields(text) {
		if n, isGap := strings.CutPrefix(field, ".."); isGap {
			g, err := strconv.Atoi(n)
			if err != nil || g < 1 || g > maxGap || len(p.slots) == 0 {
				c.fail("%s: gap %q, want ..1 to ..%d between words", where, field, maxGap)
			}
			gap = g
			continue
		}
		set, good := c.set(where, field)
		if good {
			p.slots = append(p.slots, slot{set, uint8(gap)})
		}
		gap = 0
	}
	if len(p.slots) == 0 || len(p.slots) > maxSlots || gap != 0 {
		c.fail("%s: want 1 to %d words and no gap at the end", where, maxSlots)
	}
	return p, len(c.errs) == failed
}

// set returns the slot for cut|{lower}: one for each distinct set of words, however it is written.
func (c *compiler) set(where, alternatives string) (uint16, bool) {
	var members []string
	for _, a := range strings.Split(alternatives, "|") {
		if g, ok := strings.CutPrefix(a, "{"); ok {
			words := c.file.Words[strings.TrimSuffix(g, "}")]
			if len(words) == 0 || !strings.HasSuffix(a, "}") {
				c.fail("%s: no word group %s", where, a)
				return 0, false
			}
			members = append(members, words...)
		} else if !c.word(where, a) {
			return 0, false
		} else {
			members = append(members, a)
		}
	}
	slices.Sort(members)
	members = slices.Compact(members)
	key := strings.Join(members, "|")
	if id, ok := c.sets[key]; ok {
		return id, true
	}
	id := uint16(len(c.sets))
	if int(id) == slotWords*64 {
		c.fail("%s: more than %d distinct sets of words", where, slotWords*64)
		return 0, false
	}
	if int(id) > slotWords*64 {
		return 0, false
	}
	c.sets[key] = id
	for _, w := range members {
		if n, ok := c.words[w]; ok {
			c.m.slotsOf[n].add(id)
		}
	}
	return id, true
}

// word registers a word, which must be what the normaliser makes of itself: any other is never found in a text.
func (c *compiler) word(where, w string) bool {
	if _, ok := c.words[w]; ok {
		return true
	}
	for i := range len(w) {
		if lower[w[i]] != w[i] || w[0] <= '9' {
			c.fail("%s: word %q, want lower-case letters and digits, a letter first", where, w)
			return false
		}
	}
	if w == "" {
		c.fail("%s: empty word", where)
		return false
	}
	c.add(w)
	return true
}

func (c *compiler) add(w string) uint16 {
	id := uint16(len(c.m.slotsOf))
	if len(c.m.slotsOf) > 1<<15 {
		c.fail("word %q: more than %d words", w, 1<<15)
		return 0
	}
	c.words[w] = id
	c.m.slotsOf = append(c.m.slotsOf, slotSet{})
	return id
}

// anchor picks for every pattern the slot at which it is looked up: the one that the fewest patterns use, so that "we"
// wakes none. The result does not depend on the order of phrases in the file.
func (c *compiler) anchor() {
	uses := make([]int, slotWords*64)
	for _, p := range c.m.patterns {
		for _, x := range p.slots {
			uses[x.set]++
		}
	}
	c.m.anchored = make([][]int32, slotWords*64)
	for i, p := range c.m.patterns {
		rarest := p.slots[0].set
		for _, x := range p.slots[1:] {
			if uses[x.set] < uses[rarest] {
				rarest = x.set
			}
		}
		c.m.anchors.add(rarest)
		c.m.anchored[rarest] = append(c.m.anchored[rarest], int32(i))
	}
}

func (c *compiler) table() {
	size := 64
	for size < 4*len(c.words) {
		size *= 2
	}
	c.m.table, c.m.tableMask = make([]wordEntry, size), uint64(size-1)
	for w, id := range c.words {
		if w == "#" || w == "%" {
			continue
		}
		h := wordHash(w)
		i := (h ^ h>>29) & c.m.tableMask
		for ; c.m.table[i].word != 0; i = (i + 1) & c.m.tableMask {
			if c.m.table[i].hash == h {
				c.fail("word %q has the hash of another word", w)
			}
		}
		c.m.table[i] = wordEntry{h, id}
	}
}

func wordHash(w string) uint64 {
	h := uint64(hashSeed)
	for i := range len(w) {
		h = (h ^ uint64(w[i])) * hashPrime
	}
	return h
}

// labelHash hashes a tag or category so that "Price-Reduction", "price reduction" and "price_reduction" are the same.
func labelHash(text string) uint64 {
	h, apart := uint64(hashSeed), false
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch f := foldRune(r); f {
		case foldSkip, foldApostrophe:
		case foldApart:
			apart = h != hashSeed
		default:
			if apart {
				h, apart = (h^'_')*hashPrime, false
			}
			h = hashRune(h, f)
		}
	}
	return h
}
