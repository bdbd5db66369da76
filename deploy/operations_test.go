package deploy

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/publish"
	"github.com/aftershock/aftershock/warehouse"
)

// descriptions collects what would be registered, also of series that do not exist yet.
type descriptions struct{ names map[string]bool }

var fullName = regexp.MustCompile(`fqName: "(\w+)"`)

func (d descriptions) Register(c prometheus.Collector) error {
	found := make(chan *prometheus.Desc)
	go func() { c.Describe(found); close(found) }()
	for desc := range found {
		d.names[fullName.FindStringSubmatch(desc.String())[1]] = true
	}
	return nil
}

func (d descriptions) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = d.Register(c)
	}
}

func (d descriptions) Unregister(prometheus.Collector) bool { return false }

// TestOperationsNamesEveryMetric holds the table of docs/operations.md, and what its alarms ask for, against the code.
func TestOperationsNamesEveryMetric(t *testing.T) {
	d := descriptions{map[string]bool{}}
	consumers.NewMetrics(d)
	publish.NewMetrics(d)
	warehouse.NewLinksMetrics(d)
	// Those of pipeline are not exported.
	metrics, err := os.ReadFile("../pipeline/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`Name: "(aftershock_\w+)"`).FindAllSubmatch(metrics, -1) {
		d.names[string(m[1])] = true
	}
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(aftershock_\\w+)`").FindAllSubmatch(text, -1) {
		listed[string(m[1])] = true
	}
	for name := range d.names {
		if !listed[name] {
			t.Errorf("docs/operations.md does not list %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`aftershock_[a-z]+_\w+`).FindAllString(string(text), -1) {
		if !d.names[name] {
			t.Errorf("docs/operations.md names %s, which does not exist", name)
		}
	}
}

// TestOperationsNamesOnlyKeysThatExist does the same with keys of the configuration.
func TestOperationsNamesOnlyKeysThatExist(t *testing.T) {
	known := map[string]bool{}
	for _, k := range reference(t) {
		known[k.path] = true
	}
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := regexp.MustCompile(`^(kafka\.(tls|sasl)|clickhouse\.tls)$`)
	for _, m := range regexp.MustCompile("`((?:kafka|clickhouse|consumers|evaluate|models|console|log)\\.[a-z_.]+)`").FindAllSubmatch(text, -1) {
		if name := string(m[1]); !known[name] && !sections.MatchString(name) {
			t.Errorf("docs/operations.md names the key %s, which does not exist", name)
		}
	}
}

// TestConfigPage holds the generated part of docs/config.md against the program.
func TestConfigPage(t *testing.T) {
	table, complaints, err := aftershock(t, nil, "config", "reference")
	if err != nil {
		t.Fatalf("%v: %s", err, complaints)
	}
	text, err := os.ReadFile("../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "<!-- generated -->\n" + table + "<!-- end of generated -->\n"; !strings.Contains(string(text), want) {
		t.Error("docs/config.md is not what the program says: make docs")
	}
}
