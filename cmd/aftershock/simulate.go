package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/demo"
	"github.com/aftershock/aftershock/simulate"
)

func simulateCommand() *cobra.Command {
	config := simulate.DefaultConfig()
	var from, to, output, truth string
	c := &cobra.Command{
		Use: "simulate", Short: "Make clients with a known truth: records to Kafka, or JSON lines with --output", Args: cobra.NoArgs,
		Long: "Simulate makes clients, deals with their negotiations, and tickets, with a known hazard ratio of churn. The same seed makes\nthe same records. Their time of knowing goes into the header aftershock-known-at.",
	}
	f := c.Flags()
	f.Uint64Var(&config.Seed, "seed", config.Seed, "seed; the same makes the same records")
	f.IntVar(&config.Accounts, "accounts", config.Accounts, "number of clients")
	f.StringVar(&from, "from", config.From.Format(time.RFC3339), "first instant, RFC 3339")
	f.StringVar(&to, "to", config.To.Format(time.RFC3339), "last instant, RFC 3339")
	f.Float64Var(&config.HazardRatio, "hazard-ratio", config.HazardRatio, "hazard of churn of hard over soft; 1: hardness does not matter")
	f.Float64Var(&config.LateShare, "late", config.LateShare, "share of records that become known late")
	f.Float64Var(&config.DuplicateShare, "duplicates", config.DuplicateShare, "share of records that come twice")
	f.Float64Var(&config.CorrectedShare, "corrected", config.CorrectedShare, "share of records that are corrected later")
	f.Float64Var(&config.BrokenShare, "broken", config.BrokenShare, "share of records that are broken")
	f.StringVar(&output, "output", "", "write JSON lines to this file (-: standard output) instead of Kafka")
	f.StringVar(&truth, "truth", "", "write the truth behind the records to this file, as JSON lines")
	c.RunE = func(c *cobra.Command, _ []string) error {
		for _, f := range []struct {
			name, text string
			to         *time.Time
		}{{"from", from, &config.From}, {"to", to, &config.To}} {
			var err error
			if *f.to, err = time.Parse(time.RFC3339, f.text); err != nil {
				return usageError{fmt.Errorf("--%s %q is not an RFC 3339 time such as 2026-01-31T00:00:00Z", f.name, f.text)}
			}
		}
		if err := config.Validate(); err != nil {
			return usageError{err}
		}
		s, err := simulate.New(config)
		if err != nil {
			return err
		}
		sent := 0
		if output != "" {
			sent, err = simulateToFile(s, output, c.OutOrStdout())
		} else {
			err = withKafka(c, func(kafka *broker.Connection) error {
				sent, err = simulateToKafka(c, s, kafka)
				return err
			})
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "%d records\n", sent)
		return writeTruth(s, truth)
	}
	return c
}

func simulateToKafka(c *cobra.Command, s *simulate.Simulation, kafka *broker.Connection) (int, error) {
	p := broker.NewProducer(kafka)
	for r := range s.Records() {
		if err := p.Add(c.Context(), demo.TopicOf(r, kafka.Topics()), r.Key, r.Value, r.KnownAt); err != nil {
			return p.Sent(), errors.Join(err, p.Close())
		}
	}
	err := errors.Join(p.Flush(c.Context()), p.Close())
	return p.Sent(), err
}

// simulateToFile writes one object a line; a value that is not UTF-8 stands in base64.
func simulateToFile(s *simulate.Simulation, path string, stdout io.Writer) (n int, err error) {
	out := stdout
	if path != "-" {
		file, err := os.Create(path)
		if err != nil {
			return 0, fmt.Errorf("opening --output: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	buffered := bufio.NewWriterSize(out, 1<<20)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	for r := range s.Records() {
		line := struct {
			Kind    string    `json:"kind"`
			Key     string    `json:"key"`
			KnownAt time.Time `json:"known_at"`
			Value   string    `json:"value,omitempty"`
			Base64  []byte    `json:"value_base64,omitempty"`
		}{Kind: string(r.Kind), Key: r.Key, KnownAt: r.KnownAt, Value: string(r.Value)}
		if !utf8.Valid(r.Value) {
			line.Value, line.Base64 = "", r.Value
		}
		if err := encoder.Encode(line); err != nil {
			return n, fmt.Errorf("writing --output: %w", err)
		}
		n++
	}
	return n, buffered.Flush()
}

func writeTruth(s *simulate.Simulation, path string) (err error) {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("opening --truth: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return s.WriteTruth(file)
}
