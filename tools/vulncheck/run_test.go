// Package vulncheck holds the script that looks for known vulnerabilities against databases whose content is known.
package vulncheck

import (
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program depends on nothing but the standard library, so that nothing is fetched for it but govulncheck.
func program(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.org/program\n\ngo 1.24\n",
		"main.go": "package main\n\nimport \"html\"\n\nfunc main() { println(html.EscapeString(\"x\")) }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// database says that one function of the standard library is vulnerable, in every version.
func database(t *testing.T, symbol string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"index/db.json":      `{"modified":"2026-01-02T03:04:05Z"}`,
		"index/modules.json": `[{"path":"stdlib","vulns":[{"id":"GO-2099-0001","modified":"2026-01-02T03:04:05Z"}]}]`,
		"index/vulns.json":   `[{"id":"GO-2099-0001","modified":"2026-01-02T03:04:05Z"}]`,
		"ID/GO-2099-0001.json": fmt.Sprintf(`{"schema_version":"1.3.1","id":"GO-2099-0001","modified":"2026-01-02T03:04:05Z","published":"2026-01-02T03:04:05Z",
			"summary":"Made up","details":"Made up.","database_specific":{"url":"https://example.org/GO-2099-0001"},"affected":[{"package":{"name":"stdlib","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
			"ecosystem_specific":{"imports":[{"path":"html","symbols":[%q]}]}}]}`, symbol),
	} {
		for _, packed := range []bool{false, true} {
			path := filepath.Join(dir, name)
			if packed {
				path += ".gz"
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			file, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if packed {
				w := gzip.NewWriter(file)
				_, err = w.Write([]byte(text))
				w.Close()
			} else {
				_, err = file.WriteString(text)
			}
			if file.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return "file://" + dir
}

func TestRun(t *testing.T) {
	script, err := filepath.Abs("run.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		database string
		fails    bool
		want     []string
	}{
		"reached":                {database(t, "EscapeString"), true, []string{"GO-2099-0001", "DB updated: 2026-01-02 03:04:05", "can be reached: see above"}},
		"not reached":            {database(t, "UnescapeString"), false, []string{"DB updated: 2026-01-02 03:04:05", "no known vulnerability can be reached"}},
		"no database to be had":  {"http://127.0.0.1:1", false, []string{"NOT CHECKED: the database http://127.0.0.1:1 cannot be reached"}},
		"no database, but a dir": {"file:///nonexistent", true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			run := exec.CommandContext(t.Context(), script, "./...")
			run.Dir = program(t)
			run.Env = append(os.Environ(), "GOVULNDB="+c.database, "GOWORK=off", "GOFLAGS=")
			said, err := run.CombinedOutput()
			if (err != nil) != c.fails {
				t.Errorf("it ends with %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(string(said), want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if t.Failed() {
				t.Log(string(said))
			}
		})
	}
}
