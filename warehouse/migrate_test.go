package warehouse

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/testservers"
)

const schemaText = `SELECT format('{} {}', name, create_table_query) FROM system.tables WHERE database = currentDatabase() ORDER BY name`

func TestMigrateTwiceChangesNothing(t *testing.T) {
	w := migrated(t)
	before := lines(t, w, schemaText, now())
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := lines(t, w, schemaText, now()); after != before {
		t.Error("a second migration changed the schema")
	}
	if got := lines(t, w, "SELECT toString(count()) FROM settings", now()); got != "1\n" {
		t.Errorf("settings has %s rows after two migrations", got)
	}
	if err := w.CheckSchema(t.Context()); err != nil {
		t.Error(err)
	}
	if err := w.CheckGuarantees(t.Context()); err != nil {
		t.Error(err)
	}
}

// Every state that a migration can leave behind leads to the same schema.
func TestMigrateFromEveryState(t *testing.T) {
	fresh := migrated(t)
	want := schemaOf(t, fresh)
	_, provider, err := fresh.migrations()
	if err != nil {
		t.Fatal(err)
	}
	latest := provider.ListSources()[len(provider.ListSources())-1].Version
	for version := int64(1); version <= latest; version++ {
		w := unmigrated(t)
		if err := w.createDatabase(t.Context()); err != nil {
			t.Fatal(err)
		}
		db, provider, err := w.migrations()
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := provider.UpTo(t.Context(), version); err != nil {
			t.Fatal(err)
		}
		if err := w.CheckSchema(t.Context()); version < latest && (err == nil || !strings.Contains(err.Error(), "aftershock migrate")) {
			t.Errorf("at version %d the check said %v", version, err)
		}
		if err := w.Migrate(t.Context()); err != nil {
			t.Fatalf("from version %d: %v", version, err)
		}
		if diff := cmp.Diff(want, schemaOf(t, w)); diff != "" {
			t.Errorf("from version %d (-from nothing +from there):\n%s", version, diff)
		}
	}
}

// schemaOf is every table's definition, without the name of its database.
func schemaOf(t testing.TB, w *Warehouse) string {
	return strings.ReplaceAll(lines(t, w, schemaText, now()), w.config.Database+".", "")
}

func TestMigrateRefusesANewerSchema(t *testing.T) {
	w := open(t)
	if err := w.conn.Exec(t.Context(), "INSERT INTO schema_versions (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"migrate": w.Migrate(t.Context()), "check": w.CheckSchema(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), "9999") {
			t.Errorf("%s on a newer schema said %v", name, err)
		}
	}
}

func TestGuaranteesAreReadBack(t *testing.T) {
	w := open(t)
	if err := w.conn.Exec(t.Context(), "ALTER TABLE alert_log MODIFY SETTING non_replicated_deduplication_window = 10"); err != nil {
		t.Fatal(err)
	}
	if err := w.CheckGuarantees(t.Context()); err == nil || !strings.Contains(err.Error(), "alert_log") {
		t.Errorf("a small window gave %v", err)
	}
}

// Every view's example runs, and every table and column says what it is.
func TestExamplesRun(t *testing.T) {
	w := open(t)
	views, err := Views()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		if rows, err := w.conn.Query(t.Context(), strings.TrimSuffix(v.Example, ";")); err != nil {
			t.Errorf("the example of %s: %v\n%s", v.Name, err, v.Example)
		} else {
			rows.Close()
		}
	}
	if got := lines(t, w, `SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''
		AND engine NOT IN ('View', 'MaterializedView') AND name != 'schema_versions'`, now()); got != "" {
		t.Errorf("tables without a comment: %s", got)
	}
}

// A stock HTTP client reads a view.
func TestStockHTTPClient(t *testing.T) {
	w := open(t)
	f := newFeed(t, w)
	f.store(parseFacts(t, `deal 2024-01-01 {"deal_id":"d","account_id":"a","closed_at":"2024-01-01","segment":"hard"}`)...)
	f.update()
	out, err := exec.CommandContext(t.Context(), "curl", "-sS", "http://"+testservers.ClickHouse(t).HTTPAddr+"/?database="+w.config.Database,
		"--data-binary", "SELECT deal_id, band FROM deals FORMAT CSV").CombinedOutput()
	if err != nil || string(out) != "\"d\",\"hard\"\n" {
		t.Errorf("curl: %q, %v", out, err)
	}
}

func TestSchemaThatIsNotThere(t *testing.T) {
	w := unmigrated(t)
	if err := w.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	for range 2 { // the server must survive the question
		if err := w.CheckSchema(t.Context()); err == nil || !strings.Contains(err.Error(), "aftershock migrate") {
			t.Errorf("a missing database gave %v", err)
		}
	}
	if err := w.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
}

// What Forget leaves is what migrating made: also a token that was seen before stores its rows.
func TestForgottenIsAsNew(t *testing.T) {
	w := migrated(t)
	sizes := "SELECT concat(name, ' ', toString(total_rows)) FROM system.tables WHERE database = currentDatabase() AND total_rows > 0 ORDER BY name"
	fresh := lines(t, w, sizes, now())
	for range 2 {
		first := newFeed(t, w)
		first.store(parseFacts(t, `
			deal 2024-01-01 {"deal_id":"d","account_id":"a","closed_at":"2024-01-01"}
			ticket 2024-02-01 {"ticket_id":"t","account_id":"a","opened_at":"2024-02-01","category":"attempt"}`)...)
		if got := first.update(); got.Links == 0 {
			t.Errorf("nothing was linked: %+v", got)
		}
		for range 2 {
			batch := batchOf(w.NewDealBatch, churn.DealEvent{DealClosed: churn.DealClosed{AccountID: "b", EventID: "e", ClosedAt: now()}})
			if err := w.InsertDeals(t.Context(), "token", now(), []churn.Batch[churn.DealEvent]{batch}); err != nil {
				t.Fatal(err)
			}
		}
		if got := lines(t, w, "SELECT toString(count()) FROM deal_events", now()); got != "2\n" {
			t.Errorf("%sdeals are stored", got)
		}
		if err := w.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := lines(t, w, sizes, now()); got != fresh {
			t.Errorf("what was stored is still there:\n%s", got)
		}
	}
}
