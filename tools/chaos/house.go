package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/embedded"
	realkafka "github.com/aftershock/aftershock/testservers/kafka"
)

const database = "aftershock"

// How long the groups wait for a silent member; a paused replica sleeps longer.
const (
	sessionTimeout        = 6 * time.Second
	controlSessionTimeout = 4 * time.Second
	pausedFor             = 8 * time.Second
)

// house is everything that runs: the servers, the replicas behind their proxies, and what was produced.
type house struct {
	dir        string
	binary     string
	broker     *server
	clickhouse *server
	kafkaAddr  string // past the proxies, as are the next two
	nativeAddr string
	httpAddr   string
	replicas   []*replica
	topics     broker.Topics
	direct     *broker.Connection
	positions  *broker.Positions
	truth      *ledger
	one        int // the rules tell of one account in so many

	watching sync.WaitGroup
	ended    context.CancelFunc
}

// openHouse starts servers and prepares the topics and the schema. The replicas do not run yet.
func openHouse(ctx context.Context, dir, binary string, replicas, records int) (h *house, err error) {
	h = &house{dir: dir, binary: binary, one: max(records/200_000, 1), topics: broker.DefaultTopics(), truth: &ledger{}}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	// Broker, native and HTTP; for each replica a listener whose clients are told to go on through its proxy, two proxies, its named
	// steps and its console.
	ports, err := freePorts(3 + 5*replicas)
	if err != nil {
		return h, err
	}
	h.kafkaAddr, h.nativeAddr, h.httpAddr = local(ports[0]), local(ports[1]), local(ports[2])
	h.clickhouse = newClickHouse(embedded.ClickHouseOptions{DataDir: filepath.Join(dir, "clickhouse"), NativePort: ports[1], HTTPPort: ports[2]})
	kafka := realkafka.Options{Dir: filepath.Join(dir, "kafka"), Port: ports[0]}
	for i := range replicas {
		name := string(rune('a' + i))
		r := &replica{name: name, binary: binary, logPath: filepath.Join(dir, "replica-"+name+".log")}
		own := ports[3+5*i : 8+5*i]
		r.steps, r.console = local(own[3]), local(own[4])
		if r.clickhouse, err = newProxy(dir+" clickhouse "+name, local(own[1]), h.nativeAddr); err != nil {
			return h, err
		}
		if r.kafka, err = newProxy(dir+" kafka "+name, local(own[2]), local(own[0])); err != nil {
			return h, err
		}
		kafka.Listeners = append(kafka.Listeners, realkafka.Listener{
			Name: "REPLICA_" + strings.ToUpper(name), Port: own[0], Advertised: r.kafka.Listen,
		})
		h.replicas = append(h.replicas, r)
	}
	h.broker = newBroker(kafka)
	if err := errors.Join(h.broker.start(ctx), h.clickhouse.start(ctx)); err != nil {
		return h, err
	}
	config := broker.DefaultConfig()
	config.Brokers = []string{h.kafkaAddr}
	if h.direct, err = broker.Connect(config); err != nil {
		return h, err
	}
	h.positions = &broker.Positions{Kafka: h.direct, Group: consumers.DefaultConfig().Group, Topics: []string{h.topics.Deals, h.topics.Tickets}}
	if err := h.configure(ctx); err != nil {
		return h, err
	}
	watching, ended := context.WithCancel(context.Background())
	h.ended = ended
	h.watching.Go(func() { h.broker.supervise(watching) })
	h.watching.Go(func() { h.clickhouse.supervise(watching) })
	h.watching.Go(func() {
		for watching.Err() == nil {
			for _, r := range h.replicas {
				r.look()
			}
			sleep(watching, 200*time.Millisecond)
		}
	})
	return h, nil
}

// configure gives the replicas their environment and has topics and schema made.
func (h *house) configure(ctx context.Context) error {
	rules := filepath.Join(h.dir, "rules.yaml")
	if err := os.WriteFile(rules, bytes.ReplaceAll(rulesText, []byte("SHARE"), []byte(strconv.Itoa(h.one))), 0o644); err != nil {
		return err
	}
	var clean []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "AFTERSHOCK_") && !strings.HasPrefix(pair, "GOFAIL_") {
			clean = append(clean, pair)
		}
	}
	environment := func(clickhouse, kafka string, more ...string) []string {
		return append(append([]string{}, clean...), append([]string{
			"AFTERSHOCK_CLICKHOUSE_ADDR=" + clickhouse,
			"AFTERSHOCK_CLICKHOUSE_DATABASE=" + database,
			"AFTERSHOCK_CLICKHOUSE_QUERY_TIMEOUT=30s",
			"AFTERSHOCK_KAFKA_BROKERS=" + kafka,
			"AFTERSHOCK_KAFKA_DIAL_TIMEOUT=5s",
			"AFTERSHOCK_CONSUMERS_SESSION_TIMEOUT=" + sessionTimeout.String(),
			"AFTERSHOCK_CONSUMERS_CONTROL_SESSION_TIMEOUT=" + controlSessionTimeout.String(),
			"AFTERSHOCK_CONSUMERS_REBALANCE_TIMEOUT=8s",
			"AFTERSHOCK_CONSUMERS_INSERT_TIMEOUT=15s",
			"AFTERSHOCK_CONSUMERS_DRAIN_TIMEOUT=4s",
			"AFTERSHOCK_CONSUMERS_CHUNK_WAIT=300ms",
			"AFTERSHOCK_CONSUMERS_RETRY_MAX=2s",
			"AFTERSHOCK_EVALUATE_RULES=" + rules,
			"AFTERSHOCK_EVALUATE_MAX_WAIT=20s",
			"AFTERSHOCK_EVALUATE_UPKEEP_EVERY=1s",
		}, more...)...)
	}
	for _, r := range h.replicas {
		r.env = environment(r.clickhouse.Listen, r.kafka.Listen, "GOFAIL_HTTP="+r.steps, "AFTERSHOCK_CONSOLE_LISTEN="+r.console)
	}
	for _, args := range [][]string{{h.binary, "migrate"}, {h.binary, "topics", "create"}} {
		c := append([]string{"env", "-i"}, environment(h.nativeAddr, h.kafkaAddr)...)
		if _, err := command(ctx, h.dir, append(c, args...)...); err != nil {
			return fmt.Errorf("preparing the servers: %w", err)
		}
	}
	return nil
}

// close ends every process.
func (h *house) close() {
	for _, r := range h.replicas {
		r.kill()
		for _, p := range []*proxy{r.clickhouse, r.kafka} {
			if p != nil {
				p.Stop()
			}
		}
	}
	if h.ended != nil {
		h.ended()
		h.watching.Wait()
	}
	if h.direct != nil {
		h.direct.Close()
	}
	var stopping sync.WaitGroup
	for _, server := range []*server{h.broker, h.clickhouse} {
		if server != nil {
			stopping.Go(server.close)
		}
	}
	stopping.Wait()
}

// settle waits until everything produced is committed, every group's ticks have caught up, what was fresh has gone stale, and
// the topics have what the log says.
func (h *house) settle(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the pipeline had not settled after %s", patience))
	defer cancel()
	for ctx.Err() == nil {
		if _, err := h.positions.Wait(ctx, broker.Patience{}); err == nil {
			break
		}
		sleep(ctx, 200*time.Millisecond)
	}
	at := time.Now().Add(freshFor + 2*slowestTick)
	for ctx.Err() == nil {
		if ok, err := h.evaluatedUpTo(ctx, at); err == nil && ok {
			break
		}
		sleep(ctx, 500*time.Millisecond)
	}
	for ctx.Err() == nil {
		if ok, err := h.published(ctx); err == nil && ok {
			return nil
		}
		sleep(ctx, 500*time.Millisecond)
	}
	return context.Cause(ctx)
}
