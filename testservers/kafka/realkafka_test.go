package kafka

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

func needKafka(t *testing.T) {
	t.Helper()
	ok, reason := Available()
	switch {
	case ok:
	case os.Getenv("CI") == "true":
		t.Fatal(reason)
	default:
		t.Skip(reason)
	}
}

func startKafka(t *testing.T, options Options) *Kafka {
	t.Helper()
	needKafka(t)
	began := time.Now()
	k, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %v", time.Since(began))
	t.Cleanup(func() {
		if err := k.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return k
}

func TestKafkaServesGroupsAcrossStarts(t *testing.T) {
	dir := t.TempDir()
	k := startKafka(t, Options{Dir: dir})
	old := time.Date(2019, 3, 1, 12, 0, 0, 0, time.UTC)
	client := &kafka.Client{Addr: kafka.TCP(k.Addrs()...)}
	created, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: "deals", NumPartitions: 1, ReplicationFactor: 1,
	}}})
	if err != nil || created.Errors["deals"] != nil {
		t.Fatal(err, created)
	}
	writer := &kafka.Writer{Addr: kafka.TCP(k.Addrs()...), Topic: "deals", RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond}
	defer writer.Close()
	if err := writer.WriteMessages(t.Context(),
		kafka.Message{Value: []byte("1"), Time: old}, kafka.Message{Value: []byte("2"), Time: old}); err != nil {
		t.Fatal(err)
	}
	if got := readOne(t, k.Addrs()); got != "1" {
		t.Errorf("first record %q, want 1", got)
	}
	began := time.Now()
	if err := k.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("stopped in %v", time.Since(began))
	if err := k.Err(); err != nil {
		t.Errorf("after Stop: %v", err)
	}
	again := startKafka(t, Options{Dir: dir})
	if got := readOne(t, again.Addrs()); got != "2" {
		t.Errorf("after a restart: %q, want 2", got)
	}
}

// readOne reads a record as a member of a group, commits behind it and leaves.
func readOne(t *testing.T, addrs []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	members, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: "readers", Brokers: addrs, Topics: []string{"deals"}, StartOffset: kafka.FirstOffset,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer members.Close()
	generation, err := members.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	assigned := generation.Assignments["deals"][0]
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: addrs, Topic: "deals", Partition: assigned.ID, MaxWait: 250 * time.Millisecond})
	defer reader.Close()
	if err := reader.SetOffset(assigned.Offset); err != nil {
		t.Fatal(err)
	}
	record, err := reader.ReadMessage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := generation.CommitOffsets(map[string]map[int]int64{"deals": {assigned.ID: record.Offset + 1}}); err != nil {
		t.Fatal(err)
	}
	return string(record.Value)
}

func TestKafkaTellsClientsOfAListenerWhereToGoOn(t *testing.T) {
	needKafka(t)
	ports, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	behind := fmt.Sprintf("127.0.0.1:%d", ports[1])
	k := startKafka(t, Options{Port: ports[0], Listeners: []Listener{{Name: "PROXIED", Port: ports[1], Advertised: "127.0.0.1:19"}}})
	if want := fmt.Sprintf("127.0.0.1:%d", ports[0]); k.Addrs()[0] != want {
		t.Errorf("it listens at %v, want %s", k.Addrs(), want)
	}
	for addr, want := range map[string]int{k.Addrs()[0]: ports[0], behind: 19} {
		got, err := (&kafka.Client{Addr: kafka.TCP(addr)}).Metadata(t.Context(), &kafka.MetadataRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Brokers) != 1 || got.Brokers[0].Port != want {
			t.Errorf("at %s it tells of %v, want port %d", addr, got.Brokers, want)
		}
	}
}

func TestKafkaSaysWhyItDoesNotStart(t *testing.T) {
	needKafka(t)
	k, err := Start(t.Context(), Options{Properties: map[string]string{"num.io.threads": "many"}})
	if err == nil {
		k.Stop(t.Context())
		t.Fatal("it started")
	}
	t.Log(err)
	if !strings.Contains(err.Error(), "num.io.threads") {
		t.Errorf("%q does not name the property", err)
	}
}

func TestAvailableNeedsJava(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	ok, reason := Available()
	if ok || !strings.Contains(reason, "Java 17") {
		t.Errorf("without java: %v, %q", ok, reason)
	}
}
