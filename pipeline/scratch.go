package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/consumers/deadletter"
	"github.com/aftershock/aftershock/embedded"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/warehouse"
)

// Scratch is a warehouse to play in: an embedded server, a fresh database for each reset.
type Scratch struct {
	*warehouse.Warehouse
	server     *embedded.ClickHouse
	config     warehouse.Config
	enrichment consumers.Enrichment
	links      *warehouse.Links
	offsets    map[churn.TopicPartition]int64
}

var scratches atomic.Int64

func OpenScratch(ctx context.Context, config Config) (*Scratch, error) {
	enrichment, err := config.Models.Enrichment()
	if err != nil {
		return nil, err
	}
	server, err := embedded.StartClickHouse(ctx, embedded.ClickHouseOptions{})
	if err != nil {
		return nil, err
	}
	s := &Scratch{server: server, config: warehouse.DefaultConfig(), enrichment: enrichment}
	s.config.Addr, s.config.ReportingCurrency = server.Addr(), config.ClickHouse.ReportingCurrency
	if err := s.Reset(ctx); err != nil {
		return nil, errors.Join(err, server.Stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// Reset empties the scratch by moving to a fresh database.
func (s *Scratch) Reset(ctx context.Context) error {
	if s.Warehouse != nil {
		if err := s.Warehouse.Close(); err != nil {
			return err
		}
	}
	s.config.Database = fmt.Sprintf("scratch_%d", scratches.Add(1))
	w, err := warehouse.Open(s.config, time.Now)
	if err != nil {
		return err
	}
	s.Warehouse, s.offsets = w, map[churn.TopicPartition]int64{}
	if err := w.Migrate(ctx); err != nil {
		return err
	}
	s.links, err = w.OpenLinks(ctx, "scratch")
	return err
}

// Store decodes, scores, inserts and links events as production does.
func (s *Scratch) Store(ctx context.Context, events []rules.TestEvent) error {
	var deals []churn.DealEvent
	var tickets []churn.TicketEvent
	var refused []churn.Rejected
	for _, e := range events {
		tp := churn.TopicPartition{Topic: e.Kind}
		record := broker.Record{
			Position: churn.Position{Topic: tp.Topic, Offset: s.offsets[tp], Time: e.KnownAt}, Value: e.Value,
			Headers: []broker.Header{broker.KnownAt(e.KnownAt)},
		}
		s.offsets[tp]++
		switch e.Kind {
		case "deal":
			deal, rejection := s.enrichment.DealEvent(&record)
			switch {
			case rejection == nil:
				deals = append(deals, deal)
			case e.Raw:
				refused = append(refused, deadletter.Rejected(&record, *rejection, "deals", e.KnownAt))
			default:
				return fmt.Errorf("a deal of the test: %w\n%s", rejection, e.Value)
			}
		case "ticket":
			ticket, rejection := s.enrichment.TicketEvent(&record)
			switch {
			case rejection == nil:
				tickets = append(tickets, ticket)
			case e.Raw:
				refused = append(refused, deadletter.Rejected(&record, *rejection, "tickets", e.KnownAt))
			default:
				return fmt.Errorf("a ticket of the test: %w\n%s", rejection, e.Value)
			}
		}
	}
	if err := s.StoreDeals(ctx, "", deals); err != nil {
		return err
	}
	if err := s.StoreTickets(ctx, "", tickets); err != nil {
		return err
	}
	if err := s.StoreRejected(ctx, "", refused); err != nil {
		return err
	}
	_, err := s.links.Update(ctx, s.offsets)
	return err
}

func (s *Scratch) Close() {
	if s.Warehouse != nil {
		_ = s.Warehouse.Close()
	}
	_ = s.server.Stop(context.Background())
}
