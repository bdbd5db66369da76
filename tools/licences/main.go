// Command licences lists the licence of every module that is linked into a program, as Markdown, and fails where one is not
// among those that we may use. What the texts say is recognised by the library that pkg.go.dev uses.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// allowed are the licences that ask for no more than to be named, and MPL-2.0, which asks for the source of its own files where
// they were changed: we change none. Anything else, and what is not recognised, is refused.
var allowed = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "Unlicense"}

// known is how much of a text, in percent, must be a licence that is known.
const known = 75

// systems are those that programs are built for: a module may be needed on one only.
var systems = []string{"linux", "darwin"}

func main() {
	check := flag.String("check", "", "compare with this file instead of printing")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: licences [-check FILE] PACKAGE")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *check); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(program, check string) error {
	modules, err := linked(program)
	if err != nil {
		return err
	}
	list, err := table(modules)
	if err != nil {
		return err
	}
	if check == "" {
		_, err := os.Stdout.WriteString(list)
		return err
	}
	have, err := os.ReadFile(check)
	if err != nil {
		return fmt.Errorf("reading the list: %w", err)
	}
	if string(have) != list {
		return fmt.Errorf("%s is not what the modules give: run `make licences` and look at what changed", check)
	}
	fmt.Printf("%d modules, all under licences that we may use\n", len(modules))
	return nil
}

// module is a module of which packages are linked.
type module struct {
	Path, Version, Dir string
	Main               bool
	packages           []string // directories
}

func linked(program string) (map[string]*module, error) {
	modules := map[string]*module{}
	for _, system := range systems {
		list := exec.Command("go", "list", "-deps", "-json=Dir,Module", program)
		list.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		list.Stderr = os.Stderr
		out, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("listing what %s is linked from: %w", program, err)
		}
		decoder := json.NewDecoder(bytes.NewReader(out))
		for {
			var p struct {
				Dir    string
				Module *module
			}
			if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("reading what go list says: %w", err)
			}
			if p.Module == nil || p.Module.Main { // the standard library, and ourselves
				continue
			}
			m, seen := modules[p.Module.Path]
			if !seen {
				m = p.Module
				modules[m.Path] = m
			}
			m.packages = append(m.packages, p.Dir)
		}
	}
	return modules, nil
}

func table(modules map[string]*module) (string, error) {
	var b strings.Builder
	b.WriteString("# Licences of what is linked into aftershock\n\nWritten by `make licences`; a check in CI holds it against the modules. Aftershock itself is under Apache-2.0.\n" +
		"The embedded ClickHouse is not part of the program: it is fetched, and is under Apache-2.0 too.\n\n| module | version | licence |\n|---|---|---|\n")
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		m := modules[path]
		licences, err := m.licences()
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", path, m.Version, strings.Join(licences, ", "))
	}
	return b.String(), errors.Join(errs...)
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[sc]e|copying|unlicense)([-._].*)?$`)

// licences reads the files in the module's root and in every directory above a package that is linked: some code in it may be
// somebody else's.
func (m *module) licences() ([]string, error) {
	dirs := map[string]bool{m.Dir: true}
	for _, dir := range m.packages {
		for ; len(dir) > len(m.Dir); dir = filepath.Dir(dir) {
			dirs[dir] = true
		}
	}
	found := map[string]bool{}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		files, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if file.IsDir() || !licenceFile.MatchString(file.Name()) || filepath.Ext(file.Name()) == ".go" {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, file.Name()))
			if err != nil {
				return nil, err
			}
			ids, err := recognise(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file.Name(), err)
			}
			for _, id := range ids {
				found[id] = true
			}
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no licence: it may not be used")
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// recognise names the licences of a text, and refuses those that are not allowed.
func recognise(text []byte) ([]string, error) {
	scan := licensecheck.Scan(text)
	if scan.Percent < known {
		return nil, fmt.Errorf("only %.0f%% of it is a licence that is known: read it", scan.Percent)
	}
	var ids []string
	for _, match := range scan.Match {
		if !slices.Contains(allowed, match.ID) {
			return nil, fmt.Errorf("licence %s is not among %s", match.ID, strings.Join(allowed, ", "))
		}
		ids = append(ids, match.ID)
	}
	return ids, nil
}
