package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Key is one key of a configuration, as its documentation lists it.
type Key struct{ Path, Env, Field, Value, Doc string }

// Keys are all keys of a configuration, in the order of its fields, with their defaults.
func Keys(defaults any, prefix string) []Key { return keysOf(reflect.ValueOf(defaults), "", prefix) }

// keysOf walks the types of a configuration.
func keysOf(v reflect.Value, path, prefix string) []Key {
	var all []Key
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := path + f.Tag.Get("yaml")
		if f.Type.Kind() == reflect.Struct {
			all = append(all, keysOf(v.Field(i), name+".", prefix+f.Tag.Get("envPrefix"))...)
			continue
		}
		value := fmt.Sprint(v.Field(i).Interface())
		if list, ok := v.Field(i).Interface().([]string); ok {
			value = strings.Join(list, ",")
		}
		all = append(all, Key{name, prefix + f.Tag.Get("env"), f.Name, value, f.Tag.Get("doc")})
	}
	return all
}

// Reference writes every key of a configuration, its variable, its default and what it means, as Markdown.
func Reference(w io.Writer, defaults any, prefix string) error {
	var b strings.Builder
	b.WriteString("| key | environment | default | meaning |\n|---|---|---|---|\n")
	for _, k := range Keys(defaults, prefix) {
		value := ""
		if k.Value != "" {
			value = "`" + k.Value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", k.Path, k.Env, value, k.Doc)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
