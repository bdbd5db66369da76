package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"

	"github.com/aftershock/aftershock/dial"
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
		errs = append(errs, c.explain("reaching the Kafka broker "+address, err))
	}
	return errors.Join(errs...)
}

// explain says what was being done, what was wrong and what to try.
func (c *Connection) explain(doing string, err error) error {
	return fmt.Errorf("%s: %w%s", doing, err, hint(err, c.config))
}

func hint(err error, config Config) string {
	var dialling *net.OpError
	var notTLS tls.RecordHeaderError
	var handshake handshakeError
	var alert tls.AlertError
	var stranger x509.UnknownAuthorityError
	var otherName x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.Is(err, kafka.SASLAuthenticationFailed), errors.Is(err, errRefused):
		return " (check kafka.sasl.username and its password: kafka.sasl.password or password_file; or the user is unknown to kafka.sasl.mechanism " + config.SASL.Mechanism + ")"
	case errors.Is(err, kafka.UnsupportedSASLMechanism):
		return " (the broker does not offer kafka.sasl.mechanism " + config.SASL.Mechanism + ": ask for its sasl.enabled.mechanisms)"
	case errors.Is(err, kafka.TopicAuthorizationFailed), errors.Is(err, kafka.GroupAuthorizationFailed), errors.Is(err, kafka.ClusterAuthorizationFailed):
		return " (kafka.sasl.username lacks an ACL: see deploy/kafka/acls.sh)"
	case errors.As(err, &stranger):
		return " (nobody that we trust signed the broker's certificate: check kafka.tls.ca_file)"
	case errors.As(err, &otherName):
		return " (the broker's certificate is for another name: check kafka.brokers, or set kafka.tls.server_name)"
	case errors.As(err, &invalid):
		return " (the broker's certificate is not valid: renew it, and check the clocks)"
	case errors.As(err, &notTLS), errors.As(err, &handshake) && errors.Is(err, io.EOF):
		return " (the broker does not speak TLS there: check kafka.brokers and kafka.tls.enabled)"
	case errors.As(err, &alert):
		return " (the broker refused our side of TLS: check kafka.tls.cert_file and key_file)"
	case errors.As(err, &dialling) && dialling.Op == "dial":
		return " (is it running, and is kafka.brokers right?)"
	case !config.TLS.Enabled && config.SASL.Mechanism == "":
		return " (does it expect TLS or SASL? see kafka.tls.enabled and kafka.sasl.mechanism)"
	case !config.TLS.Enabled:
		return " (does it expect TLS? see kafka.tls.enabled)"
	case config.SASL.Mechanism == "":
		return " (does it expect SASL? see kafka.sasl.mechanism)"
	}
	return ""
}

func (s SASL) mechanism() (sasl.Mechanism, error) {
	if s.Mechanism == "" {
		return nil, nil
	}
	password, err := dial.ReadSecret("the Kafka password", s.Password, s.PasswordFile)
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
		return nil, handshakeError{err}
	}
	return secured, nil
}

// handshakeError is TLS that did not come about.
type handshakeError struct{ error }

func (e handshakeError) Unwrap() error { return e.error }

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
