package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/embedded"
	"github.com/aftershock/aftershock/testservers"
)

func TestMain(m *testing.M) { os.Exit(testservers.Main(m)) }

func onEveryBroker(t *testing.T, test func(t *testing.T, conn *broker.Connection)) {
	for name, start := range map[string]func(testing.TB) []string{"embedded": testservers.Broker, "kafka4": testservers.Kafka4} {
		t.Run(name, func(t *testing.T) {
			config := broker.DefaultConfig()
			config.Brokers = start(t)
			config.Topics = ownTopics()
			test(t, connect(t, config))
		})
	}
}

func ownTopics() broker.Topics {
	topics := broker.DefaultTopics()
	for _, name := range []*string{&topics.Deals, &topics.Tickets, &topics.Feedback, &topics.Alerts, &topics.Handoffs, &topics.DeadLetter, &topics.Control} {
		*name = testservers.Name(*name)
	}
	return topics
}

func connect(t testing.TB, config broker.Config) *broker.Connection {
	t.Helper()
	conn, err := broker.Connect(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestTopicsAreCreatedWithTheirSettings(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		wanted := conn.Topics().Wanted()
		differences, err := conn.DescribeTopics(within(t), wanted)
		if err != nil || len(differences) != len(wanted) {
			t.Fatalf("before creation: %v, %v", differences, err)
		}
		created, err := conn.CreateTopics(within(t), wanted)
		if err != nil || len(created) != len(wanted) {
			t.Fatalf("created %v, %v", created, err)
		}
		if created, err = conn.CreateTopics(within(t), wanted); err != nil || len(created) != 0 {
			t.Errorf("the second time: created %v, %v", created, err)
		}
		if differences, err = conn.DescribeTopics(within(t), wanted); err != nil || len(differences) != 0 {
			t.Errorf("after creation: %v, %v", differences, err)
		}
	})
}

func TestTopicsThatBreakAGuaranteeAreFound(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		topics := conn.Topics()
		spoiled := topics.Wanted()
		for i := range spoiled {
			switch spoiled[i].Name {
			case topics.Alerts:
				spoiled[i].Partitions = 3
				spoiled[i].Settings = []broker.Setting{{Name: "cleanup.policy", Value: "delete"}}
			case topics.DeadLetter:
				spoiled[i].Settings = []broker.Setting{{Name: "max.message.bytes", Value: "1000000"}}
			}
		}
		if _, err := conn.CreateTopics(within(t), spoiled); err != nil {
			t.Fatal(err)
		}
		differences, err := conn.DescribeTopics(within(t), topics.Wanted())
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, d := range differences {
			if d.Breaks {
				found = append(found, d.Topic+" "+d.Setting)
			}
		}
		for _, want := range []string{topics.Alerts + " partitions", topics.Alerts + " cleanup.policy", topics.Alerts + " min.compaction.lag.ms", topics.DeadLetter + " max.message.bytes"} {
			if !slices.Contains(found, want) {
				t.Errorf("%s is not found among %v", want, found)
			}
		}
	})
}

func TestEveryCompressionIsRead(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		create(t, conn)
		topic := conn.Topics().Deals
		var want []string
		for _, c := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
			w := &kafka.Writer{Addr: conn.Address(), Topic: topic, Transport: conn.Transport(), Compression: c, RequiredAcks: kafka.RequireAll,
				BatchTimeout: time.Millisecond, Balancer: kafka.BalancerFunc(func(kafka.Message, ...int) int { return 1 })}
			var batch []kafka.Message
			for i := range 300 {
				value := fmt.Sprintf("%d-%d-%s", c, i, strings.Repeat("x", i))
				want = append(want, value)
				batch = append(batch, kafka.Message{Key: []byte(strconv.Itoa(i)), Value: []byte(value), Headers: []kafka.Header{{Key: "h", Value: []byte("v")}, {Key: "empty"}}})
			}
			if err := w.WriteMessages(within(t), batch...); err != nil {
				t.Fatal(err)
			}
			w.Close()
		}
		// Small fetches begin in the middle of batches.
		for _, bytes := range []int{200, 1 << 20} {
			var got []string
			readAll(t, conn, churn.TopicPartition{Topic: topic, Partition: 1}, 0, bytes, func(r *broker.Record) {
				got = append(got, string(r.Value))
				if len(r.Headers) != 2 || r.Headers[1].Value != nil && len(r.Headers[1].Value) > 0 || r.Time.IsZero() {
					t.Errorf("record %d: headers %v, time %s", r.Offset, r.Headers, r.Time)
				}
			})
			if !slices.Equal(got, want) {
				t.Errorf("with fetches of %d bytes: read %d records, want %d", bytes, len(got), len(want))
			}
		}
		got := 0
		readAll(t, conn, churn.TopicPartition{Topic: topic, Partition: 1}, 750, 1<<20, func(r *broker.Record) {
			if got == 0 && r.Offset != 750 {
				t.Errorf("the first record is %d", r.Offset)
			}
			got++
		})
		if got != len(want)-750 {
			t.Errorf("read %d records from offset 750", got)
		}
	})
}

func TestOnlyCommittedRecordsAreRead(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		create(t, conn)
		topic := conn.Topics().Tickets
		client, err := kgo.NewClient(kgo.SeedBrokers(conn.Brokers()...), kgo.TransactionalID(testservers.Name("tx")), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for i, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
			if err := client.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := client.ProduceSync(within(t), &kgo.Record{Topic: topic, Value: []byte(strconv.Itoa(i))}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			if err := client.EndTransaction(within(t), end); err != nil {
				t.Fatal(err)
			}
		}
		// The last marker is written after the end of the transaction is acknowledged.
		for ctx := within(t); ; {
			ranges, err := conn.Ranges(ctx, topic)
			if err != nil {
				t.Fatal(err)
			}
			if ranges[churn.TopicPartition{Topic: topic}].End == 16 {
				break
			}
		}
		var got []string
		next := readAll(t, conn, churn.TopicPartition{Topic: topic}, 0, 1<<20, func(r *broker.Record) { got = append(got, string(r.Value)) })
		if want := []string{"0", "0", "0", "2", "2", "2"}; !slices.Equal(got, want) {
			t.Errorf("read %v, want %v", got, want)
		}
		if next != 16 { // three records and a marker each
			t.Errorf("reading ends at %d, want 16: the markers would look like lag for ever", next)
		}
	})
}

func TestAnOffsetThatIsNotThere(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, conn *broker.Connection) {
		create(t, conn)
		reader := conn.Reader(churn.TopicPartition{Topic: conn.Topics().Deals}, broker.FetchLimits{MinBytes: 1, MaxBytes: 1000, MaxWait: time.Second})
		defer reader.Close()
		if _, err := reader.Fetch(within(t), 17, time.Second); !errors.Is(err, kafka.OffsetOutOfRange) {
			t.Errorf("the error is %v", err)
		}
		if f, err := reader.Fetch(within(t), 0, time.Millisecond); err != nil || f.Next != 0 || f.End != 0 {
			t.Errorf("after it: %+v, %v", f, err)
		}
	})
}

func TestFetchEndsWithItsContext(t *testing.T) {
	conn := connect(t, embeddedConfig(t))
	create(t, conn)
	reader := conn.Reader(churn.TopicPartition{Topic: conn.Topics().Deals}, broker.FetchLimits{MinBytes: 1, MaxBytes: 1000, MaxWait: time.Minute})
	defer reader.Close()
	ctx, cancel := context.WithTimeout(within(t), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := reader.Fetch(ctx, 0, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func embeddedConfig(t *testing.T) broker.Config {
	config := broker.DefaultConfig()
	config.Brokers = testservers.Broker(t)
	return config
}

func TestPasswords(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			server := testservers.StartBroker(t, embedded.BrokerOptions{Credentials: []embedded.Credential{{Mechanism: mechanism, User: "us,er=1", Password: "s3cret"}}})
			config := broker.DefaultConfig()
			config.Brokers = server.Addrs()
			config.SASL = broker.SASL{Mechanism: mechanism, Username: "us,er=1", Password: "s3cret"}
			conn := connect(t, config)
			if err := conn.Check(within(t)); err != nil {
				t.Fatal(err)
			}
			create(t, conn)
			readAll(t, conn, churn.TopicPartition{Topic: conn.Topics().Deals}, 0, 1000, func(*broker.Record) {})

			config.SASL.Password = "wrong-" + "guess"
			err := connect(t, config).Check(within(t))
			if err == nil || strings.Contains(err.Error(), "guess") || !strings.Contains(err.Error(), "kafka.sasl.username") {
				t.Errorf("a wrong password gives %v", err)
			}
			config.SASL = broker.SASL{}
			if err := connect(t, config).Check(within(t)); err == nil {
				t.Error("no password gives no error")
			}
		})
	}
}

func TestTLS(t *testing.T) {
	certificate, authority := selfSigned(t)
	server := testservers.StartBroker(t, embedded.BrokerOptions{TLS: &tls.Config{Certificates: []tls.Certificate{certificate}},
		Credentials: []embedded.Credential{{Mechanism: "SCRAM-SHA-256", User: "u", Password: "p"}}})
	config := broker.DefaultConfig()
	config.Brokers = server.Addrs()
	config.SASL = broker.SASL{Mechanism: "SCRAM-SHA-256", Username: "u", Password: "p"}
	config.TLS = broker.TLS{Enabled: true, CAFile: authority}
	conn := connect(t, config)
	if err := conn.Check(within(t)); err != nil {
		t.Fatal(err)
	}
	create(t, conn)
	readAll(t, conn, churn.TopicPartition{Topic: conn.Topics().Deals}, 0, 1000, func(*broker.Record) {})

	config.TLS.CAFile = ""
	if err := connect(t, config).Check(within(t)); err == nil {
		t.Error("a certificate that nobody vouches for is accepted")
	}
}

// selfSigned makes a certificate for this host and a file with it as its own authority.
func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

func TestAPasswordNeverShows(t *testing.T) {
	config := broker.DefaultConfig()
	config.SASL = broker.SASL{Mechanism: "PLAIN", Username: "u", Password: "s3cret"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if s := fmt.Sprintf(format, config); strings.Contains(s, "s3cret") {
			t.Errorf("%s shows the password", format)
		}
	}
}

func TestValidateReportsEverythingAtOnce(t *testing.T) {
	config := broker.DefaultConfig()
	config.Brokers = []string{"nohost"}
	config.DialTimeout = 0
	config.TLS.CertFile = "x"
	config.SASL.Mechanism = "GSSAPI"
	config.Topics.Alerts = config.Topics.Deals
	config.Topics.InputPartitions = 0
	err := config.Validate()
	for _, want := range []string{"brokers:", "dial_timeout:", "cert_file", "GSSAPI", "topics.alerts", "topics.input_partitions"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing from %v", want, err)
		}
	}
	if err := broker.DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func create(t testing.TB, conn *broker.Connection) {
	t.Helper()
	if _, err := conn.CreateTopics(within(t), conn.Topics().Wanted()); err != nil {
		t.Fatal(err)
	}
}

func readAll(t testing.TB, conn *broker.Connection, tp churn.TopicPartition, from int64, bytes int, each func(*broker.Record)) int64 {
	t.Helper()
	ranges, err := conn.Ranges(within(t), tp.Topic)
	if err != nil {
		t.Fatal(err)
	}
	reader := conn.Reader(tp, broker.FetchLimits{MinBytes: 1, MaxBytes: bytes, MaxWait: time.Second})
	defer reader.Close()
	for from < ranges[tp].End {
		fetched, err := reader.Fetch(within(t), from, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range fetched.Records() {
			if err != nil {
				t.Fatal(err)
			}
			each(r)
		}
		from = fetched.Next
	}
	return from
}
