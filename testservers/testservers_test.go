package testservers_test

import (
	"os"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/testservers"
)

func TestMain(m *testing.M) { os.Exit(testservers.Main(m)) }

func TestDatabasesAreApart(t *testing.T) {
	one, two := testservers.Database(t), testservers.Database(t)
	if one == two {
		t.Fatalf("both are %s", one)
	}
	if err := testservers.Connect(t, one).Exec(t.Context(), "CREATE TABLE here (n UInt8) ENGINE = MergeTree ORDER BY n"); err != nil {
		t.Fatal(err)
	}
	if err := testservers.Connect(t, two).Exec(t.Context(), "CREATE TABLE here (n UInt8) ENGINE = MergeTree ORDER BY n"); err != nil {
		t.Fatal(err)
	}
}

func TestDatabaseIsDroppedAtTheEnd(t *testing.T) {
	var name string
	t.Run("inner", func(t *testing.T) { name = testservers.Database(t) })
	var n uint64
	query := "SELECT count() FROM system.databases WHERE name = {name:String}"
	db := testservers.Connect(t, "default")
	if err := db.QueryRow(t.Context(), query, clickhouse.Named("name", name)).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != 0 {
		t.Errorf("%s is still there", name)
	}
}

func TestBrokersAnswer(t *testing.T) {
	for name, addrs := range map[string]func(testing.TB) []string{"embedded": testservers.Broker, "kafka 4": testservers.Kafka4} {
		t.Run(name, func(t *testing.T) {
			client := &kafka.Client{Addr: kafka.TCP(addrs(t)...)}
			topic := testservers.Name("topic")
			created, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
				Topic: topic, NumPartitions: 2, ReplicationFactor: 1,
			}}})
			if err != nil || created.Errors[topic] != nil {
				t.Fatal(err, created)
			}
		})
	}
}
