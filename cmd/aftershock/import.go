package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/sources"
	"github.com/aftershock/aftershock/warehouse"
)

func importCommand() *cobra.Command {
	return group("import", "Bring exports in: deals and tickets to Kafka, owners and exchange rates to the warehouse",
		importEvents(sources.Deals), importEvents(sources.Tickets), importForm(), importOwners(), importRates())
}

func importEvents(kind sources.Kind) *cobra.Command {
	var mapping, format, delimiter, knownAt, rejects string
	var tables map[string]string
	var dryRun, asJSON bool
	c := &cobra.Command{
		Use: string(kind) + " --map FILE.jq INPUT", Short: "Import " + string(kind) + " from CSV or JSON lines through a jq mapping", Args: cobra.ExactArgs(1),
		Long: "A mapping is a jq program that turns one row into events or refuses it; docs/import.md explains how to write one.\nImporting the same export twice changes nothing.",
	}
	c.Flags().StringVar(&mapping, "map", "", "the mapping, a jq program")
	c.Flags().StringVar(&format, "format", "", "csv or jsonl (default: by the file's name)")
	c.Flags().StringVar(&delimiter, "delimiter", ",", "delimiter of CSV")
	c.Flags().StringVar(&knownAt, "known-at", "", "column that says when each row became known")
	c.Flags().StringVar(&rejects, "rejects", "", "file for the rows that were not sent, as JSON lines")
	c.Flags().StringToStringVar(&tables, "with", nil, "side tables as name=FILE.csv, for the mapping")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "check every row, send nothing")
	c.Flags().BoolVar(&asJSON, "json", false, "print the summary as JSON")
	_ = c.MarkFlagRequired("map")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len([]rune(delimiter)) != 1 {
			return usageError{fmt.Errorf("--delimiter %q must be one character", delimiter)}
		}
		m, err := sources.LoadMapping(mapping)
		if err != nil {
			return err
		}
		if err := m.LoadTables(tables, args[0]); err != nil {
			return err
		}
		input, size, err := openInput(args[0])
		if err != nil {
			return err
		}
		defer input.Close()
		show := newBar("importing " + args[0])
		im := sources.Import{
			Kind: kind, Mapping: m, File: args[0], Format: sources.Format(format), Delimiter: []rune(delimiter)[0],
			KnownAtColumn: knownAt, Size: size, Progress: show.bytes,
		}
		if rejects != "" {
			file, err := os.Create(rejects)
			if err != nil {
				return fmt.Errorf("opening --rejects: %w", err)
			}
			defer file.Close()
			im.Rejects = file
		}
		summary, err := runImport(c, im, input, dryRun)
		show.end()
		if asJSON {
			return errors.Join(err, json.NewEncoder(c.OutOrStdout()).Encode(summary))
		}
		fmt.Fprintln(c.OutOrStdout(), summary)
		return err
	}
	return c
}

func runImport(c *cobra.Command, im sources.Import, input io.Reader, dryRun bool) (summary sources.Summary, err error) {
	if dryRun {
		return im.Run(c.Context(), input)
	}
	err = withKafka(c, func(kafka *broker.Connection) error {
		topic := map[sources.Kind]string{sources.Deals: kafka.Topics().Deals, sources.Tickets: kafka.Topics().Tickets}[im.Kind]
		p := broker.NewProducer(kafka)
		im.Output = func(ctx context.Context, r sources.Record) error { return p.Add(ctx, topic, r.Key, r.Value, r.KnownAt) }
		var run error
		summary, run = im.Run(c.Context(), input)
		return errors.Join(run, p.Flush(c.Context()), p.Close())
	})
	return summary, err
}

// openInput opens a file, or standard input for "-". Size is 0 where it is not known.
func openInput(path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), 0, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("opening the input: %w", err)
	}
	size := int64(0)
	if info, err := file.Stat(); err == nil {
		size = info.Size()
	}
	return file, size, nil
}

func importOwners() *cobra.Command {
	return &cobra.Command{
		Use: "owners FILE.csv", Short: "Import who answers for which account; supersedes what deals say", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return importList(c, args[0], sources.ReadOwners, func(w *warehouse.Warehouse, owners []churn.Owner) error {
				now := clock()
				for i := range owners {
					if owners[i].KnownAt.IsZero() {
						owners[i].KnownAt = now
					}
				}
				return w.StoreOwners(c.Context(), owners)
			})
		},
	}
}

func importRates() *cobra.Command {
	return &cobra.Command{
		Use: "fx FILE.csv", Short: "Import exchange rates to the reporting currency", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return importList(c, args[0], sources.ReadRates, func(w *warehouse.Warehouse, rates []churn.Rate) error {
				return w.StoreRates(c.Context(), rates)
			})
		},
	}
}

// importList reads a whole list and stores it, or stores nothing where any line is wrong.
func importList[T any](c *cobra.Command, path string, read func(io.Reader) ([]T, []sources.RowError), store func(*warehouse.Warehouse, []T) error) error {
	input, _, err := openInput(path)
	if err != nil {
		return err
	}
	defer input.Close()
	items, wrong := read(input)
	if len(wrong) > 0 {
		errs := make([]error, len(wrong))
		for i, e := range wrong {
			errs[i] = e
		}
		return fmt.Errorf("importing %s: nothing was stored, for some lines are wrong:\n%w", path, errors.Join(errs...))
	}
	err = withSchema(c, func(w *warehouse.Warehouse) error {
		return store(w, items)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "stored %d lines of %s\n", len(items), path)
	return nil
}
