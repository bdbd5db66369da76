package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// notProduction are the folders, with all below, of tests, tools and servers for tests.
var notProduction = []string{
	"archtest", "testservers", "tools",
	// where they stood before
	"bench", "chaos", "scripts", "embedded/authority", "embedded/realalertmanager", "embedded/realkafka", "embedded/testservers",
}

// Count is what a checkout comes to.
type Count struct {
	Code      int        `json:"code"`
	All       int        `json:"all"`
	Folders   []Folder   `json:"folders"`
	Functions int        `json:"functions"`
	Over      int        `json:"over"`
	Longest   []Function `json:"longest"` // those of more lines than Over, and the longest anyhow
}

// Folder is one package.
type Folder struct {
	Folder string `json:"folder"`
	Code   int    `json:"code"`
	All    int    `json:"all"`
}

// Function is a function, a method, or a literal that stands in neither, which has no name.
type Function struct {
	File  string `json:"file"`
	Line  int    `json:"line"`
	Name  string `json:"name"`
	Lines int    `json:"lines"`
}

func (f Function) String() string {
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, cmp.Or(f.Name, "(literal)"))
}

func count(repo string, over int) (Count, error) {
	c := Count{Over: over, Folders: []Folder{}, Longest: []Function{}}
	if _, err := os.Stat(filepath.Join(repo, "go.mod")); err != nil {
		return c, fmt.Errorf("looking for a module: %w", err)
	}
	tree := os.DirFS(repo)
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && leftOut(name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		return c.add(name, text)
	})
	if err == nil && len(c.Folders) == 0 {
		err = errors.New("no production code is there")
	}
	slices.SortStableFunc(c.Longest, func(a, b Function) int { return b.Lines - a.Lines })
	for i := len(c.Longest) - 1; i > 0 && c.Longest[i].Lines <= over; i-- {
		c.Longest = c.Longest[:i]
	}
	return c, err
}

func leftOut(folder string) bool {
	base := path.Base(folder)
	return slices.Contains(notProduction, folder) || base == "testdata" || base == "node_modules" ||
		folder != "." && (base[0] == '.' || base[0] == '_')
}

func (c *Count) add(name string, text []byte) error {
	code, err := codeLines(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	functions, err := functionsOf(name, text)
	if err != nil {
		return err
	}
	at, found := slices.BinarySearchFunc(c.Folders, path.Dir(name), func(f Folder, folder string) int { return cmp.Compare(f.Folder, folder) })
	if !found {
		c.Folders = slices.Insert(c.Folders, at, Folder{Folder: path.Dir(name)})
	}
	all := bytes.Count(text, []byte("\n"))
	c.Folders[at].Code += code
	c.Folders[at].All += all
	c.Code += code
	c.All += all
	c.Functions += len(functions)
	c.Longest = append(c.Longest, functions...)
	return nil
}

// codeLines counts the lines that hold a part of a token.
func codeLines(text []byte) (int, error) {
	files := token.NewFileSet()
	file := files.AddFile("", -1, len(text))
	var s scanner.Scanner
	var wrong scanner.ErrorList
	s.Init(file, text, wrong.Add, 0)
	lines, counted := bytes.Split(text, []byte("\n")), map[int]bool{}
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			return len(counted), wrong.Err()
		}
		if tok == token.SEMICOLON && literal == "\n" { // the scanner's own
			continue
		}
		first := file.Line(pos)
		for line := first; line <= first+strings.Count(literal, "\n"); line++ {
			if len(bytes.TrimSpace(lines[line-1])) > 0 {
				counted[line] = true
			}
		}
	}
}

func functionsOf(name string, text []byte) (all []Function, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		f := Function{File: name}
		switch n := n.(type) {
		case *ast.FuncDecl:
			f.Name = n.Name.Name
			if n.Recv != nil {
				f.Name = receiver(n.Recv.List[0].Type) + "." + f.Name
			}
		case *ast.FuncLit:
		default:
			return true
		}
		f.Line = files.Position(n.Pos()).Line
		f.Lines = files.Position(n.End()).Line - f.Line + 1
		all = append(all, f)
		return false
	})
	return all, nil
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}
