package hardness

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// FuzzScore scores whatever deal the decoder lets pass.
func FuzzScore(f *testing.F) {
	seeds, err := filepath.Glob(filepath.Join("..", "testdata", "decode", "deal", "*.json"))
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range seeds {
		value, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		d, err := churn.DecodeDeal(value, time.Time{})
		if err != nil {
			return
		}
		if h := Default().Score(&d); !(h.Score >= 0 && h.Score <= 100) || !(h.Coverage >= 0 && h.Coverage <= 1) {
			t.Errorf("score %v, coverage %v", h.Score, h.Coverage)
		}
	})
}
