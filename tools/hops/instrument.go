package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed trace/trace.go
var recorder []byte

const (
	recorderPath     = "tools/hops/trace" // where the build finds it, whether the checkout has it or not
	program          = "./cmd/aftershock"
	recorderVariable = "HOPS_TRACE"
)

// function is one function of ours, a literal that stands in one, or a send that does.
type function struct {
	File        string // within the module
	Name        string // with its receiver's type; a literal has the name of the function that it stands in
	Literal     bool
	Send        bool     // no function, but a place in it where something goes into a channel
	first, last int      // lines
	Owner       []string // names of the types that its receiver is made of
	Takes       []string // ... its parameters and, of a literal, what it takes along from the function around it
	Gives       []string // ... its results
}

func (f *function) String() string { return f.File + ": " + f.Name }

// sources are the functions of the program, in the order of their numbers in the trace.
type sources struct {
	root      string
	functions []*function
	declared  map[string][]*function // by file, without literals
	files     *token.FileSet
	replaced  map[string]string // what is laid over the checkout
	dir       string            // where that lies
}

// at is the function that a line belongs to, nil where it is none of ours.
func (s *sources) at(path string, line int) *function {
	name, _ := strings.CutPrefix(path, s.root+"/")
	for _, f := range s.declared[name] {
		if f.first <= line && line <= f.last {
			return f
		}
	}
	return nil
}

// instrument builds the program with a call of the recorder at the start of every function of ours. The checkout stays as it
// is: what is changed lies in dir and is laid over it.
func instrument(ctx context.Context, repo, dir string) (*sources, string, error) {
	packages, err := list(ctx, repo, "-deps", program)
	if err != nil {
		return nil, "", err
	}
	ours := slices.DeleteFunc(packages, func(p goPackage) bool { return p.Module == nil || !p.Module.Main })
	s := &sources{root: ours[0].Module.Dir, declared: map[string][]*function{}, files: token.NewFileSet(), replaced: map[string]string{}, dir: dir}
	if err := s.lay(filepath.Join(s.root, recorderPath, "trace.go"), recorder); err != nil {
		return nil, "", err
	}
	known := map[string]*types.Package{"unsafe": types.Unsafe}
	outside, err := s.outside(ctx, ours)
	if err != nil {
		return nil, "", err
	}
	config := types.Config{Importer: imports(func(path string) (*types.Package, error) {
		if p := known[path]; p != nil {
			return p, nil
		}
		return outside.Import(path)
	})}
	for _, p := range ours { // each stands behind those that it imports
		if known[p.ImportPath], err = s.instrument(p, &config); err != nil {
			return nil, "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": s.replaced})
	if err != nil {
		return nil, "", err
	}
	laid, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "aftershock")
	if err := os.WriteFile(laid, overlay, 0o600); err != nil {
		return nil, "", err
	}
	_, err = output(ctx, s.root, "go", "build", "-overlay", laid, "-o", binary, program)
	return s, binary, err
}

// lay puts a text in the place of a file for the build.
func (s *sources) lay(path string, text []byte) error {
	laid := filepath.Join(s.dir, fmt.Sprintf("%d_%s", len(s.replaced), filepath.Base(path)))
	s.replaced[path] = laid
	return os.WriteFile(laid, text, 0o600)
}

// outside imports the packages that are not ours from what the compiler made of them.
func (s *sources) outside(ctx context.Context, ours []goPackage) (types.Importer, error) {
	arguments := []string{"-deps", "-export"}
	for _, p := range ours {
		for _, path := range p.Imports {
			if !slices.ContainsFunc(ours, func(p goPackage) bool { return p.ImportPath == path }) {
				arguments = append(arguments, path)
			}
		}
	}
	others, err := list(ctx, s.root, arguments...)
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for _, p := range others {
		exports[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(s.files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }), nil
}

type imports func(path string) (*types.Package, error)

func (i imports) Import(path string) (*types.Package, error) { return i(path) }

// instrument checks the types of one package and lays its files, each with its calls of the recorder.
func (s *sources) instrument(p goPackage, config *types.Config) (*types.Package, error) {
	parsed := make([]*ast.File, len(p.GoFiles))
	for i, name := range p.GoFiles {
		var err error
		if parsed[i], err = parser.ParseFile(s.files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution); err != nil {
			return nil, err
		}
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	checked, err := config.Check(p.ImportPath, s.files, parsed, info)
	if err != nil {
		return nil, err
	}
	for i, file := range parsed {
		path := filepath.Join(p.Dir, p.GoFiles[i])
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		// Lines must stay where they are: what is put in has no end of line.
		put := map[int]string{s.files.Position(file.Name.End()).Offset: fmt.Sprintf("; import hopstrace %q", filepath.Join(p.Module.Path, recorderPath))}
		enter := func(at token.Pos, text string, f *function) {
			put[s.files.Position(at).Offset] = fmt.Sprintf(text, len(s.functions))
			s.functions = append(s.functions, f)
		}
		name, _ := strings.CutPrefix(path, s.root+"/")
		for _, d := range file.Decls {
			// What stands in no function, such as a variable, is one of its own.
			within := &function{File: name, Name: "init"}
			if declared, ok := d.(*ast.FuncDecl); ok {
				within = s.function(name, declared, info)
				if declared.Body != nil {
					enter(declared.Body.Lbrace+1, " hopstrace.Enter(%d); ", within)
				}
			}
			within.first, within.last = s.files.Position(d.Pos()).Line, s.files.Position(d.End()).Line
			s.declared[name] = append(s.declared[name], within)
			sent := func(statement ast.Stmt, at token.Pos, text string) {
				if send, ok := statement.(*ast.SendStmt); ok {
					goes := names(info.Types[send.Chan].Type.Underlying().(*types.Chan).Elem(), nil)
					enter(at, text, &function{File: name, Name: within.Name, Send: true, Takes: goes})
				}
			}
			ast.Inspect(d, func(n ast.Node) bool {
				var body []ast.Stmt
				switch n := n.(type) {
				case *ast.FuncLit:
					f := &function{File: name, Name: within.Name, Literal: true}
					f.Takes, f.Gives = namesIn(info.Types[n].Type.(*types.Signature))
					f.Takes = append(f.Takes, captured(n, info)...)
					enter(n.Body.Lbrace+1, " hopstrace.Enter(%d); ", f)
				case *ast.BlockStmt:
					body = n.List
				case *ast.CaseClause:
					body = n.Body
				case *ast.CommClause:
					sent(n.Comm, n.Colon+1, " hopstrace.Enter(%d); ")
					body = n.Body
				}
				for _, statement := range body {
					sent(statement, statement.End(), "; hopstrace.Enter(%d)")
				}
				return true
			})
		}
		if len(put) == 1 {
			continue // nothing to enter
		}
		if err := s.lay(path, insert(text, put)); err != nil {
			return nil, err
		}
	}
	return checked, nil
}

// function describes what is declared.
func (s *sources) function(file string, d *ast.FuncDecl, info *types.Info) *function {
	f := &function{File: file, Name: d.Name.Name}
	signature := info.Defs[d.Name].Type().(*types.Signature)
	f.Takes, f.Gives = namesIn(signature)
	if r := signature.Recv(); r != nil {
		f.Owner = names(r.Type(), nil)
		f.Name = f.Owner[0] + "." + f.Name
	}
	return f
}

// captured are the types of what a literal takes along from the function around it.
func captured(l *ast.FuncLit, info *types.Info) (all []string) {
	ast.Inspect(l.Body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			v, ok := info.Uses[id].(*types.Var)
			if ok && !v.IsField() && v.Parent() != v.Pkg().Scope() && (v.Pos() < l.Pos() || v.Pos() > l.End()) {
				all = names(v.Type(), all)
			}
		}
		return true
	})
	return all
}

func namesIn(s *types.Signature) (takes, gives []string) {
	return names(s.Params(), nil), names(s.Results(), nil)
}

// names appends the names of the types that a type is made of, through pointers, lists, maps, channels, functions and what a
// generic type is of; not through what a struct holds.
func names(t types.Type, all []string) []string {
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		all = append(all, t.Obj().Name())
		for a := range t.TypeArgs().Types() {
			all = names(a, all)
		}
	case *types.Interface:
		if t.Empty() {
			all = append(all, "any")
		}
	case *types.TypeParam:
		all = append(all, t.Obj().Name())
	case *types.Basic:
		all = append(all, t.Name())
	case *types.Pointer:
		return names(t.Elem(), all)
	case *types.Slice:
		return names(t.Elem(), all)
	case *types.Array:
		return names(t.Elem(), all)
	case *types.Chan:
		return names(t.Elem(), all)
	case *types.Map:
		return names(t.Elem(), names(t.Key(), all))
	case *types.Signature:
		return names(t.Results(), names(t.Params(), append(all, "func")))
	case *types.Tuple:
		for v := range t.Variables() {
			all = names(v.Type(), all)
		}
	}
	return all
}

// insert puts texts in, each at its place.
func insert(text []byte, put map[int]string) []byte {
	var out bytes.Buffer
	for i, b := range text {
		out.WriteString(put[i])
		out.WriteByte(b)
	}
	return out.Bytes()
}

type goPackage struct {
	ImportPath, Dir, Export string
	GoFiles, Imports        []string
	Module                  *struct {
		Path, Dir string
		Main      bool
	}
}

func list(ctx context.Context, dir string, arguments ...string) (all []goPackage, err error) {
	said, err := output(ctx, dir, "go", append([]string{"list", "-json=ImportPath,Dir,Export,GoFiles,Imports,Module"}, arguments...)...)
	if err != nil {
		return nil, err
	}
	for decoder := json.NewDecoder(bytes.NewReader(said)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading what go list says: %w", err)
		}
		all = append(all, p)
	}
}

// output runs a command and returns what it prints.
func output(ctx context.Context, dir, name string, arguments ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, name, arguments...)
	var complaints bytes.Buffer
	c.Dir, c.Stderr = dir, &complaints
	said, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, arguments[0], err, complaints.String())
	}
	return said, nil
}
