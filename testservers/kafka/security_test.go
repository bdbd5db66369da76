package kafka

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/plain"

	"github.com/aftershock/aftershock/testservers/authority"
)

func TestKafkaWithSecurity(t *testing.T) {
	ca, err := authority.New()
	if err != nil {
		t.Fatal(err)
	}
	k := startKafka(t, Options{Security: &Security{Authority: ca, Users: map[string]string{"admin": "one", "reader": "two"}, Super: []string{"admin"}}})
	create := func(user, password string) error {
		transport := &kafka.Transport{TLS: &tls.Config{RootCAs: ca.Pool()}, SASL: plain.Mechanism{Username: user, Password: password}}
		defer transport.CloseIdleConnections()
		client := &kafka.Client{Addr: kafka.TCP(k.SecureAddrs()...), Transport: transport, Timeout: 10 * time.Second}
		created, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: user, NumPartitions: 1, ReplicationFactor: 1}}})
		if err != nil {
			return err
		}
		return created.Errors[user]
	}
	if err := create("admin", "one"); err != nil {
		t.Errorf("a super user: %v", err)
	}
	if err := create("reader", "two"); !errors.Is(err, kafka.TopicAuthorizationFailed) && !errors.Is(err, kafka.ClusterAuthorizationFailed) {
		t.Errorf("a user without ACLs: %v", err)
	}
	dialer := &kafka.Dialer{TLS: &tls.Config{RootCAs: ca.Pool()}, SASLMechanism: plain.Mechanism{Username: "admin", Password: "two"}}
	if _, err := dialer.DialContext(t.Context(), "tcp", k.SecureAddrs()[0]); !errors.Is(err, kafka.SASLAuthenticationFailed) {
		t.Errorf("a wrong password: %v", err)
	}
	list, err := Tool(t.Context(), "org.apache.kafka.tools.AclCommand", "--bootstrap-server", k.Addrs()[0], "--list")
	if err != nil {
		t.Fatal(err)
	}
	if said, err := list.CombinedOutput(); err != nil || strings.Contains(string(said), "Exception") {
		t.Errorf("%v: %s", err, said)
	}
}
