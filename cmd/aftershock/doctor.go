package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/rules"
)

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check the configuration, that the servers answer, and the settings that guarantees rest on", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := loadConfig(c)
			if err != nil {
				return err
			}
			failed := 0
			report := func(what string, err error) bool {
				if err != nil {
					failed++
					fmt.Fprintf(c.OutOrStdout(), "FAIL  %s\n      %s\n", what, strings.ReplaceAll(err.Error(), "\n", "\n      "))
					return false
				}
				fmt.Fprintf(c.OutOrStdout(), "ok    %s\n", what)
				return true
			}
			report("configuration", nil)
			_, err = rules.LoadOrBuiltin(config.Evaluate.Rules)
			report("rule files", err)
			_, err = config.Models.Enrichment()
			report("models", err)
			pipeline.ExamineClickHouse(c.Context(), config, report)
			pipeline.ExamineKafka(c.Context(), config, report)
			pipeline.ExamineDestinations(c.Context(), config, report)
			if failed > 0 {
				return fmt.Errorf("%d checks failed", failed)
			}
			return nil
		},
	}
}
