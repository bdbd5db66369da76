package pipeline_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/testservers"
)

func TestMain(m *testing.M) { os.Exit(testservers.Main(m)) }

// onEveryBroker runs a test against each kind of broker, with a control topic of its own: servers may be shared.
func onEveryBroker(t *testing.T, test func(t *testing.T, conn *broker.Connection)) {
	for name, start := range map[string]func(testing.TB) []string{"embedded": testservers.Broker, "kafka4": testservers.Kafka4} {
		t.Run(name, func(t *testing.T) {
			config := broker.DefaultConfig()
			config.Brokers = start(t)
			config.Topics.Control = testservers.Name(config.Topics.Control)
			conn, err := broker.Connect(config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(conn.Close)
			if _, err := conn.CreateTopics(within(t), conn.Topics().Wanted()); err != nil {
				t.Fatal(err)
			}
			test(t, conn)
		})
	}
}

// within bounds what a test waits for.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// quick is a config with short pauses.
func quick() consumers.Config {
	config := consumers.DefaultConfig()
	config.DrainTimeout = 5 * time.Second
	config.CommitTimeout = 5 * time.Second
	return config
}

func TestLeadershipPassesOn(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		config := quick()
		config.ControlGroup = "control." + conn.Topics().Control
		config.ControlSessionTimeout = 6 * time.Second
		type tenure struct {
			who string
			ctx context.Context
		}
		began := make(chan tenure, 10)
		var leaders atomic.Int32
		lead := func(who string) (stop func()) {
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() {
				done <- (&pipeline.Election{Config: config, Kafka: conn, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}).Lead(ctx, func(ctx context.Context, _ int32) error {
					if leaders.Add(1) > 1 {
						t.Error("two leaders at a time")
					}
					defer leaders.Add(-1)
					began <- tenure{who, ctx}
					<-ctx.Done()
					return ctx.Err()
				})
			}()
			return func() {
				cancel()
				if err := <-done; err != nil {
					t.Errorf("Lead: %v", err)
				}
			}
		}
		stopA := lead("a")
		first := <-began
		if first.who != "a" {
			t.Fatalf("%s leads first", first.who)
		}
		stopB := lead("b")
		<-first.ctx.Done() // the group is shared anew
		second := <-began
		if second.who == "a" {
			stopA()
			second = <-began
			if second.who != "b" {
				t.Errorf("after a stopped, %s leads", second.who)
			}
			stopB()
		} else {
			stopB()
			if third := <-began; third.who != "a" {
				t.Errorf("after b stopped, %s leads", third.who)
			}
			stopA()
		}
	})
}

func TestLeadReturnsWhatTheWorkReturns(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		config := quick()
		config.ControlGroup = "control." + conn.Topics().Control
		broken := errors.New("broken")
		err := (&pipeline.Election{Config: config, Kafka: conn}).Lead(within(t), func(context.Context, int32) error { return broken })
		if !errors.Is(err, broken) {
			t.Errorf("Lead returned %v", err)
		}
	})
}
