package sources

import (
	"testing"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/hardness"
	"github.com/aftershock/aftershock/testservers/dataset"
)

// TestBands: RavenStack says nothing of negotiations, so its bands are all unknown; the drawn facts give every band.
func TestBands(t *testing.T) {
	path := dataset.Path(t, "ravenstack/subscriptions.csv")
	bands := func(mapping string) map[churn.Band]int {
		counts := map[churn.Band]int{}
		for _, d := range importFile(t, Deals, mapping, path).deals(t) {
			if d.Outcome == churn.Won {
				counts[hardness.Default().Score(&d).Band]++
			}
		}
		return counts
	}
	if got := bands("ravenstack/deals.jq"); len(got) != 1 || got[churn.BandUnknown] == 0 {
		t.Errorf("without facts the bands are %v", got)
	}
	got := bands("ravenstack/drawn/deals.jq")
	for _, b := range []churn.Band{churn.BandSoft, churn.BandFirm, churn.BandHard} {
		if got[b] < 40 {
			t.Errorf("with drawn facts the bands are %v", got)
			break
		}
	}
	t.Logf("drawn: %v", got)
}
