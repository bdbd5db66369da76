package warehouse

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An account beyond the bound keeps its links as they were and says so; all others go on, and it does again when the bound is raised.
func TestALargeAccountIsSetAside(t *testing.T) {
	w := open(t)
	w.config.MaxAccountDeals, w.config.MaxAccountAttempts = 3, 5
	f := newFeed(t, w)
	u := f.openLinks()
	events := 0
	add := func(account, kind string, n int) {
		var text strings.Builder
		for range n {
			events++
			if kind == "deal" {
				fmt.Fprintf(&text, `deal 2024-01-01 {"event_id":"e%d","deal_id":"d%d","account_id":%q,"closed_at":"2024-01-01"}`+"\n", events, events, account)
			} else {
				fmt.Fprintf(&text, `ticket 2024-02-01 {"event_id":"e%d","ticket_id":"t%d","account_id":%q,"opened_at":"2024-02-01","category":"attempt"}`+"\n", events, events, account)
			}
		}
		f.store(parseFacts(t, text.String())...)
		f.takenBy(u)
	}
	expect := func(when, links, set string) {
		t.Helper()
		got := lines(t, w, "SELECT format('{} {}', account_id, toString(count())) FROM links GROUP BY account_id ORDER BY account_id", now())
		if diff := cmp.Diff(links, strings.ReplaceAll(strings.TrimSpace(got), "\n", ", ")); diff != "" {
			t.Errorf("%s, links (-want +got):\n%s", when, diff)
		}
		got = lines(t, w, "SELECT format('{} {} {}', account_id, toString(deals), toString(attempts)) FROM set_aside_accounts ORDER BY account_id", now())
		if diff := cmp.Diff(set, strings.ReplaceAll(strings.TrimSpace(got), "\n", ", ")); diff != "" {
			t.Errorf("%s, set aside (-want +got):\n%s", when, diff)
		}
		told := w.CheckAccounts(t.Context())
		if (told != nil) != (set != "") || told != nil && !strings.Contains(told.Error(), "max_account_attempts (5)") {
			t.Errorf("%s: the check says %v", when, told)
		}
		if n := len(u.SetAside()); n != strings.Count(set, " ")/2 {
			t.Errorf("%s: %d accounts are known to be set aside", when, n)
		}
	}
	add("large", "deal", 2)
	add("large", "ticket", 5)
	add("small", "deal", 1)
	add("small", "ticket", 1)
	expect("within the bound", "large 10, small 1", "")
	add("large", "ticket", 1)
	add("small", "ticket", 1)
	expect("beyond it", "large 10, small 2", "large 2 6")
	add("large", "deal", 1)
	add("large", "ticket", 1)
	add("small", "deal", 1)
	expect("further beyond", "large 10, small 4", "large 2 6")
	u = f.openLinks()
	expect("after a restart", "large 10, small 4", "large 2 6")
	w.config.MaxAccountAttempts = 100
	u = f.openLinks()
	w.config.MaxAccountAttempts = 5
	expect("with a greater bound", "large 21, small 4", "")
	add("other", "deal", 4)
	expect("too many deals", "large 21, small 4", "other 4 0")
}
