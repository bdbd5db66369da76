package rules

import (
	"os"
	"strings"
	"testing"
)

func TestLoadTestsBadFile(t *testing.T) {
	_, err := LoadTests(os.DirFS("testdata"), "all.bad.test.yaml")
	want := []string{
		`all.bad.test.yaml:2:8: no rule "Nobody" in the rule files`,
		`all.bad.test.yaml:4:5: a test without a name`,
		`all.bad.test.yaml:6:5: unknown key "evnts" in a test (did you mean events?)`,
		`all.bad.test.yaml:8:13: at: "yesterday" is not a time`,
		`all.bad.test.yaml:8:9: an instant without the key alerts`,
		`all.bad.test.yaml:11:9: an event holds a deal or a ticket`,
		`all.bad.test.yaml:12:9: ticket has no opened_at`,
		`all.bad.test.yaml:14:36: no rule "Gone" under test`,
		`all.bad.test.yaml:14:56: unknown status "open"`,
		`all.bad.test.yaml:15:10: instants must follow one another in time`,
	}
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("not said: %s", w)
		}
	}
	if problems, ok := err.(Problems); !ok || len(problems) != len(want) {
		t.Errorf("said\n%v", err)
	}
}
