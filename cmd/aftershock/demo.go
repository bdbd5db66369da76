package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/demo"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/simulate"
)

// Servers that a demo may run on.
const (
	embeddedServers   = "embedded"
	configuredServers = "configured"
)

func demoCommand() *cobra.Command {
	sim := simulate.DefaultConfig()
	d := &demo.Demo{Accounts: sim.Accounts, Seed: sim.Seed, Hazard: sim.HazardRatio}
	var at, logLevel, servers string
	var alertmanagers []string
	var days int
	c := &cobra.Command{
		Use: "demo", Short: "Run everything on embedded servers with simulated clients", Args: cobra.NoArgs,
		Long: `Demo starts an embedded ClickHouse and broker, simulates two years of clients, runs the whole pipeline over that history
with daily ticks, and then goes on in time lapse. Nothing needs to be installed and nothing leaves this machine.

With --servers configured it does the same on the Kafka and ClickHouse of the configuration. Database and topics are made where they
are missing; those that hold anything already are refused, as the clients are made up.`,
		Example: "  aftershock demo\n  aftershock demo --config trial.yaml --servers configured --days 30 --once",
	}
	f := c.Flags()
	f.BoolVar(&d.Once, "once", false, "end after the history")
	f.BoolVar(&d.JSON, "json", false, "print one JSON object as the last line")
	f.StringVar(&at, "at", "", "end of the history, RFC 3339 (default: the start of this day, or what --data-dir remembers)")
	f.IntVar(&days, "days", 0, "length of the history in days (default: two years)")
	f.StringVar(&d.DataDir, "data-dir", "", "keep the data here; a second run goes on with it (default: nothing is kept)")
	f.StringVar(&servers, "servers", embeddedServers, "embedded, or configured: those of the configuration")
	f.IntVar(&d.Accounts, "accounts", d.Accounts, "number of clients")
	f.Uint64Var(&d.Seed, "seed", d.Seed, "seed of the simulation")
	f.Float64Var(&d.Hazard, "hazard-ratio", d.Hazard, "hazard of churn of hard over soft; 1: hardness does not matter")
	f.DurationVar(&d.Day, "day", 4*time.Second, "how long a simulated day takes, live")
	f.StringSliceVar(&alertmanagers, "alertmanager", nil, "show alerts in the Alertmanager at this address, such as http://localhost:9093")
	f.StringVar(&logLevel, "log", "warn", "log level: debug, info, warn, error")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var level slog.Level
		if err := level.UnmarshalText([]byte(logLevel)); err != nil {
			return usageError{fmt.Errorf("--log: %w", err)}
		}
		var err error
		if d.Config, err = demoConfig(c, servers, alertmanagers); err != nil {
			return err
		}
		d.Embedded = servers == embeddedServers
		if d.Embedded || c.Flags().Changed("log") { // else the configuration has said it
			slog.SetDefault(slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level})))
		}
		end := clock().UTC().Truncate(24 * time.Hour)
		if at != "" {
			if end, err = time.Parse(time.RFC3339, at); err != nil {
				return usageError{fmt.Errorf("--at %q is not an RFC 3339 time such as 2026-01-31T00:00:00Z", at)}
			}
		}
		d.From, d.At = end.AddDate(-2, 0, 0), end
		if days < 0 {
			return usageError{fmt.Errorf("--days %d is not above 0", days)}
		} else if days > 0 {
			d.From = end.AddDate(0, 0, -days)
		}
		d.Out, d.Says = c.OutOrStdout(), c.ErrOrStderr()
		d.Progress = func(what string) (func(done, total int), func()) {
			show := newBar(what)
			return show.to, show.end
		}
		return d.Run(c.Context(), at != "")
	}
	return c
}

// demoConfig decides where the demo runs.
func demoConfig(c *cobra.Command, servers string, alertmanagers []string) (config pipeline.Config, err error) {
	switch servers {
	case embeddedServers:
		config = pipeline.DefaultConfig()
		config.Kafka.Topics.Replication = 1
	case configuredServers:
		config, err = loadConfig(c)
	default:
		err = usageError{fmt.Errorf("--servers %q is neither embedded nor configured", servers)}
	}
	if err == nil && len(alertmanagers) > 0 {
		config.Publish.Alertmanager.URLs = alertmanagers
		if wrong := config.Publish.Validate(); wrong != nil {
			err = usageError{fmt.Errorf("--alertmanager: %w", wrong)}
		}
	}
	return config, err
}
