// Package config reads a configuration into a struct: its defaults, then a YAML file, then the environment. It is strict: an unknown
// key of the file and a variable that is no key are mistakes, each with where it stands, and no message shows a value, which may be
// a secret.
//
// It knows no key by name. A key is a field with three tags, beside the code that reads it:
//
//	MaxWait time.Duration `yaml:"max_wait" env:"MAX_WAIT" doc:"how long a tick waits"`
//
// and a section is a struct with `yaml`, `envPrefix` and `doc`. Reference writes the table of all keys from the same tags, so that
// no key can be undocumented.
package config
