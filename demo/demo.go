// Package demo is the show: embedded servers, or those of a configuration, simulated clients over two years of history, the whole
// pipeline over it with daily ticks, and then on in time lapse, with a screen of what revenue operations would look at.
//
// Nothing in it is part of the pipeline: it simulates records, drives time and paints.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/govalues/decimal"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/embedded"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/simulate"
	"github.com/aftershock/aftershock/warehouse"
)

// Demo is one show. Its exported fields are set before Run.
type Demo struct {
	Config   pipeline.Config // where it runs, and how
	Embedded bool            // on embedded servers of its own, and not on those of the configuration
	DataDir  string          // where it is kept; empty: nowhere
	Accounts int             // clients
	Seed     uint64
	Hazard   float64       // ratio of the hazards of churn of hard over soft; 1: hardness does not matter
	From, At time.Time     // the history
	Once     bool          // ends after the history
	JSON     bool          // ends with one JSON object
	Day      time.Duration // wall time of a simulated day, after the history
	Out      io.Writer
	Says     io.Writer // what is being done, for a person
	// Progress shows how far the ticks are; it returns what moves it and what ends it.
	Progress func(what string) (to func(done, total int), end func())

	history  history
	now      atomic.Int64 // the demo's own clock, Unix milliseconds
	pipeline *pipeline.Pipeline
	began    time.Time
}

// schedule replaces the rules' own schedules, which look every few minutes: once a day over two years of history.
const schedule = "0 6 * * *"

func (d *Demo) clock() time.Time { return time.UnixMilli(d.now.Load()).UTC() }

// Run shows it. Where an end of the history was named, one that the data directory remembers must be the same.
func (d *Demo) Run(ctx context.Context, endNamed bool) (err error) {
	d.began = time.Now()
	d.history = history{Seed: d.Seed, Accounts: d.Accounts, HazardRatio: d.Hazard, From: d.From.UTC(), At: d.At.UTC(), Servers: d.place()}
	if err := d.recall(endNamed); err != nil {
		return err
	}
	d.now.Store(d.history.At.UnixMilli())
	say := func(format string, args ...any) { fmt.Fprintf(d.Says, format+"\n", args...) }
	if d.Embedded {
		say("starting an embedded ClickHouse and broker")
		var started *embedded.Servers
		if started, err = embedded.StartServers(ctx, embedded.ServersOptions{DataDir: d.DataDir}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, started.Stop()) }()
		d.Config.On(started)
	} else {
		say("using %s", d.place())
	}
	d.Config.Evaluate.Schedule, d.Config.Evaluate.From = schedule, d.history.From.Format(time.RFC3339)
	if d.pipeline, err = pipeline.Open(d.Config, d.clock); err != nil {
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
	counts, published, err := d.evaluate(ctx, say)
	if err != nil {
		return err
	}
	if err := d.show(ctx, nil); err != nil {
		return err
	}
	if !d.Once {
		if err := d.live(ctx, simulation); err != nil {
			return err
		}
	}
	return d.end(counts, published)
}

// evaluate runs the pipeline over the history, and accounts for every record of it.
func (d *Demo) evaluate(ctx context.Context, say func(string, ...any)) (counts warehouse.Counts, published int, err error) {
	say("%d records; reading, linking, and evaluating every day of %d", d.history.Records, int(d.history.At.Sub(d.history.From).Hours()/24))
	to, done := d.Progress("daily ticks")
	published, err = d.pipeline.UntilIdle(ctx, d.history.At, to)
	done()
	if err != nil {
		return counts, published, err
	}
	counts, err = d.pipeline.Warehouse.Counts(ctx)
	if err != nil {
		return counts, published, err
	}
	if got := counts.Events + counts.Duplicates + counts.DeadLetters; got != uint64(d.history.Records) {
		return counts, published, fmt.Errorf("%d records were simulated, but %d stored + %d duplicates + %d dead letters are %d", d.history.Records, counts.Events, counts.Duplicates, counts.DeadLetters, got)
	}
	return counts, published, nil
}

// prepare makes what is missing of schema and topics, and exchange rates, which are made up like the clients.
func (d *Demo) prepare(ctx context.Context) error {
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
func (d *Demo) refuseOthers(ctx context.Context) error {
	const try = "the demo's clients are made up and must not mix with others: set clickhouse.database and kafka.topics to names that are free"
	held, err := d.pipeline.Warehouse.RowsHeld(ctx)
	if err != nil {
		return err
	}
	if len(held) > 0 {
		return fmt.Errorf("the database %s holds data already (in %s): %s", d.Config.ClickHouse.Database, strings.Join(slices.Sorted(maps.Keys(held)), ", "), try)
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

// end prints what was done.
func (d *Demo) end(counts warehouse.Counts, published int) error {
	if !d.JSON {
		return nil
	}
	return json.NewEncoder(d.Out).Encode(struct {
		Events int `json:"events"` // simulated records
		warehouse.Counts
		AlertsPublished int     `json:"alerts_published"` // by this run
		Seconds         float64 `json:"seconds"`
	}{d.history.Records, counts, published, time.Since(d.began).Round(100 * time.Millisecond).Seconds()})
}
