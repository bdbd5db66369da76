// Package schemas holds the JSON Schemas (draft 2020-12) of the values on Aftershock's topics. They are a contract with
// other systems, kept apart from the Go code that reads and writes these values; tests hold the two against each other.
//
// Where a schema is narrower than the decoder of package churn, or cannot say what the decoder checks, README.md lists
// it. A value that its schema accepts is accepted by the decoder but for those.
package schemas

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.json
var files embed.FS

// Names returns the names of all schemas, for example "deal-closed.v1", in alphabetical order.
func Names() []string {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic("schemas: " + err.Error()) // an embedded folder can always be read
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".json"))
	}
	return names
}

// Read returns the text of a schema by its name.
func Read(name string) ([]byte, error) {
	text, err := files.ReadFile(strings.TrimSuffix(name, ".json") + ".json")
	if err != nil {
		return nil, fmt.Errorf("there is no schema %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return text, nil
}
