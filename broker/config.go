package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/aftershock/aftershock/dial"
)

// Config says how to reach Kafka and what its topics are called.
type Config struct {
	// Brokers are the addresses to start from, as host:port. Defaults to localhost:9092.
	Brokers []string `yaml:"brokers" env:"BROKERS" doc:"addresses to start from, as host:port"`
	// ClientID is how this process names itself to the brokers. Defaults to aftershock.
	ClientID string `yaml:"client_id" env:"CLIENT_ID" doc:"how this process names itself to the brokers"`
	// DialTimeout bounds the making of one connection, TLS and SASL included. Defaults to 10s.
	DialTimeout time.Duration `yaml:"dial_timeout" env:"DIAL_TIMEOUT" doc:"bound on making one connection, TLS and SASL included"`
	// TLS encrypts the connection. Defaults to off.
	TLS TLS `yaml:"tls" envPrefix:"TLS_" doc:"encryption of the connection"`
	// SASL proves who we are. Defaults to none.
	SASL SASL `yaml:"sasl" envPrefix:"SASL_" doc:"proof of who we are"`
	// Topics are the names, partition counts and sizes. Defaults to those of DefaultTopics.
	Topics Topics `yaml:"topics" envPrefix:"TOPICS_" doc:"names, partition counts and sizes of the topics"`
}

// TLS is how the connection is encrypted.
type TLS struct {
	// Enabled turns TLS on. Defaults to false.
	Enabled bool `yaml:"enabled" env:"ENABLED" doc:"whether the brokers expect TLS"`
	// CAFile holds the PEM certificates to trust. Defaults to those of the system.
	CAFile string `yaml:"ca_file" env:"CA_FILE" doc:"PEM certificates to trust; those of the system where empty"`
	// CertFile and KeyFile hold the client's own certificate. Defaults to none.
	CertFile string `yaml:"cert_file" env:"CERT_FILE" doc:"PEM certificate of the client"`
	// KeyFile holds the key of CertFile. Defaults to none.
	KeyFile string `yaml:"key_file" env:"KEY_FILE" doc:"PEM key of the client's certificate"`
	// ServerName is the name to expect in the brokers' certificates. Defaults to the host that was dialled.
	ServerName string `yaml:"server_name" env:"SERVER_NAME" doc:"name to expect in the brokers' certificates; the host that was dialled where empty"`
}

// SASL is who we are to the brokers.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Defaults to none.
	Mechanism string `yaml:"mechanism" env:"MECHANISM" doc:"PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, or empty for none"`
	// Username is the user. Defaults to none.
	Username string `yaml:"username" env:"USERNAME" doc:"user"`
	// Password is the password; better use PasswordFile. Defaults to none.
	Password dial.Secret `yaml:"password" env:"PASSWORD" doc:"password; better in a file"`
	// PasswordFile holds the password; trailing line ends are ignored. Defaults to none.
	PasswordFile string `yaml:"password_file" env:"PASSWORD_FILE" doc:"file that holds the password"`
}

// DefaultConfig reaches a broker on this host, unencrypted.
func DefaultConfig() Config {
	return Config{
		Brokers:     []string{"localhost:9092"},
		ClientID:    "aftershock",
		DialTimeout: 10 * time.Second,
		Topics:      DefaultTopics(),
	}
}

// Validate reports everything that is wrong, at once.
func (c Config) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("brokers: at least one address as host:port is needed"))
	}
	for _, address := range c.Brokers {
		if strings.Contains(address, "@") { // what is before it may be a password
			errs = append(errs, errors.New("brokers: an address is host:port alone: the user and the password are kafka.sasl"))
		} else if _, _, err := net.SplitHostPort(address); err != nil {
			errs = append(errs, fmt.Errorf("brokers: %q is not host:port", address))
		}
	}
	if c.DialTimeout <= 0 {
		errs = append(errs, fmt.Errorf("dial_timeout: %s must be more than 0s", c.DialTimeout))
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		errs = append(errs, errors.New("tls: cert_file and key_file go together"))
	}
	switch c.SASL.Mechanism {
	case "":
		if c.SASL.Username != "" {
			errs = append(errs, errors.New("sasl: a username is given but no mechanism"))
		}
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
		if c.SASL.Username == "" {
			errs = append(errs, fmt.Errorf("sasl: %s needs a username", c.SASL.Mechanism))
		}
		if (c.SASL.Password == "") == (c.SASL.PasswordFile == "") {
			errs = append(errs, fmt.Errorf("sasl: %s needs either password or password_file", c.SASL.Mechanism))
		}
	default:
		errs = append(errs, fmt.Errorf("sasl: mechanism %q is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.SASL.Mechanism))
	}
	return errors.Join(append(errs, c.Topics.Validate())...)
}

func (t TLS) config() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	config, err := dial.TLS("the certificates to trust", t.CAFile)
	if err != nil {
		return nil, err
	}
	config.ServerName = t.ServerName
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client's certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
