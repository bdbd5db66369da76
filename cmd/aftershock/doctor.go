package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/pipeline"
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
			pipeline.Examine(c.Context(), config, report)
			if failed > 0 {
				return fmt.Errorf("%d checks failed", failed)
			}
			return nil
		},
	}
}
