package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers"
)

// consumed is what one round of throughput took.
type consumed struct{ took, pipeline, clickhouse, broker time.Duration }

// throughput measures from the start of the consumers until every record is stored and committed.
func (s *servers) throughput(ctx context.Context, kind string, count, rounds int, wanted float64) error {
	var rates, pipeline, clickhouse, brokers []float64
	for round := range rounds {
		c, err := s.consume(ctx, kind, count, round)
		if err != nil {
			return fmt.Errorf("consuming %s: %w", kind, err)
		}
		million := 1e6 / float64(count)
		rates = append(rates, float64(count)/c.took.Seconds())
		pipeline = append(pipeline, c.pipeline.Seconds()*million)
		clickhouse = append(clickhouse, c.clickhouse.Seconds()*million)
		brokers = append(brokers, c.broker.Seconds()*million)
	}
	fmt.Printf("\n%d %s a round, %d bytes each on average, in 4 partitions: consumed, validated, enriched, stored, committed\n", count, kind, averageBytes(kind))
	fmt.Printf("  records a second: %s (wanted: at least %.0f)\n", spread(rates, "%.0f"), wanted)
	fmt.Printf("  processor seconds for a million records:\n    pipeline: %s\n    ClickHouse: %s\n    broker: %s\n",
		spread(pipeline, "%.1f"), spread(clickhouse, "%.1f"), spread(brokers, "%.1f"))
	return nil
}

// consume does one round with topics and a database of its own.
func (s *servers) consume(ctx context.Context, kind string, count, round int) (c consumed, err error) {
	config := broker.DefaultConfig()
	config.Brokers, config.Topics.Replication = []string{s.broker}, 1
	config.Topics.InputPartitions = 4
	suffix := fmt.Sprintf(".%s.%d", kind, round)
	config.Topics.Deals, config.Topics.Tickets, config.Topics.DeadLetter = "deals"+suffix, "tickets"+suffix, "dead"+suffix
	connection, err := broker.Connect(config)
	if err != nil {
		return c, err
	}
	defer connection.Close()
	if _, err := connection.CreateTopics(ctx, config.Topics.Wanted()); err != nil {
		return c, err
	}
	topic := map[string]string{partDeals: config.Topics.Deals, partTickets: config.Topics.Tickets}[kind]
	generator, err := again(ctx, "-fill", strings.Join([]string{s.broker, kind, topic, strconv.Itoa(count)}, ","))
	if err != nil {
		return c, err
	}
	if err := generator.Run(); err != nil {
		return c, errors.Join(fmt.Errorf("producing the records: %w", err), ctx.Err())
	}
	w, err := s.warehouse(ctx, fmt.Sprintf("bench_%s_%d", kind, round))
	if err != nil {
		return c, err
	}
	defer w.Close()
	settings := consumers.DefaultConfig()
	settings.Group = "bench" + suffix
	run := &consumers.Consumers{
		Config: settings, Kafka: connection, Store: w,
		Enrichment: consumers.Enrichment{Score: churn.DefaultHardnessModel().Score, Classify: churn.DefaultClassifier().Classify},
	}
	began, used, usedThere, usedBroker := time.Now(), processorTime(), processorTimeOf(s.clickhousePID), processorTimeOf(s.brokerPID)
	if err := run.RunUntilIdle(ctx); err != nil {
		return c, err
	}
	c = consumed{time.Since(began), processorTime() - used, processorTimeOf(s.clickhousePID) - usedThere, processorTimeOf(s.brokerPID) - usedBroker}
	counts, err := w.Counts(ctx)
	if err == nil && (counts.Records != uint64(count) || counts.DeadLetters != 0) {
		err = fmt.Errorf("%d were produced, %d are stored and %d are dead letters", count, counts.Records, counts.DeadLetters)
	}
	return c, err
}
