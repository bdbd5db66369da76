package testservers_test

import (
	"fmt"
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

func TestAMigratedDatabaseIsUsedAgainAsItWas(t *testing.T) {
	db := testservers.Connect(t, "default")
	do := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if err := db.Exec(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	migrations := 0
	migrate := func(name string) error {
		migrations++
		do("CREATE DATABASE "+name, "CREATE TABLE "+name+".ledger (n UInt8) ENGINE = MergeTree ORDER BY n", "INSERT INTO "+name+".ledger VALUES (1)",
			"CREATE TABLE "+name+".facts (n UInt8) ENGINE = MergeTree ORDER BY n", "CREATE TABLE "+name+".overlooked (n UInt8) ENGINE = MergeTree ORDER BY n")
		return nil
	}
	forget := func(name string) error {
		do("TRUNCATE TABLE " + name + ".facts")
		return nil
	}
	first, done := testservers.Migrated(t, migrate, forget)
	do("INSERT INTO " + first + ".facts VALUES (1)")
	other, otherDone := testservers.Migrated(t, migrate, forget)
	if other == first {
		t.Fatal("two have the same database")
	}
	done()
	again, done := testservers.Migrated(t, migrate, forget)
	var left uint64
	if err := db.QueryRow(t.Context(), "SELECT count() FROM "+again+".facts").Scan(&left); err != nil || again != first || left != 0 || migrations != 2 {
		t.Fatalf("%v: %s after %s, with %d facts, after %d migrations", err, again, first, left, migrations)
	}
	otherDone()
	for _, change := range []string{"ALTER TABLE %s.facts ADD COLUMN m UInt8", "ALTER TABLE %s.facts MODIFY SETTING non_replicated_deduplication_window = 10",
		"CREATE TABLE %s.more (n UInt8) ENGINE = MergeTree ORDER BY n", "DROP TABLE %s.overlooked", "INSERT INTO %s.ledger VALUES (2)", "INSERT INTO %s.overlooked VALUES (1)"} {
		do(fmt.Sprintf(change, again))
		changed := again
		done()
		if again, done = testservers.Migrated(t, migrate, forget); again == changed {
			t.Errorf("a database is used again after %s", change)
		}
	}
}
