package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/embedded"
)

func sandboxCommand() *cobra.Command {
	var dataDir string
	var native, http, kafka int
	c := &cobra.Command{
		Use: "sandbox", Short: "Start only the embedded ClickHouse and broker, and print their addresses", Args: cobra.NoArgs,
		Long: `Sandbox starts an embedded ClickHouse and a Kafka-protocol broker on loopback, prints their addresses as environment
variables, and runs until it is told to stop.`,
		Example: "  aftershock sandbox --data-dir ./sandbox > sandbox.env &\n  . ./sandbox.env && aftershock migrate && aftershock topics create && aftershock run",
	}
	c.Flags().StringVar(&dataDir, "data-dir", "", "keep the data here (default: nothing is kept)")
	c.Flags().IntVar(&native, "clickhouse-port", 0, "port of ClickHouse's native protocol (default: a free one)")
	c.Flags().IntVar(&http, "clickhouse-http-port", 0, "port of ClickHouse's HTTP interface (default: a free one)")
	c.Flags().IntVar(&kafka, "kafka-port", 0, "port of the broker (default: a free one)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := embedded.StartServers(c.Context(), embedded.ServersOptions{DataDir: dataDir, NativePort: native, HTTPPort: http, KafkaPort: kafka})
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "export AFTERSHOCK_CLICKHOUSE_ADDR=%s\nexport AFTERSHOCK_KAFKA_BROKERS=%s\n# SQL over HTTP: http://%s\n",
			s.ClickHouse.Addr(), s.Broker.Addrs()[0], s.ClickHouse.HTTPAddr())
		select {
		case <-c.Context().Done():
		case <-s.ClickHouse.Done():
			return errors.Join(fmt.Errorf("the embedded ClickHouse ended: %w", s.ClickHouse.Err()), s.Stop())
		}
		return s.Stop()
	}
	return c
}
