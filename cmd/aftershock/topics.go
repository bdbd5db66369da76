package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/broker"
)

func topicsCommand() *cobra.Command {
	return group("topics", "Create and check the topics",
		&cobra.Command{
			Use: "create", Short: "Create the topics that are missing, with the settings that the guarantees need", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				return withKafka(c, func(kafka *broker.Connection) error {
					created, err := kafka.CreateTopics(c.Context(), kafka.Topics().Wanted())
					for _, topic := range created {
						fmt.Fprintln(c.OutOrStdout(), "created", topic)
					}
					if err == nil && len(created) == 0 {
						fmt.Fprintln(c.OutOrStdout(), "all topics exist")
					}
					return err
				})
			},
		},
		&cobra.Command{
			Use: "describe", Short: "Compare the topics with what the guarantees need; fails where a guarantee would not hold", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				return withKafka(c, func(kafka *broker.Connection) error {
					differences, err := kafka.DescribeTopics(c.Context(), kafka.Topics().Wanted())
					if err != nil {
						return err
					}
					broken := 0
					for _, d := range differences {
						fmt.Fprintln(c.OutOrStdout(), d)
						if d.Breaks {
							broken++
						}
					}
					if broken > 0 {
						return fmt.Errorf("%d settings break a guarantee", broken)
					}
					fmt.Fprintln(c.OutOrStdout(), "all topics are as they should be")
					return nil
				})
			},
		},
	)
}

// withKafka connects with the configuration, checks that the brokers answer, and works.
func withKafka(c *cobra.Command, work func(*broker.Connection) error) error {
	config, err := loadConfig(c)
	if err != nil {
		return err
	}
	kafka, err := broker.Connect(config.Kafka)
	if err != nil {
		return err
	}
	defer kafka.Close()
	if err := kafka.Check(c.Context()); err != nil {
		return err
	}
	return work(kafka)
}
