package warehouse

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// windows are the smallest deduplication windows, in inserts, that a guarantee rests on, and what would break below them.
var windows = map[string]struct {
	least int
	why   string
}{
	"alert_log":     {100_000, "two processes could both append an entry of the alert log"},
	"upkeep_claims": {100_000, "two processes could both write the links"},
	"deal_events":   {1_000, "a repeated insert would store its rows twice"},
	"ticket_events": {1_000, "a repeated insert would store its rows twice"},
}

var window = regexp.MustCompile(`non_replicated_deduplication_window = (\d+)`)

// CheckGuarantees reads back the settings that the server really runs with, and refuses those under which a guarantee would not hold.
func (w *Warehouse) CheckGuarantees(ctx context.Context) error {
	found := map[string]bool{}
	var broken []error
	for t, err := range each(ctx, w, "table_engines", tableEngine, clickhouse.Parameters{"database": w.config.Database}) {
		if err != nil {
			return fmt.Errorf("reading the settings that guarantees rest on: %w", err)
		}
		want, watched := windows[t.name]
		if !watched {
			continue
		}
		found[t.name] = true
		if m := window.FindStringSubmatch(t.engine); m == nil || atoi(m[1]) < want.least {
			broken = append(broken, fmt.Errorf("table %s: non_replicated_deduplication_window must be at least %d, else %s; it runs as %s", t.name, want.least, want.why, t.engine))
		}
		if t.partition != "" {
			broken = append(broken, fmt.Errorf("table %s: it must not be partitioned, else a token would be claimed once for each partition; it is by %s", t.name, t.partition))
		}
	}
	for name := range windows {
		if !found[name] {
			broken = append(broken, fmt.Errorf("table %s is missing: run `aftershock migrate`", name))
		}
	}
	return errors.Join(broken...)
}

type engineOfTable struct{ name, engine, partition string }

var tableEngine = []column[engineOfTable]{
	get("name", texts, func(t *engineOfTable) *string { return &t.name }),
	get("engine_full", texts, func(t *engineOfTable) *string { return &t.engine }),
	get("partition_key", texts, func(t *engineOfTable) *string { return &t.partition }),
}

func atoi(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// Version is the server's.
func (w *Warehouse) Version(ctx context.Context) (string, error) {
	ctx, cancel := w.within(ctx)
	defer cancel()
	v, err := w.conn.ServerVersion()
	if err != nil {
		return "", w.explain("asking ClickHouse for its version", err)
	}
	return fmt.Sprintf("%d.%d.%d", v.Version.Major, v.Version.Minor, v.Version.Patch), ctx.Err()
}

// skewAllowed is how far apart this machine's clock and the server's may be: facts are stamped here, and the age of sources, what is kept
// and what is forgotten are reckoned there.
const skewAllowed = 30 * time.Second

// CheckClock compares this machine's clock with the server's.
func (w *Warehouse) CheckClock(ctx context.Context) error {
	var theirs time.Time
	asked := time.Now()
	if _, err := w.one(ctx, "server_clock", nil, &theirs); err != nil {
		return fmt.Errorf("asking for the server's clock: %w", err)
	}
	answered := time.Now()
	switch {
	case theirs.Before(asked.Add(-skewAllowed)):
		return fmt.Errorf("ClickHouse's clock is %s behind ours: look at NTP on both machines", asked.Sub(theirs).Round(time.Second))
	case theirs.After(answered.Add(skewAllowed)):
		return fmt.Errorf("ClickHouse's clock is %s ahead of ours: look at NTP on both machines", theirs.Sub(answered).Round(time.Second))
	}
	return nil
}
