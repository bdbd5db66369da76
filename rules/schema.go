package rules

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed schemas
var schemaFiles embed.FS

// Schemas returns the JSON Schemas of rule files and their tests by name, for editors. They hold what can be said without a
// warehouse; Load and LoadTests say more.
func Schemas() map[string][]byte {
	all := map[string][]byte{}
	names, err := fs.Glob(schemaFiles, "schemas/*.json")
	for _, name := range names {
		var text []byte
		if text, err = schemaFiles.ReadFile(name); err == nil {
			all[strings.TrimSuffix(strings.TrimPrefix(name, "schemas/"), ".json")] = text
		}
	}
	if err != nil {
		panic("rules: " + err.Error()) // embedded files can always be read
	}
	return all
}
