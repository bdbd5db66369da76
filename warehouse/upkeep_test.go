package warehouse

import (
	"testing"

	"github.com/aftershock/aftershock/churn"
)

// An upkeep that dies after it wrote rows and before it noted them leaves rows of a version that nobody knows. The next one
// must not mistake them for its own: they stand for what was known then.
func TestRowsOfADeadUpkeepGo(t *testing.T) {
	w := open(t)
	f := newFeed(t, w)
	f.store(parseFacts(t, `
		deal 2024-01-01 {"deal_id":"d","account_id":"a","closed_at":"2024-01-01"}
		ticket 2024-02-01 {"ticket_id":"t","account_id":"a","opened_at":"2024-02-01","category":"attempt"}`)...)
	dead, err := w.OpenUpkeep(t.Context(), "dead")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dead.renew(t.Context(), dead.version+1, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, w, linksNow, now()); got != "a d d t 31 account\n" {
		t.Fatalf("the dead upkeep wrote %q", got)
	}
	// Meanwhile it turns out that the ticket was none, and was known to be none from the start.
	f.store(parseFacts(t, `ticket 2024-02-01 {"ticket_id":"t","account_id":"a","opened_at":"2024-02-01","category":"question","revision":1}`)...)
	f.upkeep()
	if got := lines(t, w, linksNow, now()); got != "" {
		t.Errorf("links are left: %q", got)
	}
}

// The same within one process: an upkeep that failed is repeated under another version.
func TestAFailedPassIsRepeated(t *testing.T) {
	w := open(t)
	f := newFeed(t, w)
	f.store(parseFacts(t, `deal 2024-01-01 {"deal_id":"d","account_id":"a","closed_at":"2024-01-01"}`)...)
	u, err := w.OpenUpkeep(t.Context(), "me")
	if err != nil {
		t.Fatal(err)
	}
	before := u.version
	// The insert that notes the upkeep fails; all rows before it are written.
	if err := w.conn.Exec(t.Context(), "ALTER TABLE upkeep_runs ADD CONSTRAINT refused CHECK version = 0"); err != nil {
		t.Fatal(err)
	}
	if _, err := u.To(t.Context(), f.offsets); err == nil {
		t.Fatal("the upkeep succeeded")
	}
	if err := w.conn.Exec(t.Context(), "ALTER TABLE upkeep_runs DROP CONSTRAINT refused"); err != nil {
		t.Fatal(err)
	}
	if _, err := u.To(t.Context(), f.offsets); err != nil {
		t.Fatal(err)
	}
	if u.version != before+2 || u.done[churn.TopicPartition{Topic: "deal"}] != 1 {
		t.Errorf("version %d after %d, done %v", u.version, before, u.done)
	}
}
