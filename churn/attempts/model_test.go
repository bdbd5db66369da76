package attempts

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aftershock/aftershock/churn"
)

func TestDefaultClassifierCoversEveryClass(t *testing.T) {
	m := Default().m
	if got, want := Default().Version(), "classify.v1"; got != want {
		t.Errorf("version %q, want %q", got, want)
	}
	if len(m.classes) != len(knownClasses) {
		t.Errorf("%d classes, want %d", len(m.classes), len(knownClasses))
	}
	for i, k := range m.classes {
		phrases, labels := 0, 0
		for _, r := range m.rules {
			if r.class == i && strings.ContainsRune(r.id, ':') {
				labels++
			} else if r.class == i {
				phrases++
			}
		}
		if phrases == 0 || labels == 0 {
			t.Errorf("%s: %d phrases and %d labels, want some of both", k.name, phrases, labels)
		}
	}
	if again := Default(); again != Default() {
		t.Error("the embedded model is parsed more than once")
	}
}

// Each testdata/NAME.bad.json must be refused with every line of NAME.bad.txt, all at once.
func TestLoadClassifierRefuses(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.bad.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad models: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			model, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(file, ".json") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			_, err = Load(model)
			if err == nil {
				t.Fatal("loaded")
			}
			for line := range strings.Lines(string(want)) {
				if !strings.Contains(err.Error(), strings.TrimSpace(line)) {
					t.Errorf("error lacks %q:\n%v", strings.TrimSpace(line), err)
				}
			}
		})
	}
}

func TestLoadClassifierReadsAnotherModel(t *testing.T) {
	model := bytes.Replace(classifyV1, []byte(`"classify.v1"`), []byte(`"ours.v7"`), 1)
	c, err := Load(model)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Classify(&churn.SupportTicket{Body: "We want a discount."}); got.ModelVersion != "ours.v7" || len(got.Findings) != 1 {
		t.Errorf("%+v, want one finding of ours.v7", got)
	}
}

func TestPatternGaps(t *testing.T) {
	c, err := Load([]byte(`{"version": "t", "quote_bytes": 100, "negation_window": 3, "tag_weight": 0.5, "category_weight": 0.5,
		"words": {"metal": ["iron", "gold"]},
		"classes": [{"class": "downgrade", "strength": "weak"}],
		"phrases": [
			{"id": "near", "class": "downgrade", "weight": 0.5, "patterns": ["red {metal}"]},
			{"id": "far", "class": "downgrade", "weight": 0.5, "patterns": ["blue ..2 {metal} ..1 #"]}],
		"negations": {"breaks": ["but"], "before": ["not"], "not": [], "after": []}, "exclusions": [], "attributions": []}`))
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		"red iron":                            "near",
		"red hot iron":                        "",
		"iron red":                            "",
		"red. iron":                           "",
		"red red iron":                        "near",
		"blue iron 7":                         "far",
		"blue x x gold x 7":                   "far",
		"blue x x x gold 7":                   "",
		"blue blue x x gold 7":                "far",
		"blue x x x blue iron 7":              "far",
		"not red iron":                        "",
		"not x x red iron":                    "",
		"not x x x red iron":                  "near",
		"not x but red iron":                  "near",
		"blue not iron 7":                     "",
		strings.Repeat("x ", 62) + "red iron": "near",
		strings.Repeat("x ", 63) + "red iron": "near",
		strings.Repeat("x ", 110) + "blue x x gold x 7": "far",
	} {
		got := ""
		if f := c.Classify(&churn.SupportTicket{Body: body}).Findings; len(f) > 0 {
			got = f[0].Rule
		}
		if got != want {
			t.Errorf("%q found by %q, want %q", body, got, want)
		}
	}
}
