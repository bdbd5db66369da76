package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
)

const (
	eventsPerSecond = 5_000
	dealEvery       = 5 // one deal among so many events; the others are tickets
	markerEvery     = 200 * time.Millisecond
	warmUp          = 5 * time.Second
	// patience is how long an alert is waited for before it counts as not told.
	patience = 30 * time.Second
)

//go:embed rules_every_second.yaml
var rulesEverySecond []byte

//go:embed marker_visible.sql
var markerVisible string

// pipeline is the real program, in a process of its own, on topics and a database of its own.
type pipeline struct {
	command     *exec.Cmd
	environment []string
	deals       string
	tickets     string
	alerts      string
	database    string
	log         strings.Builder
}

// start builds the program, makes schema and topics, and runs it. clickhouse is the address that it uses.
func (s *servers) start(ctx context.Context, name, clickhouse string, environment ...string) (*pipeline, func(), error) {
	folder, err := os.MkdirTemp("", "aftershock-bench-")
	if err != nil {
		return nil, nil, err
	}
	remove := func() { _ = os.RemoveAll(folder) }
	binary, rules := filepath.Join(folder, "aftershock"), filepath.Join(folder, "rules.yaml")
	if err := os.WriteFile(rules, rulesEverySecond, 0o600); err != nil {
		return nil, remove, err
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/aftershock/aftershock/cmd/aftershock").CombinedOutput(); err != nil {
		return nil, remove, fmt.Errorf("building the pipeline: %w\n%s", err, out)
	}
	p := &pipeline{deals: name + ".deals", tickets: name + ".tickets", alerts: name + ".alerts", database: "bench_" + name}
	p.environment = append(os.Environ(),
		"AFTERSHOCK_KAFKA_BROKERS="+s.broker, "AFTERSHOCK_CLICKHOUSE_ADDR="+clickhouse, "AFTERSHOCK_CLICKHOUSE_DATABASE="+p.database,
		"AFTERSHOCK_KAFKA_TOPICS_DEALS="+p.deals, "AFTERSHOCK_KAFKA_TOPICS_TICKETS="+p.tickets, "AFTERSHOCK_KAFKA_TOPICS_ALERTS="+p.alerts,
		"AFTERSHOCK_KAFKA_TOPICS_FEEDBACK="+name+".feedback", "AFTERSHOCK_KAFKA_TOPICS_HANDOFFS="+name+".handoffs",
		"AFTERSHOCK_KAFKA_TOPICS_DEAD_LETTER="+name+".dead", "AFTERSHOCK_KAFKA_TOPICS_CONTROL="+name+".control",
		"AFTERSHOCK_KAFKA_TOPICS_REPLICATION=1", fmt.Sprint("AFTERSHOCK_KAFKA_TOPICS_INPUT_PARTITIONS=", partitions),
		"AFTERSHOCK_CONSUMERS_GROUP="+name, "AFTERSHOCK_CONSUMERS_CONTROL_GROUP="+name+"-control",
		"AFTERSHOCK_EVALUATE_RULES="+rules, "AFTERSHOCK_CONSOLE_LISTEN=127.0.0.1:0")
	p.environment = append(p.environment, environment...)
	for _, arguments := range [][]string{{"migrate"}, {"topics", "create"}} {
		c := exec.CommandContext(ctx, binary, arguments...)
		c.Env = p.environment
		if out, err := c.CombinedOutput(); err != nil {
			return nil, remove, fmt.Errorf("aftershock %s: %w\n%s", strings.Join(arguments, " "), err, out)
		}
	}
	p.command = exec.Command(binary, "run")
	p.command.Env, p.command.Stderr = p.environment, &p.log
	if err := p.command.Start(); err != nil {
		return nil, remove, err
	}
	return p, func() {
		_ = p.command.Process.Signal(syscall.SIGTERM)
		_ = p.command.Wait()
		remove()
	}, nil
}

// memory is what the pipeline has resident now, and the most that it ever had, in MB.
func (p *pipeline) memory() (now, most int64) {
	status := fmt.Sprintf("/proc/%d/status", p.command.Process.Pid)
	_, _ = fmt.Sscan(field(status, "VmRSS"), &now)
	_, _ = fmt.Sscan(field(status, "VmHWM"), &most)
	return now >> 10, most >> 10
}

func (s *servers) writer() *kafka.Writer {
	return &kafka.Writer{Addr: kafka.TCP(s.broker), RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond, BatchSize: 5000,
		BatchBytes: 16 << 20, Balancer: kafka.Murmur2Balancer{Consistent: true}}
}

// steadily produces the records of bench at an even pace until the context ends, and returns how many.
func (s *servers) steadily(ctx context.Context, p *pipeline, perSecond int) (sent int, err error) {
	const beat = 10 * time.Millisecond
	w := s.writer()
	defer w.Close()
	began := time.Now()
	for ctx.Err() == nil {
		due := int(time.Since(began).Seconds() * float64(perSecond))
		var batch []kafka.Message
		for ; sent < due; sent++ {
			kind, topic := partTickets, p.tickets
			if sent%dealEvery == 0 {
				kind, topic = partDeals, p.deals
			}
			batch = append(batch, kafka.Message{Topic: topic, Key: []byte(account(sent)), Value: record(kind, sent)})
		}
		if len(batch) > 0 {
			if err := w.WriteMessages(context.WithoutCancel(ctx), batch...); err != nil {
				return sent, err
			}
		}
		time.Sleep(beat)
	}
	return sent, nil
}

func hardDeal(account string, closed time.Time) []byte {
	return fmt.Appendf(nil, `{"event_id":"%s-d","deal_id":"%s-D","account_id":"%s","closed_at":%q,"currency":"EUR","signed_price":"13000","anticipated_price":"10000","annual_value":"13000","term_months":12,"negotiation":{"opened_at":%q,"rounds":14,"ultimatums":4,"deadline_pressure":true,"escalations":4,"tone":-0.9,"client_concessions":[{"term":"seats","value":"5000"}],"vendor_concessions":[],"unresolved_requests":["exit clause","price protection","named support"],"common_ground":[]}}`,
		account, account, account, closed.Format(time.RFC3339), closed.AddDate(0, -9, 0).Format(time.RFC3339))
}

func attempt(account string, at time.Time) []byte {
	return fmt.Appendf(nil, `{"event_id":"%s-t","ticket_id":"%s-T","account_id":"%s","opened_at":%q,"subject":"Our rate","body":%q}`,
		account, account, account, at.UTC().Format(time.RFC3339), asking[0])
}

// delay measures, under a steady load, from just before an attempt is handed to the producer until it can be read in
// ClickHouse, and until its alert is on the topic. The rule looks every second.
func (s *servers) delay(ctx context.Context, seconds int) error {
	p, stop, err := s.start(ctx, "delay", s.clickhouse)
	if stop != nil {
		defer stop()
	}
	if err != nil {
		return err
	}
	measured := time.Duration(seconds) * time.Second
	count := int(measured / markerEvery)
	marker := func(i int) string { return fmt.Sprintf("marker-%05d", i) }
	w := s.writer()
	defer w.Close()
	var hard []kafka.Message
	for i := range count {
		hard = append(hard, kafka.Message{Topic: p.deals, Key: []byte(marker(i)), Value: hardDeal(marker(i), time.Now().AddDate(0, -1, 0))})
	}
	if err := w.WriteMessages(ctx, hard...); err != nil {
		return fmt.Errorf("producing the markers' deals: %w", err)
	}

	load, stopLoad := context.WithCancel(ctx)
	type produced struct {
		sent int
		err  error
	}
	loaded := make(chan produced, 1)
	loading := time.Now()
	go func() {
		sent, err := s.steadily(load, p, eventsPerSecond)
		loaded <- produced{sent, err}
	}()
	listening, stopListening := context.WithCancel(ctx)
	defer stopListening()
	told := &arrivals{at: map[string]time.Time{}}
	go s.listen(listening, p.alerts, told)
	time.Sleep(warmUp)

	handed := make([]time.Time, count)
	visible := make([]float64, count)
	var watching sync.WaitGroup
	for i, due := 0, time.Now(); i < count && ctx.Err() == nil; i, due = i+1, due.Add(markerEvery) {
		time.Sleep(time.Until(due))
		value := attempt(marker(i), time.Now())
		handed[i] = time.Now()
		if err := w.WriteMessages(ctx, kafka.Message{Topic: p.tickets, Key: []byte(marker(i)), Value: value}); err != nil {
			stopLoad()
			return fmt.Errorf("producing a marker: %w", err)
		}
		watching.Go(func() {
			for ctx.Err() == nil && time.Since(handed[i]) < patience {
				if n, err := s.sql(ctx, p.database, markerVisible, map[string]any{"account": marker(i)}); err == nil && strings.TrimSpace(n) != "0" {
					visible[i] = time.Since(handed[i]).Seconds()
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	watching.Wait()
	for waited := time.Now(); told.count() < count && time.Since(waited) < patience && ctx.Err() == nil; {
		time.Sleep(100 * time.Millisecond)
	}
	stopLoad()
	load_ := <-loaded
	pace := float64(load_.sent) / time.Since(loading).Seconds()
	if load_.err != nil {
		return fmt.Errorf("producing the load: %w", load_.err)
	}
	var alerts []float64
	for i := range count {
		if at := told.of(marker(i)); !at.IsZero() {
			alerts = append(alerts, at.Sub(handed[i]).Seconds())
		}
	}
	_, most := p.memory()
	fmt.Printf("\ndelay at a steady %.0f events a second (one in %d a deal), %d attempts of as many accounts with a hard deal, rule every second\n", pace, dealEvery, count)
	fmt.Printf("  from produce to visible in ClickHouse, seconds: %s\n", quantiles(visible))
	fmt.Printf("  from produce to the alert on its topic, seconds: %s (wanted: p99 at most 5)\n", quantiles(alerts))
	fmt.Printf("  peak resident memory of the whole pipeline: %d MB\n", most)
	if missing := count - len(alerts); missing > 0 || slices.Contains(visible, 0) {
		return fmt.Errorf("%d of %d alerts did not come within %s; the pipeline said:\n%s", missing, count, patience, tail(p.log.String()))
	}
	return nil
}

// arrivals is when the first alert about each account was read.
type arrivals struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

func (a *arrivals) of(account string) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at[account]
}

// listen reads the alert topic, which has one partition, and notes when a marker's alert was there.
func (s *servers) listen(ctx context.Context, topic string, told *arrivals) {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{s.broker}, Topic: topic, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 20 * time.Millisecond})
	defer reader.Close()
	for {
		m, err := reader.ReadMessage(ctx)
		if err != nil {
			return
		}
		if i := strings.Index(string(m.Value), "marker-"); i >= 0 {
			account := string(m.Value[i : i+len("marker-00000")])
			told.mu.Lock()
			if _, seen := told.at[account]; !seen {
				told.at[account] = time.Now()
			}
			told.mu.Unlock()
		}
	}
}

func quantiles(figures []float64) string {
	if len(figures) == 0 {
		return "none"
	}
	sorted := slices.Sorted(slices.Values(figures))
	at := func(q float64) float64 { return sorted[int(q*float64(len(sorted)-1)+0.5)] }
	return fmt.Sprintf("p50 %.2f, p99 %.2f, most %.2f", at(0.5), at(0.99), sorted[len(sorted)-1])
}

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// outagePace is what producers send while ClickHouse is away: more than the pipeline keeps at once within seconds, and not more
// than the broker, which holds its topics in memory here, can keep for ten minutes.
const outagePace = 5_000

// outage measures the pipeline's memory while ClickHouse is away and producers go on, and whether all is stored afterwards.
func (s *servers) outage(ctx context.Context, minutes int) error {
	proxies := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	listener.Close()
	way := toxiproxy.NewProxy(proxies, "clickhouse", address, s.clickhouse)
	if err := way.Start(); err != nil {
		return fmt.Errorf("starting the way to ClickHouse: %w", err)
	}
	defer func() { way.Stop() }()
	p, stop, err := s.start(ctx, "outage", address)
	if stop != nil {
		defer stop()
	}
	if err != nil {
		return err
	}
	load, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	type produced struct {
		sent int
		err  error
	}
	loaded := make(chan produced, 1)
	go func() {
		sent, err := s.steadily(load, p, outagePace)
		loaded <- produced{sent, err}
	}()
	time.Sleep(20 * time.Second)
	_, before := p.memory()
	way.Stop()
	fmt.Printf("\nmemory of the whole pipeline with ClickHouse away for %d minutes and %d events a second produced meanwhile, MB\n  most before: %d; each minute of the outage:", minutes, outagePace, before)
	out := bufio.NewWriter(os.Stdout)
	for range minutes {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Minute):
		}
		now, _ := p.memory()
		fmt.Fprintf(out, " %d", now)
		out.Flush()
	}
	_, during := p.memory()
	stopLoad()
	done := <-loaded
	if done.err != nil {
		return fmt.Errorf("producing the load: %w", done.err)
	}
	if err := way.Start(); err != nil {
		return errors.Join(errors.New("opening the way to ClickHouse again"), err)
	}
	deals := (done.sent + dealEvery - 1) / dealEvery
	for table, want := range map[string]int{"deal_events": deals, "ticket_events": done.sent - deals} {
		for began, last := time.Now(), ""; ; {
			rows, err := s.sql(ctx, p.database, rowsDistinct, map[string]any{"table": table})
			if rows = strings.TrimSpace(rows); err == nil && rows == fmt.Sprint(want) {
				break
			}
			if rows != last {
				began, last = time.Now(), rows
			}
			if time.Since(began) > 2*time.Minute || ctx.Err() != nil {
				return fmt.Errorf("%s of %d rows of %s are there, and no more come; the pipeline said:\n%s", rows, want, table, tail(p.log.String()))
			}
			time.Sleep(time.Second)
		}
	}
	_, after := p.memory()
	fmt.Printf("\n  most during: %d; most until all %d events were stored: %d (wanted: at most 300)\n", during, done.sent, after)
	return nil
}

//go:embed rows_distinct.sql
var rowsDistinct string
