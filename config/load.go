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

	"github.com/caarlos0/env/v11"
	"github.com/goccy/go-yaml"
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
		decoder := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict(), yaml.CustomUnmarshaler(unmarshalLevel))
		if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading the configuration: %w"+try, placed(s.Path, err))
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
func placed(path string, err error) error {
	var mistake yaml.Error
	if !errors.As(err, &mistake) || mistake.GetToken() == nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	at := mistake.GetToken().Position
	return fmt.Errorf("%s:%d:%d: %s", path, at.Line, at.Column, mistake.GetMessage())
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
	return level.UnmarshalText(bytes.Trim(bytes.TrimSpace(text), `"'`))
}

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
