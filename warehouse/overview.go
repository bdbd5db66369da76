package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Counts is what the warehouse holds.
type Counts struct {
	Records     uint64 `json:"records"`      // accepted, each Kafka position once
	Events      uint64 `json:"stored"`       // distinct event ids
	Duplicates  uint64 `json:"duplicates"`   // records less events
	DeadLetters uint64 `json:"dead_letters"` // records refused
	Deals       uint64 `json:"deals"`
	HardDeals   uint64 `json:"hard_deals"`
	Tickets     uint64 `json:"tickets"`
	Attempts    uint64 `json:"attempts"` // tickets that are attempts
	Links       uint64 `json:"links"`
}

// Counts counts each thing once.
func (w *Warehouse) Counts(ctx context.Context) (c Counts, err error) {
	for row, err := range each(ctx, w, "counts", counts, nil) {
		if err != nil {
			return c, fmt.Errorf("counting what the warehouse holds: %w", err)
		}
		c = *row
	}
	c.Duplicates = c.Records - c.Events
	return c, nil
}

var counts = []column[Counts]{
	get("records", uint64s, func(c *Counts) *uint64 { return &c.Records }),
	get("events", uint64s, func(c *Counts) *uint64 { return &c.Events }),
	get("dead_letters", uint64s, func(c *Counts) *uint64 { return &c.DeadLetters }),
	get("deals", uint64s, func(c *Counts) *uint64 { return &c.Deals }),
	get("hard_deals", uint64s, func(c *Counts) *uint64 { return &c.HardDeals }),
	get("tickets", uint64s, func(c *Counts) *uint64 { return &c.Tickets }),
	get("attempts", uint64s, func(c *Counts) *uint64 { return &c.Attempts }),
	get("links", uint64s, func(c *Counts) *uint64 { return &c.Links }),
}

// TopAccount is an account with money at risk, and why.
type TopAccount struct {
	AccountID, Name, Owner string
	AtRisk                 float64 // ARR in Currency
	Currency               string
	Attempts               uint64   // in the 90 days before
	Hardness               *float64 // of its hardest contract in force
	Why                    string   // what contributed most to that hardness
	Quote                  string   // the client's latest words
}

// TopAccounts lists the accounts with the most value at risk, as known at an instant.
func (w *Warehouse) TopAccounts(ctx context.Context, at time.Time, limit int) ([]TopAccount, error) {
	top, err := all(ctx, w, "top_accounts", topAccount, clickhouse.Parameters{"at": timeParameter(at), "limit": fmt.Sprint(limit)})
	if err != nil {
		return nil, fmt.Errorf("listing the accounts at risk: %w", err)
	}
	return top, nil
}

var topAccount = []column[TopAccount]{
	get("account_id", texts, func(a *TopAccount) *string { return &a.AccountID }),
	get("account_name", texts, func(a *TopAccount) *string { return &a.Name }),
	get("owner", texts, func(a *TopAccount) *string { return &a.Owner }),
	get("at_risk", floats, func(a *TopAccount) *float64 { return &a.AtRisk }),
	get("reporting_currency", texts, func(a *TopAccount) *string { return &a.Currency }),
	get("attempts", uint64s, func(a *TopAccount) *uint64 { return &a.Attempts }),
	get("hardness", floatsOrNull, func(a *TopAccount) **float64 { return &a.Hardness }),
	get("why", texts, func(a *TopAccount) *string { return &a.Why }),
	get("quote", texts, func(a *TopAccount) *string { return &a.Quote }),
}

// NewAlert is a transition as a screen shows it.
type NewAlert struct {
	At                   time.Time
	State, Rule, Summary string
}

// NewestAlerts lists the latest transitions that were published.
func (w *Warehouse) NewestAlerts(ctx context.Context, limit int) ([]NewAlert, error) {
	newest, err := all(ctx, w, "newest_alerts", newAlert, clickhouse.Parameters{"limit": fmt.Sprint(limit)})
	if err != nil {
		return nil, fmt.Errorf("listing the newest alerts: %w", err)
	}
	return newest, nil
}

var newAlert = []column[NewAlert]{
	get("at", instants, func(a *NewAlert) *time.Time { return &a.At }),
	get("state", words, func(a *NewAlert) *string { return &a.State }),
	get("rule", words, func(a *NewAlert) *string { return &a.Rule }),
	get("summary", texts, func(a *NewAlert) *string { return &a.Summary }),
}

// RowsHeld counts the rows of every table of the database that is not empty. A database that does not exist has none.
func (w *Warehouse) RowsHeld(ctx context.Context) (map[string]uint64, error) {
	held := map[string]uint64{}
	err := w.asGuest(ctx, "looking what the database "+w.config.Database+" holds", func(ctx context.Context, conn driver.Conn) error {
		ctx = clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"database": w.config.Database}))
		rows, err := conn.Query(ctx, query("rows_held"))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var table string
			var n uint64
			if err := rows.Scan(&table, &n); err != nil {
				return err
			}
			held[table] = n
		}
		return rows.Err()
	})
	return held, err
}
