package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/attempts"
	"github.com/aftershock/aftershock/churn/hardness"
	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/rules/past"
	"github.com/aftershock/aftershock/simulate"
	"github.com/aftershock/aftershock/warehouse"
)

const (
	partBacktest = "backtest"

	// Two years of simulated clients, drawn so that there are 10 tickets for each contract.
	pastTickets     = 1_000_000
	ticketsAClient  = 12.4
	ticketsYearly   = 10.7
	dailyTicks      = "0 6 * * *"
	hourlyTicks     = "0 * * * *"
	hourlyDays      = 7
	pastChunk       = 50_000
	wantedBacktest  = 300 * time.Second
	backtestedYears = 1
)

// backtest measures running the whole pack over a year of daily ticks, and over some days of hourly ones.
func (s *servers) backtest(ctx context.Context, tickets int) error {
	const database = "bench_backtest"
	w, err := s.warehouse(ctx, database)
	if err != nil {
		return err
	}
	defer w.Close()
	defer func() {
		_, _ = s.sql(context.WithoutCancel(ctx), "default", dropDatabase, map[string]any{"database": database})
	}()
	config := simulate.DefaultConfig()
	config.Accounts, config.TicketRate = int(float64(tickets)/ticketsAClient), ticketsYearly
	began := time.Now()
	if err := fillPast(ctx, w, config); err != nil {
		return err
	}
	counts, err := w.Counts(ctx)
	if err != nil {
		return err
	}
	contracts, err := s.sql(ctx, database, contractsHeld, nil)
	if err != nil {
		return err
	}
	fmt.Printf("\na past of two years: %d tickets, %d deals, %s contracts, %d links; stored and linked in %.0f s\n",
		counts.Tickets, counts.Deals, strings.TrimSpace(contracts), counts.Links, time.Since(began).Seconds())
	set, err := rules.LoadFiles(rules.Builtin())
	if err != nil {
		return err
	}
	year := past.Backtest{Set: set, From: config.To.AddDate(-backtestedYears, 0, 0), To: config.To, Schedule: dailyTicks}
	took, report, err := timedBacktest(ctx, w, year)
	if err != nil {
		return err
	}
	fmt.Printf("  daily ticks over a year, %d ticks of %d rules, seconds: %.0f (wanted: at most %.0f)\n", report.Ticks, len(report.Rules), took.Seconds(), wantedBacktest.Seconds())
	for _, r := range report.Rules {
		fmt.Printf("    %-22s fired %6d, failed %d\n", r.Rule, r.Fired, r.Failed)
	}
	year.From, year.Schedule = config.To.AddDate(0, 0, -hourlyDays), hourlyTicks
	took, report, err = timedBacktest(ctx, w, year)
	if err != nil {
		return err
	}
	fmt.Printf("  hourly ticks over %d days, %d ticks, seconds: %.0f\n", hourlyDays, report.Ticks, took.Seconds())
	return nil
}

func timedBacktest(ctx context.Context, w *warehouse.Warehouse, b past.Backtest) (time.Duration, *past.Report, error) {
	began := time.Now()
	past, err := w.OpenPast()
	if err != nil {
		return 0, nil, err
	}
	defer past.Close()
	b.Warehouse = past
	set, compare, err := b.Run(ctx, nil)
	if err != nil {
		return 0, nil, err
	}
	took := time.Since(began)
	return took, b.Report(set, compare), nil
}

// fillPast stores simulated records as consumers would have, and links them.
func fillPast(ctx context.Context, w *warehouse.Warehouse, config simulate.Config) error {
	simulation, err := simulate.New(config)
	if err != nil {
		return err
	}
	enrichment := consumers.Enrichment{Score: hardness.Default().Score, Classify: attempts.Default().Classify}
	offsets := map[churn.TopicPartition]int64{}
	var deals []churn.DealEvent
	var tickets []churn.TicketEvent
	store := func() error {
		if err := w.StoreDeals(ctx, "", deals); err != nil {
			return err
		}
		err := w.StoreTickets(ctx, "", tickets)
		deals, tickets = deals[:0], tickets[:0]
		return err
	}
	for r := range simulation.Records() {
		tp := churn.TopicPartition{Topic: string(r.Kind)}
		record := broker.Record{
			Position: churn.Position{Topic: tp.Topic, Offset: offsets[tp], Time: r.KnownAt}, Value: r.Value,
			Headers: []broker.Header{broker.KnownAt(r.KnownAt)},
		}
		offsets[tp]++
		if r.Kind == simulate.Deal { // what is broken is refused, and left out
			if e, refused := enrichment.DealEvent(&record); refused == nil {
				deals = append(deals, e)
			}
		} else if e, refused := enrichment.TicketEvent(&record); refused == nil {
			tickets = append(tickets, e)
		}
		if len(deals)+len(tickets) >= pastChunk {
			if err := store(); err != nil {
				return err
			}
		}
	}
	if err := store(); err != nil {
		return err
	}
	upkeep, err := w.OpenLinks(ctx, "bench")
	if err != nil {
		return err
	}
	_, err = upkeep.Update(ctx, offsets)
	return err
}
