package embedded

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"text/template"
)

//go:embed clickhouse_config.xml
var configText string

//go:embed clickhouse_users.xml
var usersText string

var (
	configFile = template.Must(template.New("config.xml").Funcs(template.FuncMap{"xml": escapeXML}).Parse(configText))
	usersFile  = template.Must(template.New("users.xml").Funcs(template.FuncMap{"xml": escapeXML}).Parse(usersText))
	userName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// configure writes the server's configuration under dir/config anew, so that
// nothing of an earlier start stays, and returns the main file's path.
func (o ClickHouseOptions) configure(dir string) (string, error) {
	for name := range o.Users {
		switch {
		case name == "default":
			return "", fmt.Errorf("user %q cannot have a password, ClickHouse's own session uses it: try another name", name)
		case !userName.MatchString(name):
			return "", fmt.Errorf("user name %q: try letters, digits and underscores", name)
		}
	}
	conf := filepath.Join(dir, "config")
	if err := os.RemoveAll(conf); err != nil {
		return "", fmt.Errorf("clearing the old configuration: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(conf, "config.d"), 0o755); err != nil {
		return "", fmt.Errorf("making the configuration's directory: %w", err)
	}
	main, users := filepath.Join(conf, "config.xml"), filepath.Join(conf, "users.xml")
	values := map[string]any{
		"Options": o,
		"Log":     filepath.Join(dir, "clickhouse.log"),
		"Users":   users,
	}
	for path, text := range map[string]*template.Template{main: configFile, users: usersFile} {
		var rendered bytes.Buffer
		if err := text.Execute(&rendered, values); err != nil {
			return "", fmt.Errorf("rendering %s: %w", path, err)
		}
		if err := os.WriteFile(path, rendered.Bytes(), 0o600); err != nil {
			return "", fmt.Errorf("writing the configuration: %w", err)
		}
	}
	if o.Config == "" {
		return main, nil
	}
	extra, err := os.ReadFile(o.Config)
	if err != nil {
		return "", fmt.Errorf("reading the extra configuration: %w", err)
	}
	// ClickHouse merges the files of config.d over its main file.
	if err := os.WriteFile(filepath.Join(conf, "config.d", "extra"+filepath.Ext(o.Config)), extra, 0o600); err != nil {
		return "", fmt.Errorf("writing the extra configuration: %w", err)
	}
	return main, nil
}

func escapeXML(value any) (string, error) {
	var escaped bytes.Buffer
	err := xml.EscapeText(&escaped, fmt.Append(nil, value))
	return escaped.String(), err
}
