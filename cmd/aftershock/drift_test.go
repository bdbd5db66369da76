package main

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/aftershock/aftershock/rules"
)

// TestHardnessDriftIsRarelyWrong looks on 52 Mondays at 200 teams whose deals are drawn from one distribution for ever, one deal a week:
// whoever is told is told by chance.
func TestHardnessDriftIsRarelyWrong(t *testing.T) {
	t.Parallel()
	set, err := rules.LoadFiles(rules.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	s := openScratch(t)
	const teams, weeks, looks = 200, 65 + 52, 52
	r := rand.New(rand.NewPCG(1, 2))
	begin := time.Date(2023, 1, 2, 6, 0, 0, 0, time.UTC) // a Monday
	var events []rules.TestEvent
	for week := range weeks {
		for team := range teams {
			closed := begin.Add(time.Duration(week*7*24)*time.Hour + time.Duration(r.IntN(7*24))*time.Hour)
			events = append(events, rules.TestEvent{Kind: "deal", KnownAt: closed, Value: fmt.Appendf(nil,
				`{"event_id":"e-%d-%d","deal_id":"D-%d-%d","account_id":"A-%d-%d","closed_at":%q,"currency":"USD","signed_price":%d,"anticipated_price":1000,`+
					`"owners":{"team":"T-%d"},"negotiation":{"ultimatums":%d,"tone":%.2f}}`, week, team, week, team, week, team, closed.Format(time.RFC3339),
				1000+int(max(0, r.NormFloat64()*80+60)), team, max(0, int(r.NormFloat64()*1.2)), max(-1, min(1, r.NormFloat64()*0.5)))})
		}
	}
	if err := s.Store(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	told, hits := map[any]bool{}, 0
	for look := range looks {
		rows, err := s.Rows(t.Context(), set.Rule("HardnessDrift").Query, begin.AddDate(0, 0, 7*(weeks-looks+look+1)))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			told[row["team"]], hits = true, hits+1
		}
	}
	t.Logf("of %d teams that never change, %d were told in %d Mondays (%d rows)", teams, len(told), looks, hits)
	if len(told) > teams/20 {
		t.Errorf("%d of %d teams were told by chance, more than one in twenty", len(told), teams)
	}
}
