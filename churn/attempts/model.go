package attempts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/aftershock/aftershock/churn"
)

// modelFile is the model file. Words are in lower case without accents and apostrophes ("cant"); # is any number,
// % a percent sign.
//
// A pattern is a row of words that must follow one another in one sentence: cut|lower is either word, {price} any word of
// the group, ..3 skips up to three words. Hyphens separate words in a ticket, so "add-on" is written "add on".
type modelFile struct {
	Version        string              `json:"version"`
	Comment        string              `json:"comment"`
	QuoteBytes     int                 `json:"quote_bytes"`     // longest quote
	NegationWindow int                 `json:"negation_window"` // words before a phrase in which a negation takes it back
	TagWeight      float64             `json:"tag_weight"`
	CategoryWeight float64             `json:"category_weight"`
	Words          map[string][]string `json:"words"` // groups
	Classes        []classFile         `json:"classes"`
	Phrases        []phraseFile        `json:"phrases"`
	Negations      struct {
		Breaks []string `json:"breaks"` // words that start a clause, as a comma does
		Before []string `json:"before"` // deny what follows, within the window and the clause
		Not    []string `json:"not"`    // look like one of Before and deny nothing
		After  []string `json:"after"`  // deny what precedes
	} `json:"negations"`
	Exclusions   []exclusionFile `json:"exclusions"`
	Attributions []string        `json:"attributions"` // what leads the vendor's words quoted back
}

type classFile struct {
	Class        string         `json:"class"`
	Strength     churn.Strength `json:"strength"`
	Confirmatory bool           `json:"confirmatory"`
	VoidWhere    string         `json:"void_where"` // outage_related or vendor_error: then the ticket is no attempt of this class
	Tags         []string       `json:"tags"`
	Categories   []string       `json:"categories"`
}

type phraseFile struct {
	ID       string   `json:"id"`
	Class    string   `json:"class"`
	Weight   float64  `json:"weight"`
	Patterns []string `json:"patterns"`
	Context  []string `json:"context"`  // words or groups of which this sentence or the one before must hold one
	Except   []string `json:"except"`   // patterns in the same sentence that void the phrase
	Negation string   `json:"negation"` // "ignore" where the phrase is itself a denial
}

type exclusionFile struct {
	ID       string   `json:"id"`
	Patterns []string `json:"patterns"`
	Classes  []string `json:"classes"` // none: all classes
}

const (
	voidOutage      = "outage_related"
	voidVendorError = "vendor_error"
)

// knownClasses are the classes that a model may give, strongest first.
var knownClasses = []string{
	ClassPriceReduction, ClassTermsChange, ClassEarlyTermination, ClassDowngrade, ClassSLACredit,
	ClassInvoiceDispute, ClassScopeDemand, ClassCompetitorBenchmark, ClassContractQuestion, ClassReferenceRefused,
}

// model is a model file, compiled.
type model struct {
	version        string
	quoteBytes     int
	negationWindow int
	classes        []class
	rules          []rule // phrases first, then tags and categories
	patterns       []pattern
	anchors        slotSet   // slots at which a pattern is looked up
	anchored       [][]int32 // by slot: the patterns looked up there
	slotsOf        []slotSet // by word: the slots that it can take
	table          []wordEntry
	tableMask      uint64
	number         uint16 // the word #
	percent        uint16 // the word %
	tags           map[uint64]labelRule
	categories     map[uint64]labelRule

	breakWords                           uint16 // the slot of words that start a clause
	negateBefore, negateNot, negateAfter []pattern
	attributions                         []pattern
	exclusions                           []exclusion
}

type class struct {
	name         string
	strength     churn.Strength
	confirmatory bool
	void         string
}

type rule struct {
	id           string
	class        int
	weight       float64
	negatable    bool
	needsContext bool
	context      uint16
	except       []pattern
}

type pattern struct {
	rule  int32
	slots []slot
}

// slot is one place of a pattern: the set of words that may stand there, at most gap words after the place before.
type slot struct {
	set uint16
	gap uint8
}

type exclusion struct {
	classes  uint32
	patterns []pattern
}

type labelRule struct {
	id     string
	class  int
	rule   int
	weight float64
}

type wordEntry struct {
	hash uint64
	word uint16
}

// lookup returns the model's number of a word, 0 where the model does not know it.
func (m *model) lookup(h uint64) uint16 {
	for i := (h ^ h>>29) & m.tableMask; ; i = (i + 1) & m.tableMask {
		e := &m.table[i]
		if e.hash == h || e.word == 0 {
			return e.word
		}
	}
}

// Load compiles a model file. It is strict: unknown keys, unknown classes, words that no text can hold, weights
// outside 0..1 and patterns that do not parse are errors, all reported at once.
func Load(model []byte) (*Classifier, error) {
	var f modelFile
	d := json.NewDecoder(bytes.NewReader(model))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("reading classifier model: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading classifier model: text after the model's closing brace")
	}
	c := newCompiler(&f)
	m := c.compile()
	if len(c.errs) > 0 {
		return nil, fmt.Errorf("classifier model %q: %w", f.Version, errors.Join(c.errs...))
	}
	return &Classifier{m: m}, nil
}
