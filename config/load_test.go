package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

type server struct {
	Host     string   `yaml:"host" env:"HOST" doc:"where it listens"`
	Password string   `yaml:"password" env:"PASSWORD" doc:"kept to itself"`
	Ports    []string `yaml:"ports" env:"PORTS" doc:"in order"`
}

type sample struct {
	Server server        `yaml:"server" envPrefix:"SERVER_" doc:"the server"`
	Wait   time.Duration `yaml:"wait" env:"WAIT" doc:"how long"`
	Others []server      `yaml:"others" env:"OTHERS" doc:"more servers"`
}

func source(path string) Source {
	return Source{Path: path, Prefix: "SAMPLE_", Others: []string{"SAMPLE_HOME", "SAMPLE_CHILD_*"},
		Lists: map[reflect.Type]func(string) (any, error){reflect.TypeFor[[]server](): List[server]}}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheEnvironmentGoesBeforeTheFileAndTheFileBeforeDefaults(t *testing.T) {
	c := sample{Server: server{Host: "a", Password: "p"}, Wait: time.Second}
	t.Setenv("SAMPLE_WAIT", "3s")
	t.Setenv("SAMPLE_OTHERS", `[{host: x}, {"host": "y"}]`)
	t.Setenv("SAMPLE_HOME", "none of ours")
	t.Setenv("SAMPLE_CHILD_7", "none of ours")
	if err := Load(&c, source(file(t, "server: {host: b, ports: [1, 2]}\nwait: 2s\n"))); err != nil {
		t.Fatal(err)
	}
	want := sample{Server: server{Host: "b", Password: "p", Ports: []string{"1", "2"}}, Wait: 3 * time.Second, Others: []server{{Host: "x"}, {Host: "y"}}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v", c)
	}
}

// Every mistake says where it is and what to try, and none shows a value.
func TestMistakesSayWhere(t *testing.T) {
	const secret = "kl4rtext"
	for name, c := range map[string]struct {
		text, variable, value string
		want                  []string
	}{
		"an unknown key":                      {"server:\n  hots: " + secret + "\n", "", "", []string{"c.yaml:2:3", `"hots"`}},
		"a value of another type":             {"others:\n  - host: [" + secret + "]\n", "", "", []string{"c.yaml:2:11"}},
		"a file's word that is no duration":   {"server:\n  host: a\nwait: " + secret + "\n", "", "", []string{"c.yaml:3:7: wait: ", "not a duration"}},
		"a file's number that is no duration": {"{wait: 5}\n", "", "", []string{"c.yaml:1:8: wait: ", "not a duration"}},
		"a word that is right elsewhere":      {"server: {host: soon}\nwait: soon\n", "", "", []string{"c.yaml:1:16: server.host or 2:7: wait: ", "not a duration"}},
		"a file's list that is no duration":   {"wait: [" + secret + "]\n", "", "", []string{"c.yaml:1:7: wait: ", "not a duration"}},
		"an unknown variable":                 {"", "SAMPLE_SERVER_HOTS", secret, []string{"SAMPLE_SERVER_HOTS is not a key"}},
		"a variable that cannot be read":      {"", "SAMPLE_WAIT", "soon", []string{"SAMPLE_WAIT: "}},
		"a list with an unknown key":          {"", "SAMPLE_OTHERS", "[{password: " + secret + ", hots: 1}]", []string{"SAMPLE_OTHERS: ", `"hots"`}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.variable != "" {
				t.Setenv(c.variable, c.value)
			}
			err := Load(&sample{}, source(file(t, c.text)))
			if err == nil {
				t.Fatal("it is taken")
			}
			for _, want := range append(c.want, "Try: aftershock config reference") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\ndoes not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("it tells the secret: %v", err)
			}
		})
	}
}

func TestKeysFollowTheTags(t *testing.T) {
	var got []string
	for _, k := range Keys(sample{Server: server{Host: "a"}}, "SAMPLE_") {
		got = append(got, k.Path+" "+k.Env+" "+k.Value+" "+k.Doc)
	}
	want := []string{"server.host SAMPLE_SERVER_HOST a where it listens", "server.password SAMPLE_SERVER_PASSWORD  kept to itself", "server.ports SAMPLE_SERVER_PORTS  in order",
		"wait SAMPLE_WAIT 0s how long", "others SAMPLE_OTHERS [] more servers"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}
