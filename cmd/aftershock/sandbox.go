package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/embedded"
)

// servers are an embedded ClickHouse and an embedded Kafka-protocol broker.
type servers struct {
	clickhouse *embedded.ClickHouse
	broker     *embedded.Broker
}

// startServers starts both, with their data below dataDir, or without a trace where dataDir is empty.
func startServers(ctx context.Context, dataDir string, nativePort, httpPort, kafkaPort int) (*servers, error) {
	var chDir, kafkaDir string
	if dataDir != "" {
		chDir, kafkaDir = filepath.Join(dataDir, "clickhouse"), filepath.Join(dataDir, "kafka")
	}
	ch, err := embedded.StartClickHouse(ctx, embedded.ClickHouseOptions{DataDir: chDir, NativePort: nativePort, HTTPPort: httpPort})
	if err != nil {
		return nil, err
	}
	b, err := embedded.StartBroker(ctx, embedded.BrokerOptions{DataDir: kafkaDir, Port: kafkaPort})
	if err != nil {
		return nil, errors.Join(err, ch.Stop(context.WithoutCancel(ctx)))
	}
	return &servers{ch, b}, nil
}

// point makes a configuration use these servers.
func (s *servers) point(c *Config) {
	c.Kafka.Brokers = s.broker.Addrs()
	c.ClickHouse.Addr = s.clickhouse.Addr()
}

func (s *servers) stop() error {
	ctx := context.Background() // each stop has a bound of its own
	return errors.Join(s.broker.Stop(ctx), s.clickhouse.Stop(ctx))
}

func sandboxCommand() *cobra.Command {
	var dataDir string
	var native, http, kafka int
	c := &cobra.Command{
		Use: "sandbox", Short: "Start only the embedded ClickHouse and broker, and print their addresses", Args: cobra.NoArgs,
		Long: `Sandbox starts an embedded ClickHouse and a Kafka-protocol broker on loopback and prints their addresses as environment
variables, then runs until it is told to stop. In another terminal:

  eval "$(aftershock sandbox | tee /dev/stderr)"`,
		Example: "  aftershock sandbox --data-dir ./sandbox > sandbox.env &\n  . ./sandbox.env && aftershock migrate && aftershock topics create && aftershock run",
	}
	c.Long = "Sandbox starts an embedded ClickHouse and a Kafka-protocol broker on loopback, prints their addresses as environment\nvariables, and runs until it is told to stop."
	c.Flags().StringVar(&dataDir, "data-dir", "", "keep the data here (default: nothing is kept)")
	c.Flags().IntVar(&native, "clickhouse-port", 0, "port of ClickHouse's native protocol (default: a free one)")
	c.Flags().IntVar(&http, "clickhouse-http-port", 0, "port of ClickHouse's HTTP interface (default: a free one)")
	c.Flags().IntVar(&kafka, "kafka-port", 0, "port of the broker (default: a free one)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := startServers(c.Context(), dataDir, native, http, kafka)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "export AFTERSHOCK_CLICKHOUSE_ADDR=%s\nexport AFTERSHOCK_KAFKA_BROKERS=%s\n# SQL over HTTP: http://%s\n",
			s.clickhouse.Addr(), s.broker.Addrs()[0], s.clickhouse.HTTPAddr())
		select {
		case <-c.Context().Done():
		case <-s.clickhouse.Done():
			return errors.Join(fmt.Errorf("the embedded ClickHouse ended: %w", s.clickhouse.Err()), s.stop())
		}
		return s.stop()
	}
	return c
}
