package rules

import (
	"embed"
	"io/fs"
)

//go:embed builtin
var builtin embed.FS

// Builtin returns the rule files that ship with Aftershock, and their test files.
func Builtin() fs.FS {
	sub, err := fs.Sub(builtin, "builtin")
	if err != nil { // the folder is part of the build
		panic(err)
	}
	return sub
}
