package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/consumers/deadletter"
	"github.com/aftershock/aftershock/embedded"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/warehouse"
)

// Scratch is a warehouse to play in, on an embedded server of its own.
type Scratch struct {
	*warehouse.Warehouse
	server     *embedded.ClickHouse
	enrichment consumers.Enrichment
	links      *warehouse.Links
	offsets    map[churn.TopicPartition]int64
}

func OpenScratch(ctx context.Context, config Config) (*Scratch, error) {
	enrichment, err := config.Models.Enrichment()
	if err != nil {
		return nil, err
	}
	server, err := embedded.StartClickHouse(ctx, embedded.ClickHouseOptions{})
	if err != nil {
		return nil, err
	}
	c := warehouse.DefaultConfig()
	c.Addr, c.ReportingCurrency = server.Addr(), config.ClickHouse.ReportingCurrency
	w, err := warehouse.Open(c, time.Now)
	if err != nil {
		return nil, errors.Join(err, server.Stop(context.WithoutCancel(ctx)))
	}
	s := &Scratch{Warehouse: w, server: server, enrichment: enrichment}
	err = w.Migrate(ctx)
	if err == nil {
		err = s.Reset(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Reset empties the scratch.
func (s *Scratch) Reset(ctx context.Context) (err error) {
	if err := s.Forget(ctx); err != nil {
		return err
	}
	s.offsets = map[churn.TopicPartition]int64{}
	s.links, err = s.OpenLinks(ctx, "scratch")
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
		var deal churn.DealEvent
		var ticket churn.TicketEvent
		var rejection *churn.Rejection
		if e.Kind == "deal" {
			deal, rejection = s.enrichment.DealEvent(&record)
		} else {
			ticket, rejection = s.enrichment.TicketEvent(&record)
		}
		switch {
		case rejection != nil && e.Raw:
			refused = append(refused, deadletter.Rejected(&record, *rejection, e.Kind+"s", e.KnownAt))
		case rejection != nil:
			return fmt.Errorf("a %s of the test: %w\n%s", e.Kind, rejection, e.Value)
		case e.Kind == "deal":
			deals = append(deals, deal)
		default:
			tickets = append(tickets, ticket)
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
	_ = s.Warehouse.Close()
	_ = s.server.Stop(context.Background())
}
