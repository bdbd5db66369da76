package simulate

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/churn/hardness"
)

// TestNoBriefClaimsWhatItsRecordLacks reads the briefs of the simulated clients against their records, as plain JSON: what a brief lists is
// in the record, and a fact that the record lacks is said to be not known and is listed nowhere.
func TestNoBriefClaimsWhatItsRecordLacks(t *testing.T) {
	model := hardness.Default()
	briefs, hard, lacking := 0, 0, map[string]int{}
	for r := range world(t, nil).Records() {
		if r.Kind != Deal {
			continue
		}
		deal, err := churn.DecodeDeal(r.Value, time.Time{})
		if err != nil {
			continue // simulated sources break records, too
		}
		var record struct {
			AnticipatedPrice any                        `json:"anticipated_price"`
			Owners           map[string]string          `json:"owners"`
			Negotiation      map[string]json.RawMessage `json:"negotiation"`
		}
		if err := json.Unmarshal(r.Value, &record); err != nil {
			t.Fatal(err)
		}
		h := model.Score(&deal)
		b := alert.Handoff(&deal, h)
		briefs++
		if h.Band == churn.BandHard {
			hard++
		}
		check := func(fact string, known bool, listed []string, unknown string) {
			if !known {
				lacking[fact]++
			}
			if known == slices.Contains(b.NotKnown, unknown) {
				t.Errorf("%s: %s is known: %v; not known, says the brief: %q", deal.DealID, fact, known, b.NotKnown)
			}
			for _, entry := range listed {
				term, _, _ := strings.Cut(entry, " (")
				if !strings.Contains(string(record.Negotiation[fact]), term) {
					t.Errorf("%s: %s: the brief lists %q, the record has %s", deal.DealID, fact, entry, record.Negotiation[fact])
				}
			}
		}
		given := func(fact string) bool {
			raw := record.Negotiation[fact]
			return len(raw) > 0 && string(raw) != "null"
		}
		check("anticipated_price", record.AnticipatedPrice != nil, nil, "What the client expected to pay.")
		check("client_concessions", given("client_concessions"), b.GaveUp, "What the client gave up.")
		check("vendor_concessions", given("vendor_concessions"), b.WeGaveUp, "What we gave up.")
		check("unresolved_requests", given("unresolved_requests"), b.Refused, "What the client asked for and was refused.")
		check("common_ground", given("common_ground"), b.InCommon, "What both sides have in common.")
		check("tone", given("tone"), nil, "The tone.")
		check("ultimatums", given("ultimatums"), nil, "Whether there were ultimatums.")
		check("deadline_pressure", given("deadline_pressure"), nil, "Whether a deadline was used as pressure.")
		check("account_executive", record.Owners["account_executive"] != "", nil, "Who won the deal on our side.")
		for _, p := range b.People {
			name, _, _ := strings.Cut(p, " (")
			if record.Owners["account_executive"] != name && record.Owners["account_manager"] != name && record.Owners["team"] != name {
				t.Errorf("%s: %s is not in the record", deal.DealID, p)
			}
		}
		if (b.Tone != "") != given("tone") {
			t.Errorf("%s: the brief says of the tone %q", deal.DealID, b.Tone)
		}
	}
	t.Logf("%d briefs, %d of hard deals; facts lacking: %v", briefs, hard, lacking)
	for _, fact := range []string{"anticipated_price", "client_concessions", "unresolved_requests", "tone"} {
		if lacking[fact] == 0 || lacking[fact] == briefs {
			t.Errorf("%s is lacking in %d of %d records: both must come", fact, lacking[fact], briefs)
		}
	}
}
