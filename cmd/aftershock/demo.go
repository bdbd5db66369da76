package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/govalues/decimal"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/embedded"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/simulate"
	"github.com/aftershock/aftershock/warehouse"
)

// demo is the whole pipeline on embedded servers, over simulated history and then, in time lapse, on.
type demo struct {
	history history
	dataDir string
	once    bool
	asJSON  bool
	day     time.Duration // wall time of a simulated day, live
	servers string        // embedded, or those of the configuration

	alertmanagers []string // addresses

	out      io.Writer
	now      atomic.Int64 // the demo's own clock, Unix milliseconds
	config   pipeline.Config
	pipeline *pipeline.Pipeline
	began    time.Time
}

// history is what the data directory remembers of the simulation, so that a second run goes on with the same clients.
type history struct {
	Seed        uint64    `json:"seed"`
	Accounts    int       `json:"accounts"`
	HazardRatio float64   `json:"hazard_ratio"`
	From        time.Time `json:"from"`
	At          time.Time `json:"at"` // the end of the history
	Records     int       `json:"records"`
	Servers     string    `json:"servers,omitempty"` // where it lies, if not on embedded servers
}

// Servers that a demo may run on.
const (
	embeddedServers   = "embedded"
	configuredServers = "configured"
)

// demoSchedule replaces the rules' own schedules, which look every few minutes: once a day over two years of history.
const demoSchedule = "0 6 * * *"

func demoCommand() *cobra.Command {
	d := &demo{}
	sim := simulate.DefaultConfig()
	var at, logLevel string
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
	f.BoolVar(&d.once, "once", false, "end after the history")
	f.BoolVar(&d.asJSON, "json", false, "print one JSON object as the last line")
	f.StringVar(&at, "at", "", "end of the history, RFC 3339 (default: the start of this day, or what --data-dir remembers)")
	f.IntVar(&days, "days", 0, "length of the history in days (default: two years)")
	f.StringVar(&d.dataDir, "data-dir", "", "keep the data here; a second run goes on with it (default: nothing is kept)")
	f.StringVar(&d.servers, "servers", embeddedServers, "embedded, or configured: those of the configuration")
	f.IntVar(&sim.Accounts, "accounts", sim.Accounts, "number of clients")
	f.Uint64Var(&sim.Seed, "seed", sim.Seed, "seed of the simulation")
	f.Float64Var(&sim.HazardRatio, "hazard-ratio", sim.HazardRatio, "hazard of churn of hard over soft; 1: hardness does not matter")
	f.DurationVar(&d.day, "day", 4*time.Second, "how long a simulated day takes, live")
	f.StringSliceVar(&d.alertmanagers, "alertmanager", nil, "show alerts in the Alertmanager at this address, such as http://localhost:9093")
	f.StringVar(&logLevel, "log", "warn", "log level: debug, info, warn, error")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var level slog.Level
		if err := level.UnmarshalText([]byte(logLevel)); err != nil {
			return usageError{fmt.Errorf("--log: %w", err)}
		}
		if err := d.configure(c); err != nil {
			return err
		}
		if d.servers == embeddedServers || c.Flags().Changed("log") { // else the configuration has said it
			slog.SetDefault(slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level})))
		}
		end := time.Now().UTC().Truncate(24 * time.Hour)
		if at != "" {
			var err error
			if end, err = time.Parse(time.RFC3339, at); err != nil {
				return usageError{fmt.Errorf("--at %q is not an RFC 3339 time such as 2026-01-31T00:00:00Z", at)}
			}
		}
		d.history = history{Seed: sim.Seed, Accounts: sim.Accounts, HazardRatio: sim.HazardRatio, From: end.AddDate(-2, 0, 0).UTC(), At: end.UTC(), Servers: d.place()}
		if days < 0 {
			return usageError{fmt.Errorf("--days %d is not above 0", days)}
		} else if days > 0 {
			d.history.From = d.history.At.AddDate(0, 0, -days)
		}
		if err := d.recall(at != ""); err != nil {
			return err
		}
		d.out = c.OutOrStdout()
		return d.run(c.Context(), c.ErrOrStderr())
	}
	return c
}

func (d *demo) manifest() string { return filepath.Join(d.dataDir, "demo.json") }

// recall goes on with the history in the data directory. Only its end may be named again, and must then be the same.
func (d *demo) recall(endNamed bool) error {
	if d.dataDir == "" {
		return nil
	}
	text, err := os.ReadFile(d.manifest())
	if errors.Is(err, os.ErrNotExist) {
		return os.MkdirAll(d.dataDir, 0o755)
	}
	if err != nil {
		return fmt.Errorf("reading what the data directory remembers: %w", err)
	}
	var old history
	if err := json.Unmarshal(text, &old); err != nil {
		return fmt.Errorf("reading %s: %w", d.manifest(), err)
	}
	if endNamed && !old.At.Equal(d.history.At) {
		return fmt.Errorf("%s holds a history that ends at %s, not at %s: leave --at out, or choose another --data-dir", d.dataDir, old.At.Format(time.RFC3339), d.history.At.Format(time.RFC3339))
	}
	if old.Servers != d.history.Servers {
		return fmt.Errorf("%s holds a history that lies on %s, not on %s: choose another --data-dir", d.dataDir, orEmbedded(old.Servers), orEmbedded(d.history.Servers))
	}
	d.history = old
	return nil
}

// configure decides where the demo runs.
func (d *demo) configure(c *cobra.Command) (err error) {
	switch d.servers {
	case embeddedServers:
		d.config = pipeline.DefaultConfig()
		d.config.Kafka.Topics.Replication = 1
	case configuredServers:
		d.config, err = loadConfig(c)
	default:
		err = usageError{fmt.Errorf("--servers %q is neither embedded nor configured", d.servers)}
	}
	if err == nil && len(d.alertmanagers) > 0 {
		d.config.Publish.Alertmanager.URLs = d.alertmanagers
		if wrong := d.config.Publish.Validate(); wrong != nil {
			err = usageError{fmt.Errorf("--alertmanager: %w", wrong)}
		}
	}
	return err
}

// place names servers of one's own.
func (d *demo) place() string {
	if d.servers == embeddedServers {
		return ""
	}
	return fmt.Sprintf("ClickHouse at %s, database %s, and Kafka at %s", d.config.ClickHouse.Addr, d.config.ClickHouse.Database, strings.Join(d.config.Kafka.Brokers, ","))
}

func orEmbedded(place string) string {
	if place == "" {
		return "embedded servers"
	}
	return place
}

func (d *demo) remember() error {
	if d.dataDir == "" {
		return nil
	}
	text, err := json.MarshalIndent(d.history, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(d.manifest(), append(text, '\n'), 0o644)
}

func (d *demo) clock() time.Time { return time.UnixMilli(d.now.Load()).UTC() }

func (d *demo) run(ctx context.Context, progress io.Writer) (err error) {
	d.began = time.Now()
	d.now.Store(d.history.At.UnixMilli())
	say := func(format string, args ...any) { fmt.Fprintf(progress, format+"\n", args...) }
	if d.servers == embeddedServers {
		say("starting an embedded ClickHouse and broker")
		var started *embedded.Servers
		if started, err = embedded.StartServers(ctx, embedded.ServersOptions{DataDir: d.dataDir}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, started.Stop()) }()
		d.config.On(started)
	} else {
		say("using %s", d.place())
	}
	d.config.Evaluate.Schedule, d.config.Evaluate.From = demoSchedule, d.history.From.Format(time.RFC3339)
	if d.pipeline, err = pipeline.Open(d.config, d.clock); err != nil {
		return err
	}
	defer d.pipeline.Close()
	d.pipeline.NotifyAll = true
	if err := d.prepare(ctx); err != nil {
		return err
	}
	simulation, err := simulate.New(d.simulation())
	if err != nil {
		return err
	}
	if d.history.Records == 0 {
		say("simulating %d clients from %s until %s", d.history.Accounts, d.history.From.Format(time.DateOnly), d.history.At.Format(time.DateOnly))
		if err := d.simulateHistory(ctx, simulation); err != nil {
			return err
		}
	}
	say("%d records; reading, linking, and evaluating every day of %d", d.history.Records, int(d.history.At.Sub(d.history.From).Hours()/24))
	show := newBar("daily ticks")
	published, err := d.pipeline.UntilIdle(ctx, d.history.At, show.to)
	show.end()
	if err != nil {
		return err
	}
	counts, err := d.pipeline.Warehouse.Counts(ctx)
	if err != nil {
		return err
	}
	if got := counts.Events + counts.Duplicates + counts.DeadLetters; got != uint64(d.history.Records) {
		return fmt.Errorf("%d records were simulated, but %d stored + %d duplicates + %d dead letters are %d", d.history.Records, counts.Events, counts.Duplicates, counts.DeadLetters, got)
	}
	if err := d.show(ctx, nil); err != nil {
		return err
	}
	if !d.once {
		if err := d.live(ctx, simulation); err != nil {
			return err
		}
	}
	return d.end(counts, published)
}

func (d *demo) simulation() simulate.Config {
	c := simulate.DefaultConfig()
	c.Seed, c.Accounts, c.HazardRatio, c.From, c.To = d.history.Seed, d.history.Accounts, d.history.HazardRatio, d.history.From, d.history.At
	return c
}

// prepare makes what is missing of schema and topics, and exchange rates, which are made up like the clients.
func (d *demo) prepare(ctx context.Context) error {
	kafka, store := d.pipeline.Kafka, d.pipeline.Warehouse
	if err := errors.Join(store.Ping(ctx), kafka.Check(ctx)); err != nil {
		return err
	}
	if d.history.Records == 0 {
		if err := d.refuseOthers(ctx); err != nil {
			return err
		}
	}
	// Only what is missing: who runs the pipeline may not be who makes tables and topics.
	if store.CheckSchema(ctx) != nil {
		if err := store.Migrate(ctx); err != nil {
			return err
		}
	}
	if d.pipeline.CheckTopics(ctx) != nil {
		if _, err := kafka.CreateTopics(ctx, kafka.Topics().Wanted()); err != nil {
			return err
		}
	}
	if err := d.pipeline.Check(ctx); err != nil {
		return err
	}
	long := d.history.From.AddDate(-1, 0, 0)
	return d.pipeline.Warehouse.StoreRates(ctx, []churn.Rate{
		{Currency: "EUR", Rate: decimal.MustParse("1.08"), ValidFrom: long},
		{Currency: "GBP", Rate: decimal.MustParse("1.27"), ValidFrom: long},
	})
}

// refuseOthers keeps made-up clients away from real ones.
func (d *demo) refuseOthers(ctx context.Context) error {
	const try = "the demo's clients are made up and must not mix with others: set clickhouse.database and kafka.topics to names that are free"
	held, err := d.pipeline.Warehouse.RowsHeld(ctx)
	if err != nil {
		return err
	}
	if len(held) > 0 {
		return fmt.Errorf("the database %s holds data already (in %s): %s", d.config.ClickHouse.Database, strings.Join(slices.Sorted(maps.Keys(held)), ", "), try)
	}
	kafka := d.pipeline.Kafka
	var wanted []string
	for _, topic := range kafka.Topics().Wanted() {
		wanted = append(wanted, topic.Name)
	}
	existing, err := kafka.Partitions(ctx, wanted...)
	if err != nil || len(existing) == 0 {
		return err
	}
	ranges, err := kafka.Ranges(ctx, slices.Collect(maps.Keys(existing))...)
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for partition, r := range ranges {
		if r.End > 0 {
			used[partition.Topic] = true
		}
	}
	if len(used) > 0 {
		return fmt.Errorf("topics hold records already (%s): %s", strings.Join(slices.Sorted(maps.Keys(used)), ", "), try)
	}
	return nil
}

func (d *demo) simulateHistory(ctx context.Context, s *simulate.Simulation) error {
	p := broker.NewProducer(d.pipeline.Kafka)
	for r := range s.Records() {
		if err := p.Add(ctx, topicOf(r, d.pipeline.Kafka.Topics()), r.Key, r.Value, r.KnownAt); err != nil {
			return errors.Join(err, p.Close())
		}
	}
	if err := errors.Join(p.Flush(ctx), p.Close()); err != nil {
		return err
	}
	d.history.Records = p.Sent()
	return d.remember()
}

// end prints what was done.
func (d *demo) end(counts warehouse.Counts, published int) error {
	if !d.asJSON {
		return nil
	}
	return json.NewEncoder(d.out).Encode(struct {
		Events int `json:"events"` // simulated records
		warehouse.Counts
		AlertsPublished int     `json:"alerts_published"` // by this run
		Seconds         float64 `json:"seconds"`
	}{d.history.Records, counts, published, time.Since(d.began).Round(100 * time.Millisecond).Seconds()})
}

// onTerminal reports whether a person looks at the output.
func (d *demo) onTerminal() bool {
	file, ok := d.out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
