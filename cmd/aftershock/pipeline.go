package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn/attempts"
	"github.com/aftershock/aftershock/churn/hardness"
	"github.com/aftershock/aftershock/console"
	"github.com/aftershock/aftershock/consumers"
	election "github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/publish"
	"github.com/aftershock/aftershock/warehouse"
)

// pipeline is every part of the road, joined: Kafka -> consumers -> warehouse -> rules -> publish.
type pipeline struct {
	config    Config
	clock     func() time.Time
	writer    string // names this process in the logs that it writes
	registry  *prometheus.Registry
	kafka     *broker.Connection
	warehouse *warehouse.Warehouse
	consumers *consumers.Consumers
	election  *election.Election
	rules     *rulebook
	relays    []*publish.Relay // one for each destination, the Kafka topics first
	digesters []*publish.Digester
	metrics   *metrics
	notifyAll bool // time is simulated: what happened in it is told as it would have been
}

// assemble joins the parts; nothing runs yet. The caller closes the pipeline.
func assemble(config Config, clock func() time.Time) (*pipeline, error) {
	book, err := openRulebook(config.Evaluate)
	if err != nil {
		return nil, err
	}
	enrichment, err := config.Models.enrichment()
	if err != nil {
		return nil, err
	}
	kafka, err := broker.Connect(config.Kafka)
	if err != nil {
		return nil, err
	}
	store, err := warehouse.Open(config.ClickHouse, clock)
	if err != nil {
		kafka.Close()
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	relays, err := destinations(config, kafka, store, clock, registry)
	digesters, failed := digesters(config, store, clock)
	if err := errors.Join(err, failed); err != nil {
		kafka.Close()
		return nil, errors.Join(err, store.Close())
	}
	metrics := newMetrics(registry)
	metrics.follow(book.set)
	book.warehouse, book.metrics = store, metrics
	topics := kafka.Topics()
	host, _ := os.Hostname()
	return &pipeline{
		config: config, clock: clock, registry: registry, kafka: kafka, warehouse: store, rules: book, relays: relays, digesters: digesters,
		writer: fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:8]),
		consumers: &consumers.Consumers{
			Config: config.Consumers, Kafka: kafka, Store: store, Enrichment: enrichment, Clock: clock,
			Metrics: consumers.NewMetrics(registry, topics.Deals, topics.Tickets, topics.Feedback),
		},
		election: &election.Election{Config: config.Consumers, Kafka: kafka},
		metrics:  metrics,
	}, nil
}

func (p *pipeline) close() {
	p.kafka.Close()
	if err := p.warehouse.Close(); err != nil {
		slog.Warn("closing connections to ClickHouse", "error", err)
	}
}

// check refuses to start where Kafka or ClickHouse cannot be reached or is not as we need it.
func (p *pipeline) check(ctx context.Context) error {
	if err := p.warehouse.Ping(ctx); err != nil {
		return err
	}
	if err := p.warehouse.CheckSchema(ctx); err != nil {
		return err
	}
	if err := p.warehouse.CheckGuarantees(ctx); err != nil {
		return err
	}
	if err := p.warehouse.CheckGrants(ctx); err != nil {
		return err
	}
	if err := p.kafka.Check(ctx); err != nil {
		return err
	}
	if err := p.kafka.CheckAccess(ctx, p.config.access()); err != nil {
		return fmt.Errorf("checking what Kafka's ACLs allow:\n%w", err)
	}
	return p.checkTopics(ctx)
}

// checkTopics refuses to start where a topic is missing: waiting for it silently would look like a quiet day.
func (p *pipeline) checkTopics(ctx context.Context) error {
	differences, err := p.kafka.DescribeTopics(ctx, p.kafka.Topics().Wanted())
	if err != nil {
		return err
	}
	var missing []error
	for _, d := range differences {
		if d.Missing() {
			missing = append(missing, errors.New(d.String()))
			continue
		}
		slog.Warn("a topic is not as the guarantees need it; see aftershock doctor", "difference", d.String())
	}
	if len(missing) > 0 {
		return fmt.Errorf("checking the topics:\n%w", errors.Join(missing...))
	}
	return nil
}

// Roles of a process. A process without a role named takes all.
const (
	roleConsume  = "consume"
	roleEvaluate = "evaluate"
	roleConsole  = "console"
)

// run works until the context ends, in the given roles.
func (p *pipeline) run(ctx context.Context, roles map[string]bool) error {
	g, ctx := errgroup.WithContext(ctx)
	if roles[roleConsume] {
		g.Go(func() error { return p.consumers.Run(ctx) })
	}
	if roles[roleEvaluate] {
		g.Go(func() error { return p.hold(ctx) })
		g.Go(func() error { return p.rules.run(ctx) }) // also where another process holds: it may be our turn next
	}
	if roles[roleConsole] {
		server := &console.Server{Config: p.config.Console, Gather: p.registry, Ready: func() error {
			if roles[roleConsume] {
				return p.consumers.Ready()
			}
			return nil
		}}
		g.Go(func() error { return server.Run(ctx, nil) })
	}
	return g.Wait()
}

// hold keeps links, evaluates and publishes whenever this process is the holder, and steps down where another writes.
func (p *pipeline) hold(ctx context.Context) error {
	for ctx.Err() == nil {
		err := p.election.Lead(ctx, func(ctx context.Context, _ int32) error { return p.leader().run(ctx) })
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !deposed(err) {
			return err
		}
		slog.Warn("stepping down: another process writes", "error", err)
	}
	return nil
}

// untilIdle consumes what is there, brings links up to date, evaluates every tick due at or before until, publishes, and
// returns how many transitions that were.
func (p *pipeline) untilIdle(ctx context.Context, until time.Time, progress func(done, total int)) (published int, err error) {
	if err := p.consumers.RunUntilIdle(ctx); err != nil {
		return 0, err
	}
	err = p.election.Lead(ctx, func(ctx context.Context, _ int32) error {
		n, err := p.leader().runUntil(ctx, until, progress)
		published += n // it runs again where the generation was lost
		return err
	})
	return published, err
}

// moveOn brings links, alerts and destinations up to an instant, and returns how many records are not stored yet.
type moveOn func(ctx context.Context, until time.Time) (lag int64, err error)

// lapse is run where time is simulated: records are consumed as they come, and whenever this process leads, drive says how far time is.
func (p *pipeline) lapse(ctx context.Context, drive func(context.Context, moveOn) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.consumers.Run(ctx) })
	g.Go(func() error {
		return p.election.Lead(ctx, func(ctx context.Context, _ int32) error {
			leader := p.leader()
			if err := leader.open(ctx); err != nil {
				return err
			}
			return drive(ctx, func(ctx context.Context, until time.Time) (lag int64, err error) {
				if _, err := leader.catchUp(ctx, until, nil); err != nil {
					return 0, err
				}
				behind, err := leader.facts.Lag(ctx)
				for _, n := range behind {
					lag += n
				}
				return lag, err
			})
		})
	})
	return g.Wait()
}

// enrichment loads the models in force.
func (m ModelsConfig) enrichment() (consumers.Enrichment, error) {
	model, classifier := hardness.Default(), attempts.Default()
	if m.Hardness != "" {
		text, err := os.ReadFile(m.Hardness)
		if err != nil {
			return consumers.Enrichment{}, fmt.Errorf("reading models.hardness: %w", err)
		}
		if model, err = hardness.Load(text); err != nil {
			return consumers.Enrichment{}, fmt.Errorf("reading models.hardness %s: %w", m.Hardness, err)
		}
	}
	if m.Classifier != "" {
		text, err := os.ReadFile(m.Classifier)
		if err != nil {
			return consumers.Enrichment{}, fmt.Errorf("reading models.classifier: %w", err)
		}
		if classifier, err = attempts.Load(text); err != nil {
			return consumers.Enrichment{}, fmt.Errorf("reading models.classifier %s: %w", m.Classifier, err)
		}
	}
	return consumers.Enrichment{Score: model.Score, Classify: classifier.Classify}, nil
}
