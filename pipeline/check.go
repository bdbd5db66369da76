package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/warehouse"
)

func ExamineClickHouse(ctx context.Context, config Config, report func(string, error) bool) {
	at := "ClickHouse at " + config.ClickHouse.Addr
	w, err := warehouse.Open(config.ClickHouse, time.Now)
	if err != nil {
		report(at, err)
		return
	}
	defer w.Close()
	if !report(at+" answers", w.Ping(ctx)) {
		return
	}
	if version, err := w.Version(ctx); report("its version "+version, err) && report("schema", w.CheckSchema(ctx)) {
		report("settings that the guarantees rest on", w.CheckGuarantees(ctx))
		report("grants of the user "+config.ClickHouse.User, w.CheckGrants(ctx))
	}
}

func ExamineKafka(ctx context.Context, config Config, report func(string, error) bool) {
	at := fmt.Sprintf("Kafka at %v", config.Kafka.Brokers)
	kafka, err := broker.Connect(config.Kafka)
	if err != nil {
		report(at, err)
		return
	}
	defer kafka.Close()
	if !report(at+" answers", kafka.Check(ctx)) {
		return
	}
	if !report("ACLs", kafka.CheckAccess(ctx, config.Access())) {
		return // what the brokers tell of topics depends on them
	}
	differences, err := kafka.DescribeTopics(ctx, kafka.Topics().Wanted())
	var broken []error
	for _, d := range differences {
		if d.Breaks {
			broken = append(broken, errors.New(d.String()))
		}
	}
	report("topics", errors.Join(append(broken, err)...))
}

// Check refuses to start where Kafka or ClickHouse cannot be reached or is not as we need it.
func (p *Pipeline) Check(ctx context.Context) error {
	if err := p.Warehouse.Ping(ctx); err != nil {
		return err
	}
	if err := p.Warehouse.CheckSchema(ctx); err != nil {
		return err
	}
	if err := p.Warehouse.CheckGuarantees(ctx); err != nil {
		return err
	}
	if err := p.Warehouse.CheckGrants(ctx); err != nil {
		return err
	}
	if err := p.Kafka.Check(ctx); err != nil {
		return err
	}
	if err := p.Kafka.CheckAccess(ctx, p.Config.Access()); err != nil {
		return fmt.Errorf("checking what Kafka's ACLs allow:\n%w", err)
	}
	return p.CheckTopics(ctx)
}

// CheckTopics refuses to start where a topic is missing: waiting for it silently would look like a quiet day.
func (p *Pipeline) CheckTopics(ctx context.Context) error {
	differences, err := p.Kafka.DescribeTopics(ctx, p.Kafka.Topics().Wanted())
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
