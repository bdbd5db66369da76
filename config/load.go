package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Source is where a configuration is read from.
type Source struct {
	Path   string   // a YAML file; empty: none
	Prefix string   // of the variables, such as AFTERSHOCK_
	Others []string // variables with the prefix that are no keys; a trailing * stands for any ending
	// Lists read variables that hold a list of structs; see List.
	Lists map[reflect.Type]func(string) (any, error)
}

const try = "\nTry: aftershock config reference, which lists every key"

// Load reads into what a pointer to a struct of defaults points to.
func Load[T any](into *T, s Source) error {
	if s.Path != "" {
		text, err := os.ReadFile(s.Path)
		if err != nil {
			return fmt.Errorf("reading the configuration: %w", err)
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict(), yaml.CustomUnmarshaler(unmarshalLevel), yaml.CustomUnmarshaler(unmarshalDuration))
		if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading the configuration: %w"+try, placed(s.Path, text, err))
		}
	}
	parsers := map[reflect.Type]env.ParserFunc{}
	for kind, read := range s.Lists {
		parsers[kind] = read
	}
	all := Keys(*into, s.Prefix)
	err := env.ParseWithOptions(into, env.Options{Prefix: s.Prefix, FuncMap: parsers})
	if err != nil {
		err = named(all, err)
	} else {
		err = s.unknown(all, os.Environ())
	}
	if err != nil {
		return fmt.Errorf("reading the configuration from the environment: %w"+try, err)
	}
	return nil
}

// Wrong is the error of a configuration that was read and makes no sense.
func Wrong(err error) error {
	return fmt.Errorf("the configuration is wrong:\n%w"+try, err)
}

// List reads a list as it stands in a file, or as JSON.
func List[E any](text string) (any, error) {
	var list []E
	err := yaml.NewDecoder(strings.NewReader(text), yaml.Strict()).Decode(&list)
	var mistake yaml.Error
	if errors.As(err, &mistake) { // its own message shows the text, and a secret may be in it
		err = errors.New(mistake.GetMessage())
	}
	return list, err
}

// Prefixed puts the section's name before every line of what is wrong with it.
func Prefixed(section string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(section + strings.ReplaceAll(err.Error(), "\n", "\n"+section))
}

// placed says where in the file a mistake is. YAML's own message shows the lines around it, and a password may be on one.
func placed(path string, text []byte, err error) error {
	var mistake yaml.Error
	if errors.As(err, &mistake) && mistake.GetToken() != nil {
		at := mistake.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", path, at.Line, at.Column, mistake.GetMessage())
	}
	var u unreadable
	if file, broken := parser.ParseBytes(text, 0); broken == nil && errors.As(err, &u) {
		f := &finder{value: u.value}
		for _, document := range file.Docs {
			ast.Walk(f, document.Body)
		}
		if len(f.places) > 0 {
			return fmt.Errorf("%s:%s: %w", path, strings.Join(f.places, " or "), err)
		}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// unreadable is a value that its type cannot be read from. The decoder does not say where it stands, and the error does not show it:
// it may be a secret in the wrong place.
type unreadable struct {
	value string
	error
}

func (u unreadable) Unwrap() error { return u.error }

// finder finds the places that have a value: as line:column: key. The same value may be right at another key.
type finder struct {
	value  string
	places []string
}

func (f *finder) Visit(n ast.Node) ast.Visitor {
	_, key := n.(*ast.MappingValueNode)
	if !key && (n.GetToken().Value == f.value || strings.TrimSpace(n.String()) == f.value) {
		at := n.GetToken().Position
		f.places = append(f.places, fmt.Sprintf("%d:%d: %s", at.Line, at.Column, strings.TrimPrefix(n.GetPath(), "$.")))
	}
	return f
}

// named says which variable holds a value that cannot be read: the parser knows only the field.
func named(keys []Key, err error) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	var errs []error
	for _, e := range all.Errors {
		var mistake env.ParseError
		if !errors.As(e, &mistake) {
			errs = append(errs, e)
			continue
		}
		var variables []string
		for _, k := range keys {
			if _, set := os.LookupEnv(k.Env); set && k.Field == mistake.Name {
				variables = append(variables, k.Env)
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", strings.Join(variables, " or "), mistake.Err))
	}
	return errors.Join(errs...)
}

func unmarshalLevel(level *slog.Level, text []byte) error {
	value := scalar(text)
	if level.UnmarshalText([]byte(value)) != nil {
		return unreadable{value, errors.New("it is not a level, such as debug, info, warn or error")}
	}
	return nil
}

func unmarshalDuration(d *time.Duration, text []byte) (err error) {
	value := scalar(text)
	if *d, err = time.ParseDuration(value); err != nil {
		return unreadable{value, errors.New("it is not a duration, such as 500ms, 30s or 1h30m")}
	}
	return nil
}

func scalar(text []byte) string { return strings.Trim(strings.TrimSpace(string(text)), `"'`) }

// unknown refuses a misspelt variable, which would otherwise change nothing without a word.
func (s Source) unknown(keys []Key, environment []string) error {
	known := map[string]bool{}
	for _, k := range keys {
		known[k.Env] = true
	}
	var errs []error
	for _, pair := range environment {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, s.Prefix) && !known[name] && !s.another(name) {
			errs = append(errs, fmt.Errorf("%s is not a key of the configuration", name))
		}
	}
	return errors.Join(errs...)
}

func (s Source) another(name string) bool {
	for _, other := range s.Others {
		if beginning, any := strings.CutSuffix(other, "*"); name == other || any && strings.HasPrefix(name, beginning) {
			return true
		}
	}
	return false
}
