package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// shape is what kind of YAML value a node is.
type shape int

const (
	shapeNull shape = iota
	shapeText
	shapeNumber
	shapeBool
	shapeList
	shapeMap
)

func (s shape) String() string {
	return [...]string{"nothing", "text", "a number", "true or false", "a list", "a mapping"}[s]
}

// node is a YAML value with its place, so that every later check can say where the mistake is.
type node struct {
	shape  shape
	text   string // scalars: as written
	items  []*node
	keys   []*node // of a mapping, beside items
	line   int
	column int
	block  bool // a literal block: its first line is the one after this
}

// get returns the value of a mapping's key, or nil.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for i, k := range n.keys {
		if k.text == key {
			return n.items[i]
		}
	}
	return nil
}

// reader reads one file strictly and gathers its problems instead of stopping at the first.
type reader struct {
	file     string
	problems *Problems
}

func (r *reader) fail(n *node, hint, format string, args ...any) {
	p := Problem{File: r.file, Line: 1, Column: 1, Message: fmt.Sprintf(format, args...), Hint: hint}
	if n != nil {
		p.Line, p.Column = n.line, n.column
	}
	*r.problems = append(*r.problems, p)
}

// parse reads one YAML document; nil where it is not YAML, which is then a problem.
func (r *reader) parse(data []byte) *node {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		p := Problem{File: r.file, Line: 1, Column: 1, Message: "not valid YAML: " + strings.SplitN(err.Error(), "\n", 2)[0]}
		var at yaml.Error
		if errors.As(err, &at) {
			p.Message = "not valid YAML: " + at.GetMessage()
			if t := at.GetToken(); t != nil && t.Position != nil {
				p.Line, p.Column = t.Position.Line, t.Position.Column
			}
		}
		*r.problems = append(*r.problems, p)
		return nil
	}
	var root *node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			r.fail(r.node(doc.Body), "put it into a file of its own", "a second YAML document in one file")
			break
		}
		root = r.node(doc.Body)
	}
	if root == nil {
		r.fail(nil, "", "the file is empty")
	}
	return root
}

func (r *reader) node(n ast.Node) *node {
	out := &node{}
	if n == nil {
		return out
	}
	if t := n.GetToken(); t != nil {
		out.place(t)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		out.shape = shapeMap
		for _, v := range n.Values {
			r.pair(out, v)
		}
		if len(out.keys) > 0 {
			out.line, out.column = out.keys[0].line, out.keys[0].column
		}
	case *ast.MappingValueNode:
		out.shape = shapeMap
		r.pair(out, n)
		out.line, out.column = out.keys[0].line, out.keys[0].column
	case *ast.SequenceNode:
		out.shape = shapeList
		for _, v := range n.Values {
			out.items = append(out.items, r.node(v))
		}
	case *ast.LiteralNode:
		out.shape, out.text, out.block = shapeText, n.Value.Value, strings.HasPrefix(n.Start.Value, "|")
	case *ast.StringNode:
		out.shape, out.text = shapeText, n.Value
	case *ast.IntegerNode, *ast.FloatNode:
		out.shape, out.text = shapeNumber, n.GetToken().Value
	case *ast.BoolNode:
		out.shape, out.text = shapeBool, n.GetToken().Value
	case *ast.NullNode:
	default:
		r.fail(out, "write the value out", "anchors, aliases, merge keys and tags are not read (%s)", n.Type())
	}
	return out
}

func (r *reader) pair(out *node, v *ast.MappingValueNode) {
	key := &node{shape: shapeText, text: v.Key.GetToken().Value}
	key.place(v.Key.GetToken())
	value := r.node(v.Value)
	if value.shape == shapeNull { // null has no place of its own where nothing was written
		value.line, value.column = key.line, key.column
	}
	out.keys, out.items = append(out.keys, key), append(out.items, value)
}

func (n *node) place(t *token.Token) {
	if t.Position != nil {
		n.line, n.column = t.Position.Line, t.Position.Column
	}
}

// object checks that n is a mapping of known keys only.
func (r *reader) object(n *node, what string, known ...string) bool {
	if n == nil || n.shape != shapeMap {
		r.fail(n, "known keys: "+strings.Join(known, ", "), "%s must be a mapping of keys to values, not %s", what, shapeOf(n))
		return false
	}
	for _, k := range n.keys {
		if slices.Contains(known, k.text) {
			continue
		}
		hint := "known keys: " + strings.Join(known, ", ")
		if near := nearest(k.text, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		r.fail(k, hint, "unknown key %q in %s", k.text, what)
	}
	return true
}

func shapeOf(n *node) shape {
	if n == nil {
		return shapeNull
	}
	return n.shape
}

// text returns a scalar as written; absent gives "".
func (r *reader) text(n *node, what string) string {
	switch shapeOf(n) {
	case shapeNull:
		return ""
	case shapeList, shapeMap:
		r.fail(n, "", "%s must be text, not %s", what, n.shape)
		return ""
	}
	return n.text
}

// list returns the items of a list; absent gives none.
func (r *reader) list(n *node, what string) []*node {
	switch shapeOf(n) {
	case shapeNull:
		return nil
	case shapeList:
		return n.items
	}
	r.fail(n, "write it as [a, b] or as lines that begin with a dash", "%s must be a list, not %s", what, n.shape)
	return nil
}

// texts returns a list of scalars.
func (r *reader) texts(n *node, what string) []string {
	var out []string
	for _, item := range r.list(n, what) {
		out = append(out, r.text(item, "an entry of "+what))
	}
	return out
}

// pairs returns a mapping of names to texts, with the place of each value.
func (r *reader) pairs(n *node, what string) (map[string]string, map[string]*node) {
	if shapeOf(n) == shapeNull {
		return nil, nil
	}
	if n.shape != shapeMap {
		r.fail(n, "", "%s must be a mapping of names to texts, not %s", what, n.shape)
		return nil, nil
	}
	out, at := map[string]string{}, map[string]*node{}
	for i, k := range n.keys {
		out[k.text], at[k.text] = r.text(n.items[i], what+"."+k.text), n.items[i]
	}
	return out, at
}

// appendJSON writes the value as JSON; numbers keep their digits, since an amount must never pass through a float.
func (n *node) appendJSON(b *bytes.Buffer) {
	switch n.shape {
	case shapeNull:
		b.WriteString("null")
	case shapeBool:
		b.WriteString(strings.ToLower(n.text))
	case shapeNumber:
		if json.Valid([]byte(n.text)) {
			b.WriteString(n.text)
			return
		}
		writeString(b, n.text)
	case shapeText:
		writeString(b, n.text)
	case shapeList:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			item.appendJSON(b)
		}
		b.WriteByte(']')
	case shapeMap:
		b.WriteByte('{')
		for i, k := range n.keys {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, k.text)
			b.WriteByte(':')
			n.items[i].appendJSON(b)
		}
		b.WriteByte('}')
	}
}

func writeString(b *bytes.Buffer, s string) {
	quoted, _ := json.Marshal(s) // a string always has a JSON form
	b.Write(quoted)
}
