package deploy

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/aftershock/aftershock/testservers/alertmanager"
)

func project(t *testing.T) *types.Project {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	details := types.ConfigDetails{
		WorkingDir:  root,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(root, "docker-compose.yml")}},
		Environment: types.Mapping{},
	}
	p, err := loader.LoadWithContext(t.Context(), details)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestComposeSetsOnlyKeysThatWeRead(t *testing.T) {
	known := map[string]bool{}
	for _, k := range reference(t) {
		known[k.env] = true
	}
	ours := 0
	for name, service := range project(t).Services {
		for variable, value := range service.Environment {
			if !strings.HasPrefix(variable, "AFTERSHOCK_") {
				continue
			}
			ours++
			if !known[variable] {
				t.Errorf("%s sets %s, which aftershock does not read", name, variable)
			}
			if value == nil {
				t.Errorf("%s passes %s on from whoever starts it: give it a value", name, variable)
			}
		}
	}
	if ours == 0 {
		t.Error("no service sets a variable of ours")
	}
}

func TestComposeServices(t *testing.T) {
	p := project(t)
	waits := map[string]map[string]string{ // service: what it waits for
		"kafka": {}, "clickhouse": {}, "alertmanager": {}, // nothing waits for it: a destination that is away holds nothing up
		"migrate":    {"clickhouse": types.ServiceConditionHealthy},
		"topics":     {"kafka": types.ServiceConditionHealthy},
		"aftershock": {"kafka": types.ServiceConditionHealthy, "clickhouse": types.ServiceConditionHealthy, "migrate": types.ServiceConditionCompletedSuccessfully, "topics": types.ServiceConditionCompletedSuccessfully},
	}
	if len(p.Services) != len(waits) {
		t.Errorf("the services are %v", p.ServiceNames())
	}
	for name, on := range waits {
		s, ok := p.Services[name]
		if !ok {
			t.Errorf("no service %s", name)
			continue
		}
		for other, condition := range on {
			if got := s.DependsOn[other].Condition; got != condition {
				t.Errorf("%s waits for %s: %q; want %q", name, other, got, condition)
			}
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s opens port %s to everyone", name, port.Published)
			}
		}
		lasting := name == "kafka" || name == "clickhouse" || name == "alertmanager" || name == "aftershock"
		if lasting != (s.HealthCheck != nil && len(s.HealthCheck.Test) > 1) {
			t.Errorf("%s: its health check is %+v", name, s.HealthCheck)
		}
		if lasting != (s.Restart == types.RestartPolicyUnlessStopped) {
			t.Errorf("%s: restart is %q", name, s.Restart)
		}
	}
	if got := strings.Join(p.Services["migrate"].Command, " "); got != "migrate" {
		t.Errorf("migrate runs %q", got)
	}
	if got := strings.Join(p.Services["topics"].Command, " "); got != "topics create" {
		t.Errorf("topics runs %q", got)
	}
}

func TestComposeKeepsData(t *testing.T) {
	p := project(t)
	logs := p.Services["kafka"].Environment["KAFKA_LOG_DIRS"]
	if logs == nil {
		t.Fatal("kafka: KAFKA_LOG_DIRS is not set")
	}
	for service, target := range map[string]string{"kafka": *logs, "clickhouse": "/var/lib/clickhouse", "alertmanager": "/alertmanager"} {
		found := false
		for _, v := range p.Services[service].Volumes {
			if v.Target == target && v.Type == types.VolumeTypeVolume {
				_, found = p.Volumes[v.Source]
			}
		}
		if !found {
			t.Errorf("%s keeps %s in no named volume", service, target)
		}
	}
}

func TestComposeFilesExist(t *testing.T) {
	p := project(t)
	for _, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				if _, err := os.Stat(v.Source); err != nil {
					t.Errorf("%s: %v", s.Name, err)
				}
			}
		}
		if s.Build != nil {
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
		for _, secret := range s.Secrets {
			if _, err := os.Stat(p.Secrets[secret.Source].File); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
	}
}

var pinned = regexp.MustCompile(`^[a-z./-]+:\d+\.\d+[\w.-]*$`)

// TestComposeVersions holds the images against what the tests run on.
func TestComposeVersions(t *testing.T) {
	p := project(t)
	for _, name := range []string{"kafka", "clickhouse"} {
		if image := p.Services[name].Image; !pinned.MatchString(image) {
			t.Errorf("%s: %s is not pinned to a version", name, image)
		}
	}
	var pom struct {
		Properties struct {
			Kafka string `xml:"kafka.version"`
		} `xml:"properties"`
	}
	text, err := os.ReadFile("../testservers/kafka/pom.xml")
	if err == nil {
		err = xml.Unmarshal(text, &pom)
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := "apache/kafka:" + pom.Properties.Kafka; p.Services["kafka"].Image != want {
		t.Errorf("kafka is %s, but the tests run on %s", p.Services["kafka"].Image, want)
	}
	if want := "prom/alertmanager:" + alertmanager.Version; p.Services["alertmanager"].Image != want {
		t.Errorf("alertmanager is %s, but the tests run on %s", p.Services["alertmanager"].Image, want)
	}
	var engine struct{ OptionalDependencies map[string]string }
	text, err = os.ReadFile("../embedded/engine/package.json")
	if err == nil {
		err = json.Unmarshal(text, &engine)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(p.Services["clickhouse"].Image, ":")
	for name, tested := range engine.OptionalDependencies {
		if !strings.HasPrefix(tested, version+".") {
			t.Errorf("clickhouse is %s, but the tests run on %s of %s", version, tested, name)
		}
	}
}
