package warehouse

import (
	"fmt"
	"testing"

	"github.com/aftershock/aftershock/churn"
)

// Views count an event once, however often it stands: only the bare tables show whether an insert stores what it was given.
func TestEveryRowIsStoredOnce(t *testing.T) {
	w := open(t)
	f := newFeed(t, w)
	for i := range 3 {
		f.store(parseFacts(t, fmt.Sprintf(`deal 2024-01-01 {"event_id":"d%d","deal_id":"d","account_id":"a","closed_at":"2024-01-01"}
			ticket 2024-01-01 {"event_id":"t%d","ticket_id":"t","account_id":"a","opened_at":"2024-01-01"}`, i, i))...)
	}
	several := make([]churn.Block[churn.DealEvent], 3)
	for i := range several {
		several[i] = blocksOf(w.NewDealBlock, []churn.DealEvent{{DealClosed: churn.DealClosed{AccountID: "b", EventID: fmt.Sprint(i), ClosedAt: now()}}})[0]
	}
	if err := w.InsertDeals(t.Context(), "", now(), several); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"SELECT toString(count()) FROM deal_events":                                 "6\n",
		"SELECT toString(count()) FROM ticket_events":                               "3\n",
		"SELECT toString(sum(records)) FROM source_stamps WHERE source = 'deals'":   "6\n",
		"SELECT toString(sum(records)) FROM source_stamps WHERE source = 'tickets'": "3\n",
	} {
		if got := lines(t, w, query, now()); got != want {
			t.Errorf("%s gives %swant %s", query, got, want)
		}
	}
}
