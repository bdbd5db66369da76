package pipeline

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
	"github.com/aftershock/aftershock/console"
	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/publish"
	"github.com/aftershock/aftershock/warehouse"
)

// Pipeline is every part of the road, joined: Kafka -> consumers -> warehouse -> rules -> publish.
type Pipeline struct {
	Config    Config
	Clock     func() time.Time
	writer    string // names this process in the logs that it writes
	Registry  *prometheus.Registry
	Kafka     *broker.Connection
	Warehouse *warehouse.Warehouse
	Consumers *consumers.Consumers
	election  *Election
	rules     *rulebook
	relays    []*publish.Relay // one for each destination, the Kafka topics first
	digesters []*publish.Digester
	metrics   *metrics
	NotifyAll bool // time is simulated: what happened in it is told as it would have been
}

// Open joins the parts; nothing runs yet. The caller closes the pipeline.
func Open(config Config, clock func() time.Time) (*Pipeline, error) {
	book, err := openRulebook(config.Evaluate)
	if err != nil {
		return nil, err
	}
	enrichment, err := config.Models.Enrichment()
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
	book.warehouse, book.kafka, book.metrics = store, kafka, metrics
	topics := kafka.Topics()
	host, _ := os.Hostname()
	return &Pipeline{
		Config: config, Clock: clock, Registry: registry, Kafka: kafka, Warehouse: store, rules: book, relays: relays, digesters: digesters,
		writer: fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:8]),
		Consumers: &consumers.Consumers{
			Config: config.Consumers, Kafka: kafka, Store: store, Enrichment: enrichment, Clock: clock,
			Metrics: consumers.NewMetrics(registry, topics.Deals, topics.Tickets, topics.Feedback),
		},
		election: &Election{Config: config.Consumers, Kafka: kafka},
		metrics:  metrics,
	}, nil
}

func (p *Pipeline) Close() {
	p.Kafka.Close()
	if err := p.Warehouse.Close(); err != nil {
		slog.Warn("closing connections to ClickHouse", "error", err)
	}
}

// Roles of a process. A process without a role named takes all.
const (
	RoleConsume  = "consume"
	RoleEvaluate = "evaluate"
	RoleConsole  = "console"
)

// Run works until the context ends, in the given roles.
func (p *Pipeline) Run(ctx context.Context, roles map[string]bool) error {
	g, ctx := errgroup.WithContext(ctx)
	if roles[RoleConsume] {
		g.Go(func() error { return p.Consumers.Run(ctx) })
	}
	if roles[RoleEvaluate] {
		g.Go(func() error { return p.hold(ctx) })
		g.Go(func() error { return p.rules.run(ctx) }) // also where another process holds: it may be our turn next
	}
	if roles[RoleConsole] {
		server := &console.Server{Config: p.Config.Console, Gather: p.Registry, Ready: func() error {
			if roles[RoleConsume] {
				return p.Consumers.Ready()
			}
			return nil
		}}
		g.Go(func() error { return server.Run(ctx, nil) })
	}
	return g.Wait()
}

// hold keeps links, evaluates and publishes whenever this process is the leader, and steps down where another writes.
func (p *Pipeline) hold(ctx context.Context) error {
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

// UntilIdle consumes what is there, brings links up to date, evaluates every tick due at or before until, publishes, and
// returns how many transitions that were.
func (p *Pipeline) UntilIdle(ctx context.Context, until time.Time, progress func(done, total int)) (published int, err error) {
	if err := p.Consumers.RunUntilIdle(ctx); err != nil {
		return 0, err
	}
	err = p.election.Lead(ctx, func(ctx context.Context, _ int32) error {
		n, err := p.leader().runUntil(ctx, until, progress)
		published += n // it runs again where the generation was lost
		return err
	})
	return published, err
}

// MoveOn brings links, alerts and destinations up to an instant, and returns how many records are not stored yet.
type MoveOn func(ctx context.Context, until time.Time) (lag int64, err error)

// Lapse is run where time is simulated: records are consumed as they come, and whenever this process leads, drive says how far time is.
func (p *Pipeline) Lapse(ctx context.Context, drive func(context.Context, MoveOn) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.Consumers.Run(ctx) })
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
				facts, err := leader.facts.Now(ctx)
				if err != nil {
					return 0, err
				}
				return facts.Lag(), nil
			})
		})
	})
	return g.Wait()
}
