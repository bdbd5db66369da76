package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/rules/past"
	"github.com/aftershock/aftershock/warehouse"
)

func rulesCommand() *cobra.Command {
	return group("rules", "Check, test, try on the past and list rules", rulesCheck(), rulesTest(), rulesBacktest(), rulesList())
}

func rulesCheck() *cobra.Command {
	var useEmbedded bool
	c := &cobra.Command{
		Use: "check [FILE|FOLDER...]", Short: "Read rule files strictly and ask ClickHouse to explain every query",
		Long: "Check reports everything that is wrong at once, with file, line and column, then topics of rules that are not there. Without files it checks the built-in rules.",
	}
	c.Flags().BoolVar(&useEmbedded, "embedded", false, "ask an embedded ClickHouse instead of the configured one")
	c.RunE = func(c *cobra.Command, args []string) error {
		set, err := rules.LoadOrBuiltin(args)
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
		err = rules.Check(c.Context(), set, w)
		if err == nil && !useEmbedded {
			err = pipeline.CheckRuleTopics(c.Context(), config, set)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%s in %s: no mistakes\n", counted(set.Rules(), "rule"), counted(len(set.Groups), "group"))
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
func scratchOr(ctx context.Context, config pipeline.Config, useEmbedded bool) (*warehouse.Warehouse, func(), error) {
	if !useEmbedded {
		w, err := warehouse.Open(config.ClickHouse, clock)
		if err != nil {
			return nil, nil, err
		}
		if err := w.CheckSchema(ctx); err != nil {
			w.Close()
			return nil, nil, err
		}
		return w, func() { w.Close() }, nil
	}
	s, err := pipeline.OpenScratch(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	return s.Warehouse, s.Close, nil
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
		s, err := pipeline.OpenScratch(c.Context(), config)
		if err != nil {
			return err
		}
		defer s.Close()
		report, err := past.RunTests(c.Context(), files, s)
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
			set, err := rules.LoadOrBuiltin(args)
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
