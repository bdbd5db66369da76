package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/embedded"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/warehouse"
)

func rulesCommand() *cobra.Command {
	return group("rules", "Check, test, try on the past and list rules", rulesCheck(), rulesTest(), rulesBacktest(), rulesList())
}

func rulesCheck() *cobra.Command {
	var useEmbedded bool
	c := &cobra.Command{
		Use: "check [FILE|FOLDER...]", Short: "Read rule files strictly and ask ClickHouse to explain every query",
		Long: "Check reports everything that is wrong at once, with file, line and column. Without files it checks the built-in rules.",
	}
	c.Flags().BoolVar(&useEmbedded, "embedded", false, "ask an embedded ClickHouse instead of the configured one")
	c.RunE = func(c *cobra.Command, args []string) error {
		set, err := loadRules(args)
		if err != nil {
			return err
		}
		config, err := loadConfig(c)
		if err != nil {
			return err
		}
		w, done, err := scratchOr(c.Context(), config, useEmbedded)
		if err != nil {
			return err
		}
		defer done()
		if err := rules.Check(c.Context(), set, w); err != nil {
			return err
		}
		n := 0
		for _, g := range set.Groups {
			n += len(g.Rules)
		}
		fmt.Fprintf(c.OutOrStdout(), "%s in %s: no mistakes\n", counted(n, "rule"), counted(len(set.Groups), "group"))
		return nil
	}
	return c
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprint(n, " ", what)
}

// scratchOr opens the configured warehouse, or a fresh one in an embedded server.
func scratchOr(ctx context.Context, config Config, useEmbedded bool) (*warehouse.Warehouse, func(), error) {
	if !useEmbedded {
		w, err := warehouse.Open(config.ClickHouse, time.Now)
		if err != nil {
			return nil, nil, err
		}
		if err := w.CheckSchema(ctx); err != nil {
			w.Close()
			return nil, nil, err
		}
		return w, func() { w.Close() }, nil
	}
	s, err := openScratch(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	return s.Warehouse, s.close, nil
}

func rulesTest() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "test [FILE|FOLDER...]", Short: "Run rule tests (*.test.yaml) against a scratch database with a controlled clock",
		Long: "Test runs the production SQL and lifecycle on an embedded ClickHouse and shows every difference. Without files it runs\nthe tests of the built-in rules.",
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		var files []*rules.TestFile
		var err error
		if len(args) == 0 {
			files, err = rules.LoadTests(rules.Builtin(), "*.test.yaml")
		} else {
			files, err = rules.LoadTestPaths(args...)
		}
		if err != nil {
			return err
		}
		config, err := loadConfig(c)
		if err != nil {
			return err
		}
		s, err := openScratch(c.Context(), config)
		if err != nil {
			return err
		}
		defer s.close()
		report, err := rules.RunTests(c.Context(), files, s)
		if err != nil {
			return err
		}
		if asJSON {
			err = writeJSON(c.OutOrStdout(), report)
		} else {
			err = report.Write(c.OutOrStdout())
		}
		if err == nil && !report.Passed() {
			err = errors.New("some rule tests failed")
		}
		return err
	}
	return c
}

func rulesList() *cobra.Command {
	return &cobra.Command{
		Use: "list [FILE|FOLDER...]", Short: "List rules with their schedules",
		RunE: func(c *cobra.Command, args []string) error {
			set, err := loadRules(args)
			if err != nil {
				return err
			}
			t := table.NewWriter()
			t.AppendHeader(table.Row{"rule", "group", "schedule", "severity", "topic"})
			for _, g := range set.Groups {
				for _, r := range g.Rules {
					t.AppendRow(table.Row{r.Name, g.Name, g.Schedule, r.Severity, r.Topic})
				}
			}
			fmt.Fprintln(c.OutOrStdout(), t.Render())
			return nil
		},
	}
}

// scratch is a warehouse to play in: an embedded server, a fresh database for each reset.
type scratch struct {
	*warehouse.Warehouse
	server     *embedded.ClickHouse
	config     warehouse.Config
	enrichment consumers.Enrichment
	upkeep     *warehouse.Links
	offsets    map[churn.TopicPartition]int64
}

var scratches atomic.Int64

func openScratch(ctx context.Context, config Config) (*scratch, error) {
	enrichment, err := config.Models.enrichment()
	if err != nil {
		return nil, err
	}
	server, err := embedded.StartClickHouse(ctx, embedded.ClickHouseOptions{})
	if err != nil {
		return nil, err
	}
	s := &scratch{server: server, config: warehouse.DefaultConfig(), enrichment: enrichment}
	s.config.Addr, s.config.ReportingCurrency = server.Addr(), config.ClickHouse.ReportingCurrency
	if err := s.Reset(ctx); err != nil {
		return nil, errors.Join(err, server.Stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// Reset empties the scratch by moving to a fresh database.
func (s *scratch) Reset(ctx context.Context) error {
	if s.Warehouse != nil {
		if err := s.Warehouse.Close(); err != nil {
			return err
		}
	}
	s.config.Database = fmt.Sprintf("scratch_%d", scratches.Add(1))
	w, err := warehouse.Open(s.config, time.Now)
	if err != nil {
		return err
	}
	s.Warehouse, s.offsets = w, map[churn.TopicPartition]int64{}
	if err := w.Migrate(ctx); err != nil {
		return err
	}
	s.upkeep, err = w.OpenLinks(ctx, "scratch")
	return err
}

// Store decodes, scores, inserts and links events as production does.
func (s *scratch) Store(ctx context.Context, events []rules.TestEvent) error {
	var deals []churn.DealEvent
	var tickets []churn.TicketEvent
	var refused []churn.Rejected
	for _, e := range events {
		tp := churn.TopicPartition{Topic: e.Kind}
		record := broker.Record{
			Position: churn.Position{Topic: tp.Topic, Offset: s.offsets[tp], Time: e.KnownAt}, Value: e.Value,
			Headers: []broker.Header{{Key: consumers.HeaderKnownAt, Value: []byte(e.KnownAt.UTC().Format(time.RFC3339Nano))}},
		}
		s.offsets[tp]++
		switch e.Kind {
		case "deal":
			deal, rejection := s.enrichment.DealEvent(&record)
			switch {
			case rejection == nil:
				deals = append(deals, deal)
			case e.Raw:
				refused = append(refused, consumers.Rejected(&record, *rejection, "deals", e.KnownAt))
			default:
				return fmt.Errorf("a deal of the test: %w\n%s", rejection, e.Value)
			}
		case "ticket":
			ticket, rejection := s.enrichment.TicketEvent(&record)
			switch {
			case rejection == nil:
				tickets = append(tickets, ticket)
			case e.Raw:
				refused = append(refused, consumers.Rejected(&record, *rejection, "tickets", e.KnownAt))
			default:
				return fmt.Errorf("a ticket of the test: %w\n%s", rejection, e.Value)
			}
		}
	}
	if err := s.StoreDeals(ctx, "", deals); err != nil {
		return err
	}
	if err := s.StoreTickets(ctx, "", tickets); err != nil {
		return err
	}
	if err := s.StoreRejected(ctx, "", refused); err != nil {
		return err
	}
	_, err := s.upkeep.Update(ctx, s.offsets)
	return err
}

func (s *scratch) close() {
	if s.Warehouse != nil {
		_ = s.Warehouse.Close()
	}
	_ = s.server.Stop(context.Background())
}
