package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/warehouse"
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
			_, err = config.Models.enrichment()
			report("models", err)
			examineClickHouse(c.Context(), config, report)
			examineKafka(c.Context(), config, report)
			examineDestinations(c.Context(), config, report)
			if failed > 0 {
				return fmt.Errorf("%d checks failed", failed)
			}
			return nil
		},
	}
}

func examineClickHouse(ctx context.Context, config Config, report func(string, error) bool) {
	at := "ClickHouse at " + config.ClickHouse.Addr
	w, err := warehouse.Open(config.ClickHouse, time.Now)
	if err != nil {
		report(at, err)
		return
	}
	defer w.Close()
	if !report(at+" answers", w.Ping(ctx)) {
		return
	}
	if version, err := w.Version(ctx); report("its version "+version, err) && report("schema", w.CheckSchema(ctx)) {
		report("settings that the guarantees rest on", w.CheckGuarantees(ctx))
		report("grants of the user "+config.ClickHouse.User, w.CheckGrants(ctx))
	}
}

func examineKafka(ctx context.Context, config Config, report func(string, error) bool) {
	at := fmt.Sprintf("Kafka at %v", config.Kafka.Brokers)
	kafka, err := broker.Connect(config.Kafka)
	if err != nil {
		report(at, err)
		return
	}
	defer kafka.Close()
	if !report(at+" answers", kafka.Check(ctx)) {
		return
	}
	if !report("ACLs", kafka.CheckAccess(ctx, config.access())) {
		return // what the brokers tell of topics depends on them
	}
	differences, err := kafka.DescribeTopics(ctx, kafka.Topics().Wanted())
	var broken []error
	for _, d := range differences {
		if d.Breaks {
			broken = append(broken, errors.New(d.String()))
		}
	}
	report("topics", errors.Join(append(broken, err)...))
}
