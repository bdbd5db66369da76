package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/pipeline"
)

func scoreCommand() *cobra.Command {
	return fromFile("score", "Score one deal (JSON, from a file or standard input) and explain the score", "deal-closed.v1", func(value []byte, config pipeline.Config) (any, error) {
		deal, err := churn.DecodeDeal(value, time.Time{})
		if err != nil {
			return nil, err
		}
		enrichment, err := config.Models.Enrichment()
		if err != nil {
			return nil, err
		}
		h := enrichment.Score(&deal)
		out := map[string]any{
			"deal_id": deal.DealID, "band": h.Band, "hardness": nil, "coverage": h.Coverage, "missing": h.Missing,
			"discount_depth": h.DiscountDepth, "model_version": h.ModelVersion, "contributions": []alert.ContributionBrief{},
		}
		if h.Band != churn.BandUnknown {
			out["hardness"] = h.Score
		}
		var contributions []alert.ContributionBrief
		for _, c := range h.Contributions {
			contributions = append(contributions, alert.ContributionBrief{Component: c.Component, Points: c.Points, Value: c.Value, Evidence: c.Evidence})
		}
		out["contributions"] = contributions
		return out, nil
	})
}

func classifyCommand() *cobra.Command {
	return fromFile("classify", "Classify one ticket (JSON, from a file or standard input) and explain the classes", "support-ticket.v1", func(value []byte, config pipeline.Config) (any, error) {
		ticket, err := churn.DecodeTicket(value, time.Time{})
		if err != nil {
			return nil, err
		}
		enrichment, err := config.Models.Enrichment()
		if err != nil {
			return nil, err
		}
		c := enrichment.Classify(&ticket)
		findings := []map[string]any{}
		for _, f := range c.Findings {
			findings = append(findings, map[string]any{
				"class": f.Class, "strength": f.Strength, "confidence": f.Confidence, "quote": f.Quote, "at": f.At,
				"found_by": f.Rule, "confirmatory": f.Confirmatory,
			})
		}
		return map[string]any{
			"ticket_id": ticket.TicketID, "is_attempt": len(findings) > 0, "findings": findings, "model_version": c.ModelVersion,
		}, nil
	})
}

// explained makes a command that reads one JSON value and prints what is made of it.
func fromFile(use, short, schema string, made func(value []byte, config pipeline.Config) (any, error)) *cobra.Command {
	return &cobra.Command{
		Use: use + " [FILE]", Short: short, Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path := "-"
			if len(args) == 1 {
				path = args[0]
			}
			input, _, err := openInput(path)
			if err != nil {
				return err
			}
			defer input.Close()
			name := path
			if path == "-" {
				name = "standard input"
			}
			value, err := io.ReadAll(input)
			if err != nil {
				return fmt.Errorf("reading %s: %w", name, err)
			}
			config, err := loadConfig(c)
			if err != nil {
				return err
			}
			out, err := made(value, config)
			var rejection *churn.Rejection
			if errors.As(err, &rejection) {
				return fmt.Errorf("reading %s: %w\nTry: aftershock schema %s, which says what is expected", name, err, schema)
			}
			if err != nil {
				return err
			}
			return writeJSON(c.OutOrStdout(), out)
		},
	}
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
