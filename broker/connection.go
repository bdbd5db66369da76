package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
)

// requestTimeout bounds one administrative request.
const requestTimeout = 15 * time.Second

// Connection reaches one Kafka cluster. It is inert until used and safe for many goroutines.
type Connection struct {
	config    Config
	tls       *tls.Config
	dialer    *kafka.Dialer
	transport *kafka.Transport
}

// Connect prepares the connection; nothing is dialled yet. Files named in the config are read now.
func Connect(config Config) (*Connection, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	tlsConfig, err := config.TLS.config()
	if err != nil {
		return nil, err
	}
	mechanism, err := config.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	c := &Connection{config: config, tls: tlsConfig}
	// TLS is done by our own dial, and not by the dialer, so that a partition reader can take the authenticated connection over.
	c.dialer = &kafka.Dialer{ClientID: config.ClientID, Timeout: config.DialTimeout, SASLMechanism: mechanism, DialFunc: c.dial}
	c.transport = &kafka.Transport{ClientID: config.ClientID, DialTimeout: config.DialTimeout, Dial: dialTCP, TLS: tlsConfig, SASL: mechanism}
	return c, nil
}

// Config returns what the connection was built from.
func (c *Connection) Config() Config { return c.config }

// Topics returns the names of our topics.
func (c *Connection) Topics() Topics { return c.config.Topics }

// Brokers returns the addresses to start from.
func (c *Connection) Brokers() []string { return c.config.Brokers }

// Dialer is for kafka-go's consumer groups.
func (c *Connection) Dialer() *kafka.Dialer { return c.dialer }

// Transport is for kafka-go's writers and clients.
func (c *Connection) Transport() *kafka.Transport { return c.transport }

// Address is the addresses to start from, as kafka-go wants them.
func (c *Connection) Address() net.Addr { return kafka.TCP(c.config.Brokers...) }

// Client makes single requests, each within a bound.
func (c *Connection) Client() *kafka.Client {
	return &kafka.Client{Addr: c.Address(), Timeout: requestTimeout, Transport: c.transport}
}

// Close drops idle connections.
func (c *Connection) Close() { c.transport.CloseIdleConnections() }

// Check reports in words why the brokers cannot be used: unreachable, wrong password, untrusted certificate.
// It tries each address, each within the dial timeout.
func (c *Connection) Check(ctx context.Context) error {
	var errs []error
	for _, address := range c.config.Brokers {
		conn, err := c.dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(c.config.DialTimeout))
			_, err = conn.Brokers() // the version handshake is answered to strangers too
			_ = conn.Close()
		}
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("reaching the Kafka broker %s: %w%s", address, err, hint(err, c.config)))
	}
	return errors.Join(errs...)
}

func hint(err error, config Config) string {
	var netErr *net.OpError
	switch {
	case errors.Is(err, kafka.SASLAuthenticationFailed):
		return " (check kafka.sasl.username and its password)"
	case errors.Is(err, kafka.UnsupportedSASLMechanism):
		return " (the broker does not offer kafka.sasl.mechanism " + config.SASL.Mechanism + ")"
	case errors.As(err, &netErr) && netErr.Op == "dial":
		return " (is it running, and is kafka.brokers right?)"
	case !config.TLS.Enabled && config.SASL.Mechanism == "":
		return " (does it expect TLS or SASL?)"
	}
	return ""
}

func (s SASL) mechanism() (sasl.Mechanism, error) {
	if s.Mechanism == "" {
		return nil, nil
	}
	password, err := s.password()
	if err != nil {
		return nil, err
	}
	if s.Mechanism == "PLAIN" {
		return plain.Mechanism{Username: s.Username, Password: password}, nil
	}
	return newScram(s.Mechanism, s.Username, password)
}

func dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, network, address)
}

func (c *Connection) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := dialTCP(ctx, network, address)
	if err != nil || c.tls == nil {
		return conn, err
	}
	config := c.tls.Clone()
	if config.ServerName == "" {
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			config.ServerName = address
		}
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}

// raw dials a broker, authenticates and hands over the bare connection.
func (c *Connection) raw(ctx context.Context, address string) (net.Conn, error) {
	var bare net.Conn
	dialer := *c.dialer
	dialer.DialFunc = func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		conn, err = c.dial(ctx, network, address)
		bare = conn
		return conn, err
	}
	if _, err := dialer.DialContext(ctx, "tcp", address); err != nil {
		if bare != nil {
			_ = bare.Close()
		}
		return nil, err
	}
	return bare, bare.SetDeadline(time.Time{})
}

// leader returns the address of the broker that leads the partition.
func (c *Connection) leader(ctx context.Context, topic string, partition int) (string, error) {
	metadata, err := c.Client().Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return "", fmt.Errorf("finding the leader of %s/%d: %w", topic, partition, err)
	}
	for _, t := range metadata.Topics {
		if t.Error != nil {
			return "", fmt.Errorf("finding the leader of %s/%d: %w", topic, partition, t.Error)
		}
		for _, p := range t.Partitions {
			if p.ID == partition && p.Leader.Host != "" {
				return net.JoinHostPort(p.Leader.Host, strconv.Itoa(p.Leader.Port)), nil
			}
		}
	}
	return "", fmt.Errorf("finding the leader of %s/%d: %w", topic, partition, kafka.LeaderNotAvailable)
}
