//go:build linux || darwin

package embedded

import (
	"fmt"
	"runtime"

	"github.com/ebitengine/purego"
)

// runEngine loads the library and blocks in it until standard input closes.
func runEngine(library string, args []string) error {
	lib, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return fmt.Errorf("loading %s: %w", library, err)
	}
	entry, err := purego.Dlsym(lib, "chdb_query_cmdline")
	if err != nil {
		return fmt.Errorf("loading %s: it is no ClickHouse library: %w", library, err)
	}
	var queryCmdline func(argc int32, argv **byte) uintptr
	purego.RegisterFunc(&queryCmdline, entry)

	argv := make([]*byte, 0, len(args)+1)
	for _, arg := range args {
		argv = append(argv, &append([]byte(arg), 0)[0])
	}
	argv = append(argv, nil) // C ends the list with a null pointer
	result := queryCmdline(int32(len(args)), &argv[0])
	runtime.KeepAlive(argv)
	return engineError(lib, result)
}

// engineError asks the library what went wrong. Without it a failed start would look like a clean end.
func engineError(lib, result uintptr) error {
	entry, err := purego.Dlsym(lib, "chdb_result_error")
	if err != nil || result == 0 {
		return err
	}
	var resultError func(uintptr) string
	purego.RegisterFunc(&resultError, entry)
	if message := resultError(result); message != "" {
		return fmt.Errorf("ClickHouse: %s", message)
	}
	return nil
}
