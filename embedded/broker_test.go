package embedded

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/plain"
)

func startBrokerFor(t *testing.T, options BrokerOptions) *Broker {
	t.Helper()
	broker, err := StartBroker(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Stop(context.Background()) })
	return broker
}

func createTopic(t *testing.T, addr string, topic string, partitions int, entries ...kafka.ConfigEntry) {
	t.Helper()
	client := &kafka.Client{Addr: kafka.TCP(addr)}
	got, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: topic, NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries,
	}}})
	if err == nil {
		err = got.Errors[topic]
	}
	if err != nil {
		t.Fatalf("creating topic %s: %v", topic, err)
	}
}

func write(t *testing.T, addr string, topic string, records ...kafka.Message) {
	t.Helper()
	writer := &kafka.Writer{Addr: kafka.TCP(addr), Topic: topic, RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond}
	defer writer.Close()
	if err := writer.WriteMessages(t.Context(), records...); err != nil {
		t.Fatalf("writing to %s: %v", topic, err)
	}
}

// consumeAsGroup reads one record as a member of a group, commits behind it
// and leaves.
func consumeAsGroup(t *testing.T, addr, topic, group string) kafka.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	members, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: group, Brokers: []string{addr}, Topics: []string{topic}, StartOffset: kafka.FirstOffset,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer members.Close()
	generation, err := members.Next(ctx)
	if err != nil {
		t.Fatalf("joining group %s: %v", group, err)
	}
	assigned := generation.Assignments[topic]
	if len(assigned) != 1 {
		t.Fatalf("assigned %v, want the one partition", assigned)
	}
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{addr}, Topic: topic, Partition: assigned[0].ID, MaxWait: 250 * time.Millisecond})
	defer reader.Close()
	if err := reader.SetOffset(assigned[0].Offset); err != nil {
		t.Fatal(err)
	}
	record, err := reader.ReadMessage(ctx)
	if err != nil {
		t.Fatalf("reading %s: %v", topic, err)
	}
	if err := generation.CommitOffsets(map[string]map[int]int64{topic: {assigned[0].ID: record.Offset + 1}}); err != nil {
		t.Fatalf("committing: %v", err)
	}
	return record
}

func TestBrokerServesGroupsAcrossStarts(t *testing.T) {
	dir := t.TempDir()
	broker := startBrokerFor(t, BrokerOptions{DataDir: dir})
	addr := broker.Addrs()[0]
	old := time.Date(2019, 3, 1, 12, 0, 0, 0, time.UTC)
	createTopic(t, addr, "deals", 1, kafka.ConfigEntry{ConfigName: "max.message.bytes", ConfigValue: "2000000"})
	createTopic(t, addr, "alerts", 1, kafka.ConfigEntry{ConfigName: "cleanup.policy", ConfigValue: "compact"})
	write(t, addr, "deals",
		kafka.Message{Key: []byte("a"), Value: []byte("1"), Time: old, Headers: []kafka.Header{{Key: "h", Value: []byte("v")}}},
		kafka.Message{Key: []byte("b"), Value: []byte("2"), Time: old})
	first := consumeAsGroup(t, addr, "deals", "readers")
	if string(first.Value) != "1" || !first.Time.Equal(old) || len(first.Headers) != 1 {
		t.Fatalf("first record: %+v", first)
	}
	if err := broker.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	again := startBrokerFor(t, BrokerOptions{DataDir: dir})
	again.Cluster().ApplyRetention() // what happens by itself once an hour
	addr = again.Addrs()[0]
	if second := consumeAsGroup(t, addr, "deals", "readers"); string(second.Value) != "2" || second.Offset != 1 {
		t.Errorf("after a restart: %q at %d, want %q at 1", second.Value, second.Offset, "2")
	}
	client := &kafka.Client{Addr: kafka.TCP(addr)}
	configs, err := client.DescribeConfigs(t.Context(), &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: "deals", ConfigNames: []string{"max.message.bytes"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := configs.Resources[0].ConfigEntries; len(got) != 1 || got[0].ConfigValue != "2000000" {
		t.Errorf("after a restart: topic configuration %+v", got)
	}
	offsets, err := client.ListOffsets(t.Context(), &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{"deals": {kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := offsets.Topics["deals"][0]; got.FirstOffset != 0 || got.LastOffset != 2 {
		t.Errorf("after retention: offsets %d to %d, want 0 to 2", got.FirstOffset, got.LastOffset)
	}
}

func TestBrokerGroupReader(t *testing.T) {
	addr := startBrokerFor(t, BrokerOptions{}).Addrs()[0]
	createTopic(t, addr, "tickets", 3)
	for _, key := range []string{"a", "b", "c", "d"} {
		write(t, addr, "tickets", kafka.Message{Key: []byte(key), Value: []byte(key)})
	}
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{addr}, GroupID: "g", Topic: "tickets", MaxWait: 250 * time.Millisecond,
	})
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := map[string]bool{}
	for len(seen) < 4 {
		record, err := reader.FetchMessage(ctx)
		if err != nil {
			t.Fatalf("after %v: %v", seen, err)
		}
		seen[string(record.Value)] = true
		if err := reader.CommitMessages(ctx, record); err != nil {
			t.Fatal(err)
		}
	}
}

// A commit of a member that lost its partition must not move the offset: the
// consumers' promise not to lose records rests on it.
func TestBrokerRefusesStaleGenerations(t *testing.T) {
	addr := startBrokerFor(t, BrokerOptions{}).Addrs()[0]
	createTopic(t, addr, "tickets", 1)
	write(t, addr, "tickets", kafka.Message{Value: []byte("1")})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	members, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: "g", Brokers: []string{addr}, Topics: []string{"tickets"}})
	if err != nil {
		t.Fatal(err)
	}
	generation, err := members.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := members.Close(); err != nil {
		t.Fatal(err)
	}
	consumeAsGroup(t, addr, "tickets", "g")
	client := &kafka.Client{Addr: kafka.TCP(addr)}
	got, err := client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: "g", GenerationID: int(generation.ID), MemberID: generation.MemberID,
		Topics: map[string][]kafka.OffsetCommit{"tickets": {{Partition: 0, Offset: 0}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Topics["tickets"][0].Error == nil {
		t.Error("a stale member's commit was taken")
	}
}

func TestBrokerDoesNotCreateTopicsUnasked(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, auto := range []bool{false, true} {
		addr := startBrokerFor(t, BrokerOptions{AutoCreateTopics: auto, Partitions: 2}).Addrs()[0]
		writer := &kafka.Writer{Addr: kafka.TCP(addr), Topic: "typo", RequiredAcks: kafka.RequireAll,
			BatchTimeout: 5 * time.Millisecond, MaxAttempts: 20, AllowAutoTopicCreation: auto}
		if !auto {
			writer.MaxAttempts = 1
		}
		err := writer.WriteMessages(ctx, kafka.Message{Value: []byte("x")})
		writer.Close()
		if (err == nil) != auto {
			t.Errorf("with AutoCreateTopics %v: %v", auto, err)
		}
	}
}

func TestBrokerWithSASLAndTLS(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil) // only for its certificate
	defer borrowed.Close()
	addr := startBrokerFor(t, BrokerOptions{
		Credentials: []Credential{{Mechanism: "PLAIN", User: "aftershock", Password: "right"}},
		TLS:         &tls.Config{Certificates: borrowed.TLS.Certificates},
	}).Addrs()[0]
	trusted := borrowed.Client().Transport.(*http.Transport).TLSClientConfig
	for password, works := range map[string]bool{"right": true, "wrong": false} {
		transport := &kafka.Transport{SASL: plain.Mechanism{Username: "aftershock", Password: password}, TLS: trusted}
		client := &kafka.Client{Addr: kafka.TCP(addr), Transport: transport, Timeout: 10 * time.Second}
		_, err := client.Metadata(t.Context(), &kafka.MetadataRequest{})
		if (err == nil) != works {
			t.Errorf("with the %s password: %v", password, err)
		}
		transport.CloseIdleConnections()
	}
}

func TestBrokerRefusesToStart(t *testing.T) {
	dir := t.TempDir()
	running := startBrokerFor(t, BrokerOptions{DataDir: dir})
	port := portOf(t, running.Addrs()[0])
	for name, c := range map[string]struct {
		options BrokerOptions
		want    string
	}{
		"port taken":      {BrokerOptions{Port: port}, "address already in use"},
		"data dir in use": {BrokerOptions{DataDir: dir}, "is in use: locked by another process"},
		"odd mechanism":   {BrokerOptions{Credentials: []Credential{{Mechanism: "NTLM", User: "x"}}}, "NTLM"},
	} {
		t.Run(name, func(t *testing.T) {
			broker, err := StartBroker(t.Context(), c.options)
			if err == nil {
				broker.Stop(t.Context())
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "starting embedded broker: ") {
				t.Errorf("%q does not say %q", err, c.want)
			}
		})
	}
}

func portOf(t *testing.T, addr string) int {
	t.Helper()
	resolved, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return resolved.Port
}
