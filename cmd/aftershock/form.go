package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/sources"
	"github.com/aftershock/aftershock/warehouse"
)

func importForm() *cobra.Command {
	var dryRun, asJSON bool
	c := &cobra.Command{
		Use: "form FILE.csv", Short: "Import the hand-off form: six facts that a CRM does not hold, as corrections of deals", Args: cobra.ExactArgs(1),
		Long: "Each line names a deal and what an account executive knows of its negotiation; docs/handoff-form.md explains the columns.\n" +
			"The newest record of the deal is read from the warehouse, completed, and sent one revision later. The same form twice changes\n" +
			"nothing. Where any line is wrong, nothing is sent.",
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "say what each line would change, send nothing")
	c.Flags().BoolVar(&asJSON, "json", false, "print the lines as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		input, _, err := openInput(args[0])
		if err != nil {
			return err
		}
		defer input.Close()
		forms, wrong := sources.ReadForm(input)
		config, err := loadConfig(c)
		if err != nil {
			return err
		}
		enrichment, err := config.Models.Enrichment()
		if err != nil {
			return err
		}
		var deals map[string]churn.DealRecord
		err = withSchema(c, func(w *warehouse.Warehouse) (err error) {
			if deals, err = w.NewestDeals(c.Context(), sources.DealIDs(forms)); err != nil {
				err = fmt.Errorf("reading the deals that the form names: %w", err)
			}
			return err
		})
		if err != nil {
			forms = nil // what is wrong with a line by itself is told all the same
		}
		lines, mistakes := sources.FillAll(forms, wrong, deals, enrichment.Score)
		if mistakes != nil {
			err = errors.Join(fmt.Errorf("importing %s: nothing was sent, for some lines are wrong:\n%w", args[0], mistakes), err)
		}
		if err != nil {
			return err
		}
		if !dryRun {
			if err := sendForm(c, lines); err != nil {
				return err
			}
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), lines)
		}
		printForm(c, args[0], lines, dryRun)
		return nil
	}
	return c
}

func sendForm(c *cobra.Command, lines []sources.Filled) error {
	return withKafka(c, func(kafka *broker.Connection) (err error) {
		p := broker.NewProducer(kafka)
		defer func() { err = errors.Join(err, p.Close()) }()
		for _, l := range lines {
			if !l.Changed {
				continue
			}
			if err := p.Add(c.Context(), kafka.Topics().Deals, l.AccountID, l.Value, time.Time{}); err != nil {
				return err
			}
		}
		return p.Flush(c.Context())
	})
}

func printForm(c *cobra.Command, file string, lines []sources.Filled, dryRun bool) {
	t := table.NewWriter()
	t.AppendHeader(table.Row{"line", "deal", "account", "hardness before", "after"})
	changed := 0
	for _, l := range lines {
		if l.Changed {
			changed++
			t.AppendRow(table.Row{l.Line, l.DealID, l.AccountID, l.Before, l.After})
		}
	}
	if changed > 0 {
		fmt.Fprintln(c.OutOrStdout(), t.Render())
	}
	verb := "corrected"
	if dryRun {
		verb = "would be corrected; nothing was sent"
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: %d lines, %d say what is known already, %d deals %s\n", file, len(lines), len(lines)-changed, changed, verb)
}
