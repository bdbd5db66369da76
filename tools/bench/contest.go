package main

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/attempts"
	"github.com/aftershock/aftershock/churn/hardness"
	"github.com/aftershock/aftershock/consumers"
)

// partitions of the topic that all contestants read.
const partitions = 4

// contestants read the same topic, one after the other in each round.
var contestants = []struct{ name, what string }{
	{"aftershock", "Aftershock: validated, scored or classified, dead letters, committed"},
	{"engine-fast", "ClickHouse's Kafka engine, as fast as it gets"},
	{"engine-written", "ClickHouse's Kafka engine, as one would write it"},
	{"store", "floor of the store: the same rows, already decoded, in the same chunks"},
	{"drain-aftershock", "ceiling: reading the topic to nothing, with our reader"},
	{"drain-kafka-go", "ceiling: reading the topic to nothing, with kafka-go's Reader"},
	{"drain-franz-go", "ceiling: reading the topic to nothing, with franz-go"},
}

// score is what one contestant did in one round, for a million records where that makes sense.
type score struct {
	Rate       float64 // rows a second
	Loader     float64 // processor seconds for a million rows: of the contestant's own process
	ClickHouse float64
	Broker     float64
	Memory     int64 // bytes that the contestant's process had resident at most
}

// contest lets all contestants read the same records, interleaved over the rounds, and prints medians and ratios.
func (o options) contest(ctx context.Context, s *servers, kind string, count int) error {
	topic := "bench." + kind
	if err := s.fill(ctx, kind, topic, count); err != nil {
		return err
	}
	scores := map[string][]score{}
	for round := range o.rounds {
		for _, c := range contestants {
			var out bytes.Buffer
			task := fmt.Sprint(c.name, " ", kind, " ", topic, " ", count, " ", round)
			if err := o.inProcess(ctx, task, s, &out); err != nil {
				return err
			}
			var one score
			if err := json.Unmarshal(out.Bytes(), &one); err != nil {
				return fmt.Errorf("reading what %s measured from %q: %w", c.name, out.String(), err)
			}
			scores[c.name] = append(scores[c.name], one)
		}
	}
	fmt.Printf("\n%d %s, %d bytes each on average, in %d partitions of one topic; %d rounds, interleaved; median (least, most)\n",
		count, kind, averageBytes(kind), partitions, o.rounds)
	for _, c := range contestants {
		of := func(value func(score) float64) []float64 { return column(scores[c.name], value) }
		fmt.Printf("  %s\n    rows a second: %s", c.what, spread(of(func(s score) float64 { return s.Rate }), "%.0f"))
		fmt.Printf("; processor seconds for a million: all %s, loader %s, ClickHouse %s, broker %s; loader's memory: %.0f MB\n",
			spread(of(processors), "%.1f"), brief(of(func(s score) float64 { return s.Loader })), brief(of(func(s score) float64 { return s.ClickHouse })),
			brief(of(func(s score) float64 { return s.Broker })), slices.Max(of(func(s score) float64 { return float64(s.Memory) }))/(1<<20))
	}
	ours := scores["aftershock"]
	for _, peer := range []struct{ name, what string }{{"engine-fast", "as fast as it gets"}, {"engine-written", "as one would write it"}} {
		theirs := scores[peer.name]
		fmt.Printf("  Aftershock to the engine %s, by medians: %.2f times the rows a second, %.2f of the processor time of loader and ClickHouse\n",
			peer.what, median(column(ours, rate))/median(column(theirs, rate)), median(column(ours, processors))/median(column(theirs, processors)))
	}
	return nil
}

func rate(s score) float64 { return s.Rate }

// processors is the processor time of loader and ClickHouse together: the Kafka engine is both.
func processors(s score) float64 { return s.Loader + s.ClickHouse }

func column(scores []score, value func(score) float64) []float64 {
	values := make([]float64, len(scores))
	for i, s := range scores {
		values[i] = value(s)
	}
	return values
}

func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func brief(figures []float64) string { return fmt.Sprintf("%.1f", median(figures)) }

// fill makes the topic and writes the records, in a process of its own.
func (s *servers) fill(ctx context.Context, kind, topic string, count int) error {
	config := s.kafka(topic)
	connection, err := broker.Connect(config)
	if err != nil {
		return err
	}
	defer connection.Close()
	if _, err := connection.CreateTopics(ctx, config.Topics.Wanted()); err != nil {
		return err
	}
	generator, err := again(ctx, "-fill", strings.Join([]string{s.broker, kind, topic, strconv.Itoa(count)}, ","))
	if err != nil {
		return err
	}
	if err := generator.Run(); err != nil {
		return errors.Join(fmt.Errorf("producing the records: %w", err), ctx.Err())
	}
	return nil
}

// kafka is a configuration in which the topic is that of deals or of tickets, as its name says.
func (s *servers) kafka(topic string) broker.Config {
	config := broker.DefaultConfig()
	config.Brokers, config.Topics.Replication, config.Topics.InputPartitions = []string{s.broker}, 1, partitions
	config.Topics.Deals, config.Topics.Tickets = "bench.none", topic
	if strings.HasSuffix(topic, partDeals) {
		config.Topics.Deals, config.Topics.Tickets = topic, "bench.none"
	}
	config.Topics.DeadLetter = "bench.dead"
	return config
}

// compete does what one contestant does in one round, and prints the score as JSON.
func (s *servers) compete(ctx context.Context, task string) error {
	var name, kind, topic string
	var count, round int
	if _, err := fmt.Sscan(task, &name, &kind, &topic, &count, &round); err != nil {
		return fmt.Errorf("-measure %q: %w", task, err)
	}
	c := contestant{servers: s, kind: kind, topic: topic, count: count,
		database: strings.ReplaceAll(fmt.Sprintf("bench_%s_%s_%d", name, kind, round), "-", "_")}
	c.group = c.database
	result, err := map[string]func(context.Context) (score, error){
		"aftershock": c.aftershock, "store": c.store,
		"engine-fast":      func(ctx context.Context) (score, error) { return c.engine(ctx, "fast") },
		"engine-written":   func(ctx context.Context) (score, error) { return c.engine(ctx, "written") },
		"drain-aftershock": c.drainOurs, "drain-kafka-go": c.drainKafkaGo, "drain-franz-go": c.drainFranzGo,
	}[name](ctx)
	if err != nil {
		return fmt.Errorf("%s with %s: %w", name, kind, err)
	}
	result.Memory = peakMemory()
	text, err := json.Marshal(result)
	fmt.Println(string(text))
	return err
}

type contestant struct {
	*servers
	kind, topic, database, group string
	count                        int
}

func (c contestant) events() string {
	return map[string]string{partDeals: "deal_events", partTickets: "ticket_events"}[c.kind]
}

// aftershock runs the real consumers with everything on.
func (c contestant) aftershock(ctx context.Context) (score, error) {
	w, err := c.warehouse(ctx, c.database)
	if err != nil {
		return score{}, err
	}
	defer w.Close()
	connection, err := broker.Connect(c.kafka(c.topic))
	if err != nil {
		return score{}, err
	}
	defer connection.Close()
	settings := consumers.DefaultConfig()
	settings.Group = c.group
	run := &consumers.Consumers{
		Config: settings, Kafka: connection, Store: w,
		Enrichment: consumers.Enrichment{Score: hardness.Default().Score, Classify: attempts.Default().Classify},
	}
	done := make(chan error, 1)
	go func() { done <- run.RunUntilIdle(ctx) }()
	result, err := c.watch(ctx, c.database, c.events())
	if err = errors.Join(err, <-done); err != nil {
		return result, err
	}
	counts, err := w.Counts(ctx)
	if err == nil && (counts.Records != uint64(c.count) || counts.DeadLetters != 0) {
		err = fmt.Errorf("%d were produced, %d are stored and %d are dead letters", c.count, counts.Records, counts.DeadLetters)
	}
	return result, errors.Join(err, c.drop(ctx))
}

//go:embed engine_*.sql
var engines embed.FS

// engine lets ClickHouse read the topic by itself.
func (c contestant) engine(ctx context.Context, how string) (score, error) {
	w, err := c.warehouse(ctx, c.database)
	if err != nil {
		return score{}, err
	}
	defer w.Close()
	text, err := template.ParseFS(engines, fmt.Sprintf("engine_%s_%s.sql", c.kind, how))
	if err != nil {
		return score{}, err
	}
	var statements strings.Builder
	if err := text.Execute(&statements, map[string]string{"Events": c.events(), "Broker": c.broker, "Topic": c.topic, "Group": c.group}); err != nil {
		return score{}, err
	}
	for statement := range strings.SplitSeq(statements.String(), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := c.sql(ctx, c.database, statement, nil); err != nil {
			return score{}, err
		}
	}
	result, err := c.watch(ctx, c.database, "target")
	return result, errors.Join(err, c.drop(ctx))
}

// store inserts the same rows in full chunks, again and again: nothing is read or decoded meanwhile.
func (c contestant) store(ctx context.Context) (score, error) {
	w, err := c.warehouse(ctx, c.database)
	if err != nil {
		return score{}, err
	}
	defer w.Close()
	enrichment := consumers.Enrichment{Score: hardness.Default().Score, Classify: attempts.Default().Classify}
	var insert func(token string) (rows int, err error)
	if c.kind == partDeals {
		insert, err = chunkOf(ctx, c, enrichment.DealEvent, w.NewDealBatch, w.InsertDeals)
	} else {
		insert, err = chunkOf(ctx, c, enrichment.TicketEvent, w.NewTicketBatch, w.InsertTickets)
	}
	if err != nil {
		return score{}, err
	}
	meter := c.meter()
	rows := 0
	for rows < c.count {
		n, err := insert(strconv.Itoa(rows))
		if err != nil {
			return score{}, err
		}
		rows += n
	}
	return meter.score(rows), c.drop(ctx)
}

// chunkOf makes one chunk as the consumers would by default.
func chunkOf[E any](ctx context.Context, c contestant, event func(*broker.Record) (E, *churn.Rejection), open func() churn.Batch[E],
	insert func(context.Context, string, time.Time, []churn.Batch[E]) error) (func(string) (int, error), error) {
	const rowsOfBlock = 8192
	settings := consumers.DefaultConfig()
	var blocks []churn.Batch[E]
	rows := 0
	for bytes := 0; rows < settings.ChunkRows && bytes < settings.ChunkBytes; rows++ {
		if rows%rowsOfBlock == 0 {
			blocks = append(blocks, open())
		}
		value := record(c.kind, rows)
		bytes += len(value)
		e, rejection := event(&broker.Record{Position: churn.Position{Topic: c.topic, Offset: int64(rows), Time: time.Now()}, Value: value})
		if rejection != nil {
			return nil, rejection
		}
		blocks[len(blocks)-1].Add(&e)
	}
	return func(token string) (int, error) { return rows, insert(ctx, token, time.Now(), blocks) }, nil
}

// drop makes room, so that no round pays for the merges of the one before.
func (c contestant) drop(ctx context.Context) error {
	_, err := c.sql(ctx, "default", dropDatabase, map[string]any{"database": c.database})
	return err
}

// meter reads what all processes have used since it was made.
type meter struct {
	*servers
	began                      time.Time
	loader, clickhouse, broker time.Duration
}

func (s *servers) meter() meter {
	return meter{s, time.Now(), processorTime(), processorTimeOf(s.clickhousePID), processorTimeOf(s.brokerPID)}
}

func (m meter) score(rows int) score {
	now, million := m.meter(), 1e6/float64(rows)
	return score{
		Rate:       float64(rows) / now.began.Sub(m.began).Seconds(),
		Loader:     (now.loader - m.loader).Seconds() * million,
		ClickHouse: (now.clickhouse - m.clickhouse).Seconds() * million,
		Broker:     (now.broker - m.broker).Seconds() * million,
	}
}

//go:embed rows_visible.sql
var rowsVisible string

// counted is how much of the records the slope is taken over: it begins when the first rows are seen, so that joining the
// group and the first fetch do not count, and ends here, so that waiting for the last, partly filled block does not.
const counted = 0.75

// watch waits until a table holds all rows, and scores the way there.
func (c contestant) watch(ctx context.Context, database, table string) (result score, err error) {
	var first meter
	began, seen, scored := 0, 0, false
	changed := time.Now()
	for seen < c.count {
		text, err := c.sql(ctx, database, rowsVisible, map[string]any{"database": database, "table": table})
		if err != nil {
			return result, err
		}
		rows, err := strconv.Atoi(cmp.Or(strings.TrimSpace(text), "0"))
		switch {
		case err != nil:
			return result, err
		case rows > seen && began == 0:
			began, first = rows, c.meter()
		case rows > seen && !scored && float64(rows) >= counted*float64(c.count):
			result, scored = first.score(rows-began), true
		case rows == seen && time.Since(changed) > time.Minute:
			return result, fmt.Errorf("%d of %d rows are there, and no more came for a minute", rows, c.count)
		}
		if rows > seen {
			seen, changed = rows, time.Now()
		}
		select {
		case <-ctx.Done():
			return result, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	if !scored {
		return result, errors.New("all rows came in too few steps to measure a slope: try more records")
	}
	return result, nil
}

// drained adds up what the readers of all partitions give.
func (c contestant) drained(read func(partition int) (int, error)) (score, error) {
	meter := c.meter()
	type part struct {
		rows int
		err  error
	}
	parts := make(chan part)
	for partition := range partitions {
		go func() {
			rows, err := read(partition)
			parts <- part{rows, err}
		}()
	}
	rows := 0
	var failed error
	for range partitions {
		p := <-parts
		rows, failed = rows+p.rows, errors.Join(failed, p.err)
	}
	if failed == nil && rows != c.count {
		failed = fmt.Errorf("%d of %d records were read", rows, c.count)
	}
	return meter.score(max(rows, 1)), failed
}

func (c contestant) drainOurs(ctx context.Context) (score, error) {
	connection, err := broker.Connect(c.kafka(c.topic))
	if err != nil {
		return score{}, err
	}
	defer connection.Close()
	d := consumers.DefaultConfig()
	return c.drained(func(partition int) (rows int, err error) {
		reader := connection.Reader(churn.TopicPartition{Topic: c.topic, Partition: partition},
			broker.FetchLimits{MinBytes: d.FetchMinBytes, MaxWait: d.FetchMaxWait, MaxBytes: d.FetchMaxBytes})
		defer reader.Close()
		for at := int64(0); ; {
			fetched, err := reader.Fetch(ctx, at, time.Second)
			if err != nil {
				return rows, err
			}
			for _, err := range fetched.Records() {
				if err != nil {
					return rows, err
				}
				rows++
			}
			if at = fetched.Next; at >= fetched.End {
				return rows, nil
			}
		}
	})
}

func (c contestant) drainKafkaGo(ctx context.Context) (score, error) {
	return c.drained(func(partition int) (rows int, err error) {
		end, err := c.end(ctx, partition)
		if err != nil || end == 0 {
			return 0, err
		}
		reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{c.broker}, Topic: c.topic, Partition: partition,
			MinBytes: 16 << 10, MaxBytes: 1 << 20, MaxWait: 250 * time.Millisecond, QueueCapacity: 10_000})
		defer reader.Close()
		for {
			m, err := reader.ReadMessage(ctx)
			if err != nil {
				return rows, err
			}
			if rows++; m.Offset+1 >= end {
				return rows, nil
			}
		}
	})
}

func (c contestant) end(ctx context.Context, partition int) (int64, error) {
	conn, err := kafka.DialLeader(ctx, "tcp", c.broker, c.topic, partition)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return conn.ReadLastOffset()
}

func (c contestant) drainFranzGo(ctx context.Context) (score, error) {
	meter := c.meter()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.broker), kgo.ConsumeTopics(c.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return score{}, err
	}
	defer client.Close()
	rows := 0
	for rows < c.count {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return score{}, err
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) { rows += len(p.Records) })
	}
	return meter.score(rows), nil
}
