package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/config"
	"github.com/aftershock/aftershock/pipeline"
)

// FuzzConfig: any file and any variable are a configuration or a mistake, and no secret is in the mistake. What is read is read
// the same again, and stands its own check.
func FuzzConfig(f *testing.F) {
	example, err := os.ReadFile("../../deploy/aftershock.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	all := config.Keys(pipeline.DefaultConfig(), envPrefix)
	number := map[string]byte{}
	for i, k := range all {
		number[k.Path] = byte(i)
	}
	f.Add(example, number["log.level"], "debug")
	f.Add([]byte("evaluate: {rules: [a, b], max_wait: 1m}\n"), number["evaluate.from"], "2026-01-31")
	f.Add([]byte("kafka:\n  brokers: [a:1]\n  tls:\n    enabled: true\n"), number["clickhouse.tls"], "maybe")
	f.Add([]byte("log: {level: warn, format: json}\nlogs: x\n"), number["evaluate.max_lag"], "1e3")
	f.Add([]byte("log: {level: warn, format: json}\n"), number["evaluate.holdout_share"], "NaN")
	f.Add([]byte("evaluate: {schedule: '@daily'}\n"), number["evaluate.schedule"], "0 0 31 2 *")
	f.Add([]byte("clickhouse: {password: x, password_file: y}\n"), number["consumers.chunk_wait"], "-1s")
	f.Add([]byte("a: &x [*x]\n<<: *x\n--- !!binary\n"), number["kafka.brokers"], ",,")
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, envPrefix) {
			os.Unsetenv(name)
		}
	}
	const secret = "kl4rtext-9d1f"
	file := filepath.Join(f.TempDir(), "aftershock.yaml")
	command := &cobra.Command{}
	command.Flags().String("config", file, "")
	f.Fuzz(func(t *testing.T, text []byte, which byte, value string) {
		variable := all[int(which)%len(all)].Env
		if strings.ContainsRune(value, 0) {
			t.Skip("no variable can hold it")
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AFTERSHOCK_CLICKHOUSE_PASSWORD", secret)
		t.Setenv("AFTERSHOCK_KAFKA_SASL_PASSWORD", secret)
		t.Setenv(variable, value)
		read, err := loadConfig(command)
		if err != nil {
			if strings.Contains(err.Error(), secret) || err.Error() == "" {
				t.Fatalf("the mistake tells the secret: %v", err)
			}
			return
		}
		if err := read.Validate(); err != nil {
			t.Fatalf("it is read, and wrong: %v", err)
		}
		if again, err := loadConfig(command); err != nil || !reflect.DeepEqual(read, again) {
			t.Fatalf("the second time: %v", err)
		}
	})
}
