package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/warehouse"
)

// throughput measures from the start of the consumers until every record is stored and committed.
func (s *servers) throughput(ctx context.Context, kind string, count, rounds int, wanted float64) error {
	var rates, cpu []float64
	bytes := 0
	for i := range 1000 {
		bytes += len(record(kind, i))
	}
	for round := range rounds {
		c := broker.DefaultConfig()
		c.Brokers, c.Topics.Replication = []string{s.broker}, 1
		suffix := fmt.Sprintf(".%s.%d", kind, round)
		c.Topics.Deals, c.Topics.Tickets, c.Topics.DeadLetter = "deals"+suffix, "tickets"+suffix, "dead"+suffix
		kafkaConnection, err := broker.Connect(c)
		if err != nil {
			return err
		}
		if _, err := kafkaConnection.CreateTopics(ctx, c.Topics.Wanted()); err != nil {
			return err
		}
		topic := map[string]string{"deals": c.Topics.Deals, "tickets": c.Topics.Tickets}[kind]
		generator := exec.CommandContext(ctx, os.Args[0], "-fill", strings.Join([]string{s.broker, kind, topic, strconv.Itoa(count)}, ","))
		generator.Stderr = os.Stderr
		if err := generator.Run(); err != nil {
			return fmt.Errorf("producing %s: %w", kind, err)
		}
		w, err := s.warehouse(ctx, fmt.Sprintf("bench_%s_%d", kind, round))
		if err != nil {
			return err
		}
		settings := consumers.DefaultConfig()
		settings.Group = "bench" + suffix
		run := &consumers.Consumers{
			Config: settings, Kafka: kafkaConnection, Store: w,
			Enrichment: consumers.Enrichment{Score: churn.DefaultHardnessModel().Score, Classify: churn.DefaultClassifier().Classify},
		}
		began, used := time.Now(), processorTime()
		if err := run.RunUntilIdle(ctx); err != nil {
			return err
		}
		took := time.Since(began)
		counts, err := w.Counts(ctx)
		if err != nil {
			return err
		}
		if counts.Records != uint64(count) {
			return fmt.Errorf("%d %s were produced, %d are stored", count, kind, counts.Records)
		}
		rates = append(rates, float64(count)/took.Seconds())
		cpu = append(cpu, (processorTime()-used).Seconds()*1e6/float64(count))
		kafkaConnection.Close()
		w.Close()
	}
	fmt.Printf("%s of %d bytes, %d a round, 4 partitions, consumed, validated, enriched, stored, committed:\n  records a second: %s (wanted: at least %.0f)\n  processor seconds of the pipeline for a million: %s\n",
		kind, bytes/1000, count, spread(rates, "%.0f"), wanted, spread(cpu, "%.1f"))
	return nil
}

// warehouse opens a fresh database.
func (s *servers) warehouse(ctx context.Context, database string) (*warehouse.Warehouse, error) {
	c := warehouse.DefaultConfig()
	c.Addr, c.Database, c.QueryTimeout = s.clickhouse, database, 10*time.Minute
	w, err := warehouse.Open(c, time.Now)
	if err != nil {
		return nil, err
	}
	return w, w.Migrate(ctx)
}

// produce writes records to a topic; it is the generator's process.
func produce(ctx context.Context, task string) error {
	parts := strings.Split(task, ",")
	if len(parts) != 4 {
		return fmt.Errorf("-fill %q is not BROKER,KIND,TOPIC,COUNT", task)
	}
	count, err := strconv.Atoi(parts[3])
	if err != nil {
		return err
	}
	w := &kafka.Writer{Addr: kafka.TCP(parts[0]), Topic: parts[2], RequiredAcks: kafka.RequireAll, BatchSize: 5000, BatchBytes: 16 << 20,
		BatchTimeout: 5 * time.Millisecond, Balancer: kafka.Murmur2Balancer{Consistent: true}}
	batch := make([]kafka.Message, 0, 20_000)
	for i := range count {
		batch = append(batch, kafka.Message{Key: []byte(account(i)), Value: record(parts[1], i)})
		if len(batch) == cap(batch) || i == count-1 {
			if err := w.WriteMessages(ctx, batch...); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return w.Close()
}

func account(i int) string { return fmt.Sprintf("acc-%06d", i%10_000) }

// sentences fill tickets; one in ten tickets begins with one that is an attempt.
var sentences = []string{
	"The nightly export to our warehouse has been slower since the release on Tuesday, though it does finish in the end.",
	"Two colleagues in Rotterdam cannot see the shared dashboards that the rest of the team uses every morning.",
	"We followed the steps in the article about single sign-on and still land on an empty page after logging in.",
	"Could you tell us when the new import wizard will reach the European region, and whether old templates keep working?",
	"Thanks to your colleague for the quick help last week, the report now shows what our controllers expected to see.",
	"When we filter by cost centre the totals on the second tab do not add up to what the first tab shows.",
	"Our administrator has left, so please make me the owner of the workspace and remove the account that is no longer used.",
	"The mobile app asks for a new code at each start, which is tiresome for the drivers who open it forty times a day.",
	"I attach a screenshot and the log of the connector from this morning, taken with the debug option that you described.",
	"Is there a limit to the number of saved views, and does it count for each person or for the whole company?",
}

const attempt = "Before we go on we need to reopen our rate, because the price that we agreed in March is more than our budget allows. "

// record makes the i-th deal or ticket.
func record(kind string, i int) []byte {
	at := time.Date(2026, 1, 1, 0, 0, i%86400, 0, time.UTC).Format(time.RFC3339)
	if kind == "deals" {
		return fmt.Appendf(nil, `{"event_id":"d-%08d","deal_id":"D-%08d","account_id":"%s","closed_at":"%s","currency":"EUR","signed_price":"%d.50","anticipated_price":"%d","annual_value":"%d","term_months":12,"negotiation":{"rounds":%d,"ultimatums":%d,"tone":-0.%d}}`,
			i, i, account(i), at, 10_000+i%900, 9_500+i%700, 10_000+i%900, i%9, i%3, i%9)
	}
	body := ""
	if i%10 == 0 {
		body = attempt
	}
	for j := 0; len(body) < 950; j++ {
		body += sentences[(i+j*3)%len(sentences)] + " "
	}
	return fmt.Appendf(nil, `{"event_id":"t-%08d","ticket_id":"T-%08d","account_id":"%s","opened_at":"%s","status":"open","priority":"normal","channel":"email","subject":"Question about our workspace","body":"%s","tags":["question"]}`,
		i, i, account(i), at, body)
}
