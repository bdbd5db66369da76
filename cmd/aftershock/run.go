package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/warehouse"
)

// memoryLimit makes the garbage collector work harder before the process grows beyond it, where the container has no limit; of that
// of a container, so much is ours. GOMEMLIMIT goes before both.
const memoryLimit, shareOfContainer = 240 << 20, 0.8

func runCommand() *cobra.Command {
	var roles []string
	var untilIdle bool
	c := &cobra.Command{
		Use: "run", Short: "Run the pipeline until it is told to stop", Args: cobra.NoArgs,
		Long: `Run consumes deals and tickets, keeps links, evaluates rules at their ticks and publishes alerts. Any number of processes
may run; one of them, the leader, which holds the control partition, keeps links, evaluates and publishes. SIGTERM drains and ends.`,
	}
	c.Flags().StringSliceVar(&roles, "role", []string{pipeline.RoleConsume, pipeline.RoleEvaluate, pipeline.RoleConsole}, "what this process does: consume, evaluate, console")
	c.Flags().BoolVar(&untilIdle, "until-idle", false, "consume what is there, evaluate the ticks that are due, publish, and end")
	c.RunE = func(c *cobra.Command, _ []string) error {
		wanted := map[string]bool{}
		for _, role := range roles {
			if !slices.Contains([]string{pipeline.RoleConsume, pipeline.RoleEvaluate, pipeline.RoleConsole}, role) {
				return usageError{fmt.Errorf("--role %q is none of consume, evaluate, console", role)}
			}
			wanted[role] = true
		}
		config, err := loadConfig(c)
		if err != nil {
			return err
		}
		p, err := pipeline.Open(config, clock)
		if err != nil {
			return err
		}
		defer p.Close()
		if err := p.Check(c.Context()); err != nil {
			return err
		}
		limit := memlimit.ApplyFallback(memlimit.ApplyRatio(memlimit.FromCgroup, shareOfContainer), memlimit.Limit(memoryLimit))
		if _, err := memlimit.Set(memlimit.WithRatio(1), memlimit.WithProvider(limit)); err != nil {
			return err
		}
		if untilIdle {
			bar := newBar("ticks")
			published, err := p.UntilIdle(c.Context(), p.Clock(), bar.to)
			bar.end()
			if err != nil {
				return err
			}
			counts, err := p.Warehouse.Counts(c.Context())
			if err != nil {
				return err
			}
			return json.NewEncoder(c.OutOrStdout()).Encode(struct {
				warehouse.Counts
				AlertsPublished int `json:"alerts_published"`
			}{counts, published})
		}
		slog.Info("running", "roles", strings.Join(roles, ","), "console", config.Console.Listen)
		return p.Run(c.Context(), wanted)
	}
	return c
}

func migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Bring the warehouse's schema up to date; refuses a schema that is newer", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withWarehouse(c, func(w *warehouse.Warehouse) error {
				if err := w.Migrate(c.Context()); err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "the schema of %s is up to date\n", w.Database())
				return nil
			})
		},
	}
}

// withWarehouse prepares a connection with the configuration, and works.
func withWarehouse(c *cobra.Command, work func(*warehouse.Warehouse) error) error {
	config, err := loadConfig(c)
	if err != nil {
		return err
	}
	w, err := warehouse.Open(config.ClickHouse, clock)
	if err != nil {
		return err
	}
	defer w.Close()
	return work(w)
}

// withSchema is withWarehouse where the schema is this build's.
func withSchema(c *cobra.Command, work func(*warehouse.Warehouse) error) error {
	return withWarehouse(c, func(w *warehouse.Warehouse) error {
		if err := w.CheckSchema(c.Context()); err != nil {
			return err
		}
		return work(w)
	})
}
