package consumers

import (
	"strings"
	"testing"
)

func TestConfigReportsEverythingAtOnce(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	err := Config{Group: "g", ControlGroup: "g"}.Validate()
	for _, want := range []string{"control_group", "chunk_rows", "chunk_bytes", "chunk_wait", "max_bytes_in_flight", "fetch_min_bytes",
		"session_timeout", "drain_timeout", "retry_min", "insert_timeout", "commit_timeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing from %v", want, err)
		}
	}
}
