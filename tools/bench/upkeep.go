package main

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/warehouse"
)

//go:embed history_deals.sql
var historyDeals string

//go:embed history_tickets.sql
var historyTickets string

//go:embed fresh_tickets.sql
var freshTickets string

//go:embed full_join.sql
var fullJoin string

//go:embed links_stored.sql
var linksStored string

//go:embed rows_read.sql
var rowsRead string

//go:embed merges.sql
var merges string

//go:embed contracts_held.sql
var contractsHeld string

//go:embed drop_database.sql
var dropDatabase string

const (
	ticketsEach = 100 // tickets an account
	dealsEach   = 10
	touched     = 1000
)

// What is wanted, where anything is.
var (
	wantedUpkeep = map[int]string{1_000_000: " (wanted: at most 0.5)", 10_000_000: " (wanted: at most 1)"}
	wantedRead   = map[int]string{10_000_000: " (wanted: at most 3000000)"}
	wantedRule   = map[int]string{100_000: " (wanted: at most 0.2)"}
)

// history is a warehouse filled with the past of some accounts.
type history struct {
	*servers
	warehouse *warehouse.Warehouse
	upkeep    *warehouse.Links
	database  string
	accounts  int
	tickets   int
	done      map[churn.TopicPartition]int64
}

// upkeep measures bringing links up to date for 1,000 touched accounts over a history, and one rule over its contracts.
func (s *servers) upkeep(ctx context.Context, tickets, rounds int) error {
	h := history{servers: s, database: "bench_upkeep_" + strconv.Itoa(tickets), accounts: tickets / ticketsEach, tickets: tickets}
	w, err := s.warehouse(ctx, h.database)
	if err != nil {
		return err
	}
	defer w.Close()
	defer func() { // the next history should not wait for this one's merges
		_, _ = s.sql(context.WithoutCancel(ctx), "default", dropDatabase, map[string]any{"database": h.database})
	}()
	h.warehouse = w
	if err := h.fill(ctx); err != nil {
		return err
	}
	if err := h.measureUpkeep(ctx, rounds); err != nil {
		return err
	}
	if err := h.measureJoin(ctx, rounds); err != nil {
		return err
	}
	return h.measureRule(ctx, rounds)
}

// fill stores the past as consumers would have, and links it from nothing.
func (h *history) fill(ctx context.Context) error {
	deals := h.accounts * dealsEach
	began := time.Now()
	if _, err := h.sql(ctx, h.database, historyDeals, map[string]any{"n": deals}); err != nil {
		return fmt.Errorf("storing %d deals: %w", deals, err)
	}
	if _, err := h.sql(ctx, h.database, historyTickets, map[string]any{"n": h.tickets}); err != nil {
		return fmt.Errorf("storing %d tickets: %w", h.tickets, err)
	}
	filled := time.Since(began)
	var err error
	if h.upkeep, err = h.warehouse.OpenLinks(ctx, "bench"); err != nil {
		return err
	}
	h.done = map[churn.TopicPartition]int64{{Topic: "deals"}: int64(deals), {Topic: "tickets"}: int64(h.tickets)}
	began = time.Now()
	result, err := h.upkeep.Update(ctx, h.done)
	if err != nil {
		return err
	}
	linked := time.Since(began)
	calm, err := h.settle(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\nhistory of %d tickets and %d deals of %d accounts\n", h.tickets, deals, h.accounts)
	fmt.Printf("  stored in %.1f s; linked from nothing in %.1f s, %d links; merges were over %.1f s later\n", filled.Seconds(), linked.Seconds(), result.Links, calm.Seconds())
	return nil
}

// settlePatience bounds the waiting for merges.
const settlePatience = time.Minute

// settle waits until the server has merged what was stored all at once, as no history is.
func (h *history) settle(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	for quiet := 0; quiet < 4 && time.Since(began) < settlePatience; {
		running, err := h.sql(ctx, h.database, merges, nil)
		if err != nil {
			return 0, fmt.Errorf("waiting for merges: %w", err)
		}
		if quiet++; strings.TrimSpace(running) != "0" {
			quiet = 0
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
	return time.Since(began), nil
}

func (h *history) measureUpkeep(ctx context.Context, rounds int) error {
	var seconds, processor, read, links []float64
	for round := range rounds + 1 {
		from := h.tickets + round*touched
		_, err := h.sql(ctx, h.database, freshTickets, map[string]any{"n": touched, "from": from, "accounts": h.accounts})
		if err != nil {
			return fmt.Errorf("storing fresh tickets: %w", err)
		}
		h.done[churn.TopicPartition{Topic: "tickets"}] += touched
		var result warehouse.LinksResult
		cost, err := h.measured(ctx, func() (err error) { result, err = h.upkeep.Update(ctx, h.done); return err })
		if err != nil {
			return err
		}
		if result.Accounts != touched {
			return fmt.Errorf("%d accounts were brought up to date, not %d", result.Accounts, touched)
		}
		if round > 0 { // the first warms up
			seconds, processor, read = append(seconds, cost.seconds), append(processor, cost.processor), append(read, cost.read)
			links = append(links, float64(result.Links))
		}
	}
	fmt.Printf("  upkeep for %d touched accounts, seconds: %s%s\n    processor seconds of pipeline and ClickHouse: %s\n    rows read: %s%s\n    rows of links written: %s\n",
		touched, spread(seconds, "%.2f"), wantedUpkeep[h.tickets], spread(processor, "%.2f"), spread(read, "%.0f"), wantedRead[h.tickets], spread(links, "%.0f"))
	return nil
}

// measureJoin joins everything in one query, and holds what upkeep keeps against it.
func (h *history) measureJoin(ctx context.Context, rounds int) error {
	var seconds, processor, read []float64
	joined := ""
	for round := range rounds + 1 {
		cost, err := h.measured(ctx, func() (err error) { joined, err = h.sql(ctx, h.database, fullJoin, nil); return err })
		if err != nil {
			return fmt.Errorf("joining everything: %w", err)
		}
		if round > 0 { // the first warms up
			seconds, processor, read = append(seconds, cost.seconds), append(processor, cost.processor), append(read, cost.read)
		}
	}
	stored, err := h.sql(ctx, h.database, linksStored, nil)
	if err != nil {
		return err
	}
	if stored != joined {
		return fmt.Errorf("upkeep keeps %s links, the full join gives %s: the figures would mean nothing", strings.TrimSpace(stored), strings.TrimSpace(joined))
	}
	fmt.Printf("  the full join of %s links, seconds: %s\n    processor seconds of pipeline and ClickHouse: %s\n    rows read: %s\n",
		strings.TrimSpace(joined), spread(seconds, "%.2f"), spread(processor, "%.2f"), spread(read, "%.0f"))
	return nil
}

// cost is what something took.
type cost struct{ seconds, processor, read float64 }

func (h *history) measured(ctx context.Context, do func() error) (c cost, err error) {
	before, err := h.rowsRead(ctx)
	if err != nil {
		return c, err
	}
	began, used := time.Now(), processorTime()+processorTimeOf(h.clickhousePID)
	if err := do(); err != nil {
		return c, err
	}
	c.seconds = time.Since(began).Seconds()
	c.processor = (processorTime() + processorTimeOf(h.clickhousePID) - used).Seconds()
	after, err := h.rowsRead(ctx)
	c.read = after - before
	return c, err
}

func (h *history) rowsRead(ctx context.Context) (float64, error) {
	text, err := h.sql(ctx, h.database, rowsRead, nil)
	if err != nil {
		return 0, fmt.Errorf("asking how many rows were read: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(text), 64)
}

// measuredRule needs both hardness and attempts.
const measuredRule = "EarlyRenegotiation"

func (h *history) measureRule(ctx context.Context, rounds int) error {
	set, err := rules.LoadFiles(rules.Builtin(), "*.yaml")
	if err != nil {
		return err
	}
	var seconds, processor []float64
	rows := 0
	for round := range rounds + 1 {
		cost, err := h.measured(ctx, func() error {
			found, err := h.warehouse.Rows(ctx, set.Rule(measuredRule).Query, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
			rows = len(found)
			return err
		})
		if err != nil {
			return err
		}
		if round > 0 { // the first warms up
			seconds, processor = append(seconds, cost.seconds), append(processor, cost.processor)
		}
	}
	if rows == 0 {
		return fmt.Errorf("the rule %s found nothing in the history: its figure would mean nothing", measuredRule)
	}
	contracts := h.accounts * dealsEach
	fmt.Printf("  rule %s over %d contracts, %d rows, seconds: %s%s\n    processor seconds of pipeline and ClickHouse: %s\n",
		measuredRule, contracts, rows, spread(seconds, "%.3f"), wantedRule[contracts], spread(processor, "%.3f"))
	return nil
}
