package embedded

import (
	"context"
	"errors"
	"path/filepath"
)

// Servers are a ClickHouse and a Kafka-protocol broker: all that a pipeline needs.
type Servers struct {
	ClickHouse *ClickHouse
	Broker     *Broker
}

// ServersOptions say where the data lie and on which ports the servers listen; 0 is a free port.
type ServersOptions struct {
	DataDir                         string // empty: nothing is kept
	NativePort, HTTPPort, KafkaPort int
}

// StartServers starts both, with their data below the folder, or without a trace where it is empty.
func StartServers(ctx context.Context, o ServersOptions) (*Servers, error) {
	var chDir, kafkaDir string
	if o.DataDir != "" {
		chDir, kafkaDir = filepath.Join(o.DataDir, "clickhouse"), filepath.Join(o.DataDir, "kafka")
	}
	ch, err := StartClickHouse(ctx, ClickHouseOptions{DataDir: chDir, NativePort: o.NativePort, HTTPPort: o.HTTPPort})
	if err != nil {
		return nil, err
	}
	b, err := StartBroker(ctx, BrokerOptions{DataDir: kafkaDir, Port: o.KafkaPort})
	if err != nil {
		return nil, errors.Join(err, ch.Stop(context.WithoutCancel(ctx)))
	}
	return &Servers{ch, b}, nil
}

// Stop stops both, each within a bound of its own.
func (s *Servers) Stop() error {
	ctx := context.Background()
	return errors.Join(s.Broker.Stop(ctx), s.ClickHouse.Stop(ctx))
}
