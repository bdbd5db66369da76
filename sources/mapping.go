package sources

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

// Kind is what a mapping makes: deals or tickets.
type Kind string

const (
	Deals   Kind = "deals"
	Tickets Kind = "tickets"
)

// maxOutputs bounds what one row may become, so that a mapping that never ends is found out.
const maxOutputs = 1000

// Mapping is a compiled jq program that turns one row of an export into events or a refusal. It is not safe for
// concurrent use.
type Mapping struct {
	path   string
	kind   Kind // empty where the mapping does not say
	wants  map[string]string
	tables *tables
	knows  []string // its variables
	code   *gojq.Code
}

// MappingError says where a mapping is wrong and what to try.
type MappingError struct {
	File         string
	Line, Column int // 1-based; 0 where the fault has no place
	Reason       string
	Hint         string // empty where there is none
}

func (e *MappingError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": " + e.Reason)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// forbidden shadows what would make two imports of one file differ.
var forbidden = func() []*gojq.FuncDef {
	q, err := gojq.Parse(`
		def now: error("now is not for mappings: importing a file twice must give the same events");
		def localtime: error("localtime is not for mappings: it depends on the machine; use gmtime");
		def strflocaltime($f): error("strflocaltime is not for mappings: it depends on the machine; use strftime");
		def env: error("mappings cannot read the environment");
		.`)
	if err != nil {
		panic("sources: " + err.Error())
	}
	return q.FuncDefs
}()

// LoadMapping reads and compiles a mapping. The error is a *MappingError where the program is at fault.
//
// A mapping may begin with `module {aftershock: "deals", tables: {accounts: "accounts.csv"}};` to say what it makes and
// which side tables it needs, by the names of the files that lie beside the export. It may include modules from its
// own folder and the one above.
func LoadMapping(path string) (*Mapping, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading mapping: %w", err)
	}
	m := &Mapping{path: path, wants: map[string]string{}, tables: &tables{byName: map[string]*table{}}, knows: []string{"$row", "$file", "$tables"}}
	if err := m.compile(string(text)); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Mapping) compile(text string) error {
	if !utf8.ValidString(text) {
		return &MappingError{File: m.path, Reason: "is not UTF-8 text"}
	}
	q, err := gojq.Parse(text)
	if err != nil {
		return m.parseError(text, err)
	}
	if err := m.declare(q); err != nil {
		return err
	}
	q.FuncDefs = append(append([]*gojq.FuncDef{}, forbidden...), q.FuncDefs...)
	folder := filepath.Dir(m.path)
	options := append(functions(m.tables),
		gojq.WithVariables(m.knows),
		gojq.WithModuleLoader(gojq.NewModuleLoader([]string{folder, filepath.Dir(folder)})))
	if m.code, err = gojq.Compile(q, options...); err != nil {
		return m.compileError(text, err)
	}
	return nil
}

// declare reads the module directive at the head of a mapping.
func (m *Mapping) declare(q *gojq.Query) error {
	if q.Meta == nil {
		return nil
	}
	wrong := func(format string, args ...any) error {
		return &MappingError{File: m.path, Line: 1, Column: 1, Reason: "module: " + fmt.Sprintf(format, args...),
			Hint: `for example: module {aftershock: "deals", tables: {accounts: "accounts.csv"}};`}
	}
	meta := q.Meta.ToValue()
	for key, v := range meta {
		switch key {
		case "aftershock":
			if m.kind = Kind(fmt.Sprint(v)); m.kind != Deals && m.kind != Tickets {
				return wrong("aftershock is %v, must be deals or tickets", v)
			}
		case "tables":
			files, ok := v.(map[string]any)
			if !ok {
				return wrong("tables must be an object of names and file names")
			}
			for name, file := range files {
				base, ok := file.(string)
				if !ok || base != filepath.Base(base) {
					return wrong("table %s: must be the name of a file beside the export", name)
				}
				m.wants[name] = base
			}
		default:
			return wrong("unknown key %s", key)
		}
	}
	return nil
}

// Kind returns what the mapping says that it makes; empty where it does not say.
func (m *Mapping) Kind() Kind { return m.kind }

// Path returns the file that the mapping was read from.
func (m *Mapping) Path() string { return m.path }

// LoadTables loads the side tables: those given by name, and those that the mapping declares from beside the export.
// All faults are reported at once.
func (m *Mapping) LoadTables(given map[string]string, export string) error {
	files := map[string]string{}
	for name, base := range m.wants {
		files[name] = filepath.Join(filepath.Dir(export), base)
	}
	for name, path := range given {
		files[name] = path
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	var faults []error
	for _, name := range names {
		t, err := loadTable(files[name])
		if err != nil {
			if _, explicit := given[name]; !explicit && errors.Is(err, os.ErrNotExist) {
				err = fmt.Errorf("%s is not there: say where it is with --with %s=FILE.csv", files[name], name)
			}
			faults = append(faults, fmt.Errorf("loading table %s for mapping %s: %w", name, m.path, err))
			continue
		}
		m.tables.byName[name] = t
	}
	return errors.Join(faults...)
}

// run gives one row to the mapping and returns what it emitted.
func (m *Mapping) run(ctx context.Context, row any, line int, file string) ([]any, error) {
	iter := m.code.RunWithContext(ctx, row, line, file, m.tables.value())
	var out []any
	for {
		v, ok := iter.Next()
		if !ok {
			return out, nil
		}
		if err, isErr := v.(error); isErr {
			var halt *gojq.HaltError
			if errors.As(err, &halt) && halt.Value() == nil {
				return nil, errors.New("halt is not for mappings: emit nothing, or {refuse: \"reason\"}")
			}
			return nil, err
		}
		if items, isList := v.([]any); isList {
			out = append(out, items...)
		} else {
			out = append(out, v)
		}
		if len(out) > maxOutputs {
			return nil, fmt.Errorf("the mapping made more than %d events of one row", maxOutputs)
		}
	}
}

func (m *Mapping) parseError(text string, err error) error {
	e := &MappingError{File: m.path, Reason: err.Error()}
	var parse *gojq.ParseError
	if !errors.As(err, &parse) {
		return e
	}
	// Offset is after the token that surprised the parser.
	e.Line, e.Column = place(text, max(0, parse.Offset-len(parse.Token)))
	switch before := strings.TrimRight(text[:max(0, min(len(text), parse.Offset-len(parse.Token)))], " \t\r\n"); {
	case parse.Token == "":
		e.Hint = "something is not closed: a bracket, an if without end, or a string"
	case strings.HasSuffix(before, ","):
		e.Hint = "the comma before it leads nowhere"
	case parse.Token == "}" || parse.Token == "]" || parse.Token == ")" || parse.Token == "end":
		e.Hint = "a value is missing before it, or it closes something that was not opened"
	case strings.HasPrefix(parse.Token, "'"):
		e.Hint = "jq's strings stand in double quotes"
	}
	return e
}

// compileError finds the place of a name that jq does not know: the compiler does not tell it.
func (m *Mapping) compileError(text string, err error) error {
	e := &MappingError{File: m.path, Reason: err.Error()}
	if _, name, found := strings.Cut(e.Reason, "not defined: "); found {
		bare, _, _ := strings.Cut(name, "/")
		if i := findWord(text, bare); i >= 0 {
			e.Line, e.Column = place(text, i)
		}
		switch {
		case strings.HasPrefix(name, "$"):
			e.Hint = "it knows " + strings.Join(m.knows, ", ")
		case strings.Contains(name, "/"):
			e.Hint = "besides jq's own, a mapping has hash01, digest, instant, money and lookup(table; column; value)"
		}
		return e
	}
	var inModule interface {
		QueryParseError() (string, string, error)
	}
	if errors.As(err, &inModule) {
		file, contents, inner := inModule.QueryParseError()
		return (&Mapping{path: file}).parseError(contents, inner)
	}
	return e
}

// findWord returns where a name stands as code: not in a comment, nor as a part of a longer name.
func findWord(text, word string) int {
	isName := func(c byte) bool { return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return -1
		}
		i += at
		at = i + len(word)
		line := text[strings.LastIndexByte(text[:i], '\n')+1 : i]
		if strings.Contains(line, "#") || i > 0 && (isName(text[i-1]) || text[i-1] == '.') || at < len(text) && isName(text[at]) {
			continue
		}
		return i
	}
}

func place(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	return 1 + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

// tables are the side tables of one mapping.
type tables struct {
	byName map[string]*table
	once   sync.Once
	all    map[string]any
}

// value is $tables: name -> list of rows.
func (t *tables) value() map[string]any {
	t.once.Do(func() {
		t.all = map[string]any{}
		for name, tab := range t.byName {
			t.all[name] = tab.rows
		}
	})
	return t.all
}
