package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/rules"
)

//go:embed history_deals.sql
var historyDeals string

//go:embed history_tickets.sql
var historyTickets string

//go:embed fresh_tickets.sql
var freshTickets string

//go:embed rows_read.sql
var rowsRead string

const (
	ticketsEach = 100 // tickets an account
	dealsEach   = 10
	touched     = 1000
)

// upkeep measures bringing links up to date for 1,000 touched accounts over a history, and one rule over its contracts.
func (s *servers) upkeep(ctx context.Context, tickets, rounds int) error {
	database := "bench_upkeep_" + strconv.Itoa(tickets)
	w, err := s.warehouse(ctx, database)
	if err != nil {
		return err
	}
	defer w.Close()
	accounts := tickets / ticketsEach
	deals := accounts * dealsEach
	for text, n := range map[string]int{historyDeals: deals, historyTickets: tickets} {
		if _, err := s.sql(ctx, database, text, n, 0); err != nil {
			return err
		}
	}
	u, err := w.OpenUpkeep(ctx, "bench")
	if err != nil {
		return err
	}
	done := map[churn.TopicPartition]int64{{Topic: "deals"}: int64(deals), {Topic: "tickets"}: int64(tickets)}
	began := time.Now()
	result, err := u.To(ctx, done)
	if err != nil {
		return err
	}
	fmt.Printf("history of %d tickets and %d deals of %d accounts: linked from nothing in %.1f s, %d links\n", tickets, deals, accounts, time.Since(began).Seconds(), result.Links)
	limit := map[bool]string{true: "at most 0.5", false: "at most 1"}[tickets <= 1_000_000]
	var seconds, read []float64
	for round := range rounds + 1 {
		if _, err := s.sql(ctx, database, freshTickets, touched, round*touched+tickets); err != nil {
			return err
		}
		done[churn.TopicPartition{Topic: "tickets"}] += touched
		before, err := s.sql(ctx, database, rowsRead, 0, 0)
		if err != nil {
			return err
		}
		began := time.Now()
		result, err := u.To(ctx, done)
		if err != nil {
			return err
		}
		took := time.Since(began).Seconds()
		after, err := s.sql(ctx, database, rowsRead, 0, 0)
		if err != nil {
			return err
		}
		if result.Accounts != touched {
			return fmt.Errorf("%d accounts were brought up to date, not %d", result.Accounts, touched)
		}
		if round > 0 { // the first warms up
			seconds, read = append(seconds, took), append(read, number(after)-number(before))
		}
	}
	fmt.Printf("  upkeep for %d touched accounts, seconds: %s (wanted: %s)\n  rows read: %s\n", touched, spread(seconds, "%.2f"), limit, spread(read, "%.0f"))
	set, err := rules.LoadFiles(rules.Builtin(), "*.yaml")
	if err != nil {
		return err
	}
	var rule []float64
	rows := 0
	for range rounds {
		began := time.Now()
		found, err := w.Rows(ctx, set.Rule("EarlyRenegotiation").Query, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
		if err != nil {
			return err
		}
		rule, rows = append(rule, time.Since(began).Seconds()), len(found)
	}
	fmt.Printf("  rule EarlyRenegotiation over %d contracts, %d rows, seconds: %s (wanted over 100000: at most 0.2)\n", deals, rows, spread(rule, "%.2f"))
	return nil
}

func number(text string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return 0
	}
	return n
}

// sql runs one statement over HTTP, outside the pipeline's connections.
func (s *servers) sql(ctx context.Context, database, text string, n, from int) (string, error) {
	target := "http://" + s.http + "/?" + url.Values{
		"database": {database}, "param_n": {strconv.Itoa(n)}, "param_from": {strconv.Itoa(from)}, "max_insert_threads": {"1"},
	}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader([]byte(text)))
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", answer)
	}
	return string(answer), err
}
