package embedded

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// BrokerOptions say how an embedded broker runs. The zero value works.
type BrokerOptions struct {
	// DataDir keeps topics, their configuration, records and group offsets
	// across starts. Only one process at a time can use it. Defaults to memory.
	DataDir string
	// Port is a loopback port. Defaults to a free one.
	Port int
	// Credentials turn SASL on: only these get in. Defaults to none, and no SASL.
	Credentials []Credential
	// TLS is the listener's configuration. Defaults to none, and plain text.
	TLS *tls.Config
	// AutoCreateTopics lets a client create a topic by asking for it. Defaults
	// to false, as a mistyped name should be an error.
	AutoCreateTopics bool
	// Partitions a topic gets when its creator does not say. Defaults to 1.
	Partitions int
	// MinSessionTimeout is the shortest session that a group's member may ask
	// for. Defaults to 1 second; Kafka's own default, 6 seconds, makes tests of
	// rebalances slow.
	MinSessionTimeout time.Duration
}

// Credential is a SASL user with all rights.
type Credential struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	User      string
	Password  string
}

// Broker is a running Kafka-protocol broker inside this process.
type Broker struct {
	cluster  *kfake.Cluster
	addrs    []string
	lock     *os.File
	stopOnce sync.Once
	stopped  chan struct{}
}

// StartBroker starts a broker, which runs until Stop. ctx bounds the start only.
func StartBroker(ctx context.Context, options BrokerOptions) (*Broker, error) {
	broker, err := startBroker(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("starting embedded broker: %w", err)
	}
	return broker, nil
}

func startBroker(ctx context.Context, options BrokerOptions) (*Broker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := portFree(options.Port); err != nil {
		return nil, err
	}
	broker := &Broker{stopped: make(chan struct{})}
	settings := options.settings()
	if options.DataDir != "" {
		dir, _, lock, err := openDataDir(ctx, options.DataDir, "")
		if err != nil {
			return nil, err
		}
		broker.lock = lock
		settings = append(settings, kfake.DataDir(filepath.Join(dir, "kafka")))
	}
	cluster, err := kfake.NewCluster(settings...)
	if err != nil {
		broker.unlock()
		return nil, err
	}
	broker.cluster = cluster
	broker.addrs = cluster.ListenAddrs()
	return broker, nil
}

func (o BrokerOptions) settings() []kfake.Opt {
	settings := []kfake.Opt{
		kfake.Ports(o.Port),
		kfake.ClusterID("aftershock-embedded"),
		kfake.DefaultNumPartitions(max(1, o.Partitions)),
		kfake.GroupMinSessionTimeout(minSession(o.MinSessionTimeout)),
		kfake.BrokerConfigs(map[string]string{
			// A history carries old timestamps: a week's retention would drop it
			// within the hour. A topic's own retention.ms still counts.
			"log.retention.ms": "-1",
			// A demo that rests for some weeks goes on where it stopped.
			"offsets.retention.minutes": strconv.Itoa(10 * 365 * 24 * 60),
		}),
	}
	if o.AutoCreateTopics {
		settings = append(settings, kfake.AllowAutoTopicCreation())
	}
	if o.TLS != nil {
		settings = append(settings, kfake.TLS(o.TLS))
	}
	if len(o.Credentials) > 0 {
		settings = append(settings, kfake.EnableSASL())
	}
	for _, c := range o.Credentials {
		settings = append(settings, kfake.Superuser(c.Mechanism, c.User, c.Password))
	}
	return settings
}

func minSession(asked time.Duration) time.Duration {
	if asked == 0 {
		return time.Second
	}
	return asked
}

// Addrs are the host:port pairs for a client to start from.
func (b *Broker) Addrs() []string { return slices.Clone(b.addrs) }

// Cluster is the fake underneath, for tests that inject faults.
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }

// Stop saves what DataDir keeps and closes every connection. It waits as long
// as ctx allows; a second call waits for the first.
func (b *Broker) Stop(ctx context.Context) error {
	b.stopOnce.Do(func() {
		go func() {
			defer close(b.stopped)
			b.cluster.Close()
			b.unlock()
		}()
	})
	select {
	case <-b.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping embedded broker: %w", ctx.Err())
	}
}

func (b *Broker) unlock() {
	if b.lock != nil {
		b.lock.Close()
	}
}
