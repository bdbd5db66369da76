package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/dial"
	"github.com/aftershock/aftershock/embedded"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/testservers"
	"github.com/aftershock/aftershock/testservers/authority"
	realkafka "github.com/aftershock/aftershock/testservers/kafka"
	"github.com/aftershock/aftershock/warehouse"
)

// The tests of this file run on a real Apache Kafka 4 with SASL_SSL and ACLs, and on ClickHouse with TLS, passwords and grants:
// exactly those of deploy/.

// marker is in every secret, so that a test can look for it.
const marker = "swordfish"

func secretOf(user string) string { return marker + "-of-" + user }

// secured is Kafka and ClickHouse as deploy/ sets them up.
type secured struct {
	kafka      *realkafka.Kafka
	clickhouse *embedded.ClickHouse
	authority  *authority.Authority
	ca, dir    string            // the authority's file; a directory for secrets
	env        map[string]string // what points a command there, users apart
}

var kafkaUsers = []string{"admin", "aftershock", "aftershock-setup", "aftershock-operator", "crm", "demo", "stranger"}

// newSecured starts Kafka; withClickHouse adds the other.
func newSecured(t *testing.T) *secured {
	t.Helper()
	needEngine(t)
	if ok, reason := realkafka.Available(); !ok {
		if os.Getenv("CI") == "true" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	ca, file := testservers.Authority(t)
	s := &secured{authority: ca, ca: file, dir: t.TempDir()}
	s.kafka = s.start(t, nil)
	s.env = map[string]string{
		"AFTERSHOCK_KAFKA_BROKERS": s.kafka.SecureAddrs()[0], "AFTERSHOCK_KAFKA_TLS_ENABLED": "true", "AFTERSHOCK_KAFKA_TLS_CA_FILE": s.ca,
		"AFTERSHOCK_KAFKA_TOPICS_REPLICATION": "1", "AFTERSHOCK_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
		"AFTERSHOCK_CONSUMERS_CHUNK_WAIT": "50ms",
	}
	return s
}

// start starts a broker with all users.
func (s *secured) start(t *testing.T, properties map[string]string) *realkafka.Kafka {
	t.Helper()
	passwords := map[string]string{}
	for _, user := range kafkaUsers {
		passwords[user] = secretOf(user)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // Maven fetches it the first time
	defer cancel()
	k, err := realkafka.Start(ctx, realkafka.Options{Properties: properties, Security: &realkafka.Security{Authority: s.authority, Users: passwords, Super: []string{"admin"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return k
}

// withClickHouse is the same Kafka, and an empty ClickHouse of the test's own: the embedded one dies of a user that it refuses.
func (s *secured) withClickHouse(t *testing.T) *secured {
	t.Helper()
	clickhouse := startClickHouseWithUsers(t)
	own := &secured{kafka: s.kafka, clickhouse: clickhouse, authority: s.authority, ca: s.ca, dir: s.dir, env: maps.Clone(s.env)}
	own.env["AFTERSHOCK_CLICKHOUSE_ADDR"] = testservers.BehindTLS(t, s.authority, clickhouse.Addr())
	own.env["AFTERSHOCK_CLICKHOUSE_TLS"], own.env["AFTERSHOCK_CLICKHOUSE_CA_FILE"] = "true", s.ca
	return own
}

// as adds who a command is; its passwords come from files.
func (s *secured) as(t *testing.T, kafkaUser, clickhouseUser string, more ...string) map[string]string {
	t.Helper()
	env := maps.Clone(s.env)
	for prefix, user := range map[string]string{"AFTERSHOCK_KAFKA_SASL_": kafkaUser, "AFTERSHOCK_CLICKHOUSE_": clickhouseUser} {
		file := filepath.Join(s.dir, user)
		if err := os.WriteFile(file, []byte(secretOf(user)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		env[prefix+"PASSWORD_FILE"] = file
	}
	env["AFTERSHOCK_KAFKA_SASL_USERNAME"], env["AFTERSHOCK_CLICKHOUSE_USER"] = kafkaUser, clickhouseUser
	for _, pair := range more {
		name, value, _ := strings.Cut(pair, "=")
		if env[name] = value; value == "" {
			delete(env, name)
		}
	}
	return env
}

// outcome is how a command ended.
type outcome struct {
	code        int
	stdout, all string
	took        time.Duration
}

// aftershock runs the program in a process of its own. A command that hangs is ended, and has no exit code.
func aftershock(t *testing.T, env map[string]string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "aftershock", args...)
	command.Env = os.Environ()
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	began := time.Now()
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{command.ProcessState.ExitCode(), stdout.String(), stdout.String() + stderr.String(), time.Since(began)}
}

// must runs a command that has to work.
func must(t *testing.T, env map[string]string, args ...string) outcome {
	t.Helper()
	o := aftershock(t, env, args...)
	if o.code != 0 {
		t.Fatalf("aftershock %s: exit code %d\n%s", strings.Join(args, " "), o.code, o.all)
	}
	return o
}

// grantACLs runs deploy/kafka/acls.sh with Kafka's own tool, as an administrator.
func (s *secured) grantACLs(t *testing.T, variables ...string) {
	t.Helper()
	tool, err := realkafka.Tool(t.Context(), "org.apache.kafka.tools.AclCommand")
	if err != nil {
		t.Fatal(err)
	}
	quoted := "exec"
	for _, word := range tool.Args {
		quoted += " '" + word + "'"
	}
	properties := fmt.Sprintf(`security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="%s";
ssl.truststore.type=PEM
ssl.truststore.location=%s
`, secretOf("admin"), s.ca)
	bin := t.TempDir()
	for name, text := range map[string]string{"kafka-acls.sh": "#!/bin/sh\n" + quoted + ` "$@"` + "\n", "admin.properties": properties} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	script := exec.CommandContext(t.Context(), "../../deploy/kafka/acls.sh")
	script.Env = append(os.Environ(), append([]string{"PATH=" + bin + ":" + os.Getenv("PATH"),
		"BOOTSTRAP=" + s.kafka.SecureAddrs()[0], "COMMAND_CONFIG=" + filepath.Join(bin, "admin.properties")}, variables...)...)
	if said, err := script.CombinedOutput(); err != nil || bytes.Contains(said, []byte("Exception")) {
		t.Fatalf("deploy/kafka/acls.sh: %v\n%s", err, said)
	}
}

// allow adds one ACL, as the broker itself.
func (s *secured) allow(t *testing.T, acls ...kafka.ACLEntry) {
	t.Helper()
	for i := range acls {
		acls[i].PermissionType, acls[i].Host, acls[i].ResourcePatternType = kafka.ACLPermissionTypeAllow, "*", kafka.PatternTypeLiteral
	}
	client := &kafka.Client{Addr: kafka.TCP(s.kafka.Addrs()...)}
	got, err := client.CreateACLs(t.Context(), &kafka.CreateACLsRequest{ACLs: acls})
	if err == nil {
		err = errors.Join(got.Errors...)
	}
	if err != nil {
		t.Fatalf("adding ACLs: %v", err)
	}
}

func (s *secured) produces(t *testing.T, user string, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		s.allow(t, kafka.ACLEntry{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, Principal: "User:" + user, Operation: kafka.ACLOperationTypeWrite})
	}
}

// TestOverSecuredServers is everything over SASL_SSL with SCRAM and over TLS with passwords, by users who may do only what
// deploy/ lets them.
func TestOverSecuredServers(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	topics := broker.DefaultTopics()
	s.grantACLs(t)
	s.produces(t, "crm", topics.Deals, topics.Tickets)
	t.Run("the pipeline with its ACLs and grants alone", s.pipelineAlone)
	t.Run("every ACL is needed and looked for", s.everyACL)
	t.Run("analysts read", s.analysts)
	t.Run("the whole demo", s.wholeDemo)
	t.Run("wrong secrets", s.wrongSecrets)
	t.Run("no secret shows", s.noSecretShows)
}

// pipelineAlone: schema and topics are made by others; the pipeline's user runs, with the right to write to no source topic.
func (s *secured) pipelineAlone(t *testing.T) {
	s, topics := s.withClickHouse(t), broker.DefaultTopics()
	setup := s.as(t, "aftershock-setup", "aftershock_migrator")
	must(t, setup, "migrate")
	must(t, setup, "topics", "create")
	must(t, setup, "topics", "describe")
	producer := s.as(t, "crm", "aftershock_pipeline", "AFTERSHOCK_KAFKA_SASL_MECHANISM=PLAIN")
	must(t, producer, "simulate", "--accounts", "200", "--broken", "0.05", "--from", "2025-12-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z")

	pipeline := s.as(t, "aftershock", "aftershock_pipeline", "AFTERSHOCK_KAFKA_SASL_MECHANISM=SCRAM-SHA-256",
		"AFTERSHOCK_EVALUATE_SCHEDULE=0 6 1 * *", "AFTERSHOCK_EVALUATE_FROM=2025-12-20T00:00:00Z")
	if o := must(t, pipeline, "doctor"); strings.Contains(o.all, "FAIL") || !strings.Contains(o.all, "ok    ACLs") || !strings.Contains(o.all, "ok    grants of the user aftershock_pipeline") {
		t.Errorf("doctor says\n%s", o.all)
	}
	o := must(t, pipeline, "run", "--until-idle")
	t.Log(strings.TrimSpace(o.stdout))
	var end demoEnd
	if err := json.Unmarshal([]byte(o.stdout), &end); err != nil {
		t.Fatalf("%v: %s", err, o.all)
	}
	for what, n := range map[string]int{"stored": end.Stored, "dead_letters": end.DeadLetters, "links": end.Links, "alerts_published": end.AlertsPublished} {
		if n == 0 {
			t.Errorf("%s is 0", what)
		}
	}
	operator := s.as(t, "aftershock-operator", "aftershock_pipeline")
	must(t, operator, "deadletter", "list")
	if o := must(t, operator, "deadletter", "show", "--json"); !strings.Contains(o.stdout, "deals.closed") && !strings.Contains(o.stdout, "support.tickets") {
		t.Errorf("deadletter show says\n%s", o.all)
	}
	mend := filepath.Join(t.TempDir(), "mend.jq")
	if err := os.WriteFile(mend, []byte(`{event_id: "mended", deal_id: "D-1", account_id: "A-1", closed_at: "2025-12-05T00:00:00Z", outcome: "lost"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o = must(t, operator, "deadletter", "replay", "--topic", topics.Deals, "--mend", mend)
	if !regexp.MustCompile(`ALL +\| +[1-9]\d* \| +[1-9]`).MatchString(o.stdout) {
		t.Errorf("deadletter replay sends nothing: %s", o.all)
	}

	for _, change := range []string{"CREATE TABLE aftershock.x (n UInt8) ENGINE = MergeTree ORDER BY n", "DROP TABLE aftershock.fx", "TRUNCATE TABLE aftershock.fx",
		"ALTER TABLE aftershock.fx DELETE WHERE 1", "ALTER TABLE aftershock.alert_log ADD COLUMN x UInt8", "DROP VIEW aftershock.deals", "SYSTEM STOP MERGES aftershock.fx", "CREATE DATABASE x"} {
		if answer, refused := ask(t, s.clickhouse, "aftershock_pipeline", change); !refused || !strings.Contains(answer, "ACCESS_DENIED") {
			t.Errorf("the pipeline's user may %s: %s", change, answer)
		}
	}
	for _, c := range []struct {
		doing string
		env   map[string]string
		args  []string
		want  string
	}{
		{"migrating", pipeline, []string{"migrate"}, `lacks a grant: see deploy/clickhouse/users.sql`},
		{"creating topics", s.as(t, "stranger", "aftershock_pipeline"), []string{"topics", "create"}, `creating topic deals.closed: \[29\] Topic Authorization Failed.* lacks an ACL: see deploy/kafka/acls.sh`},
		{"running as an analyst", s.as(t, "aftershock", "aftershock_analyst", "AFTERSHOCK_CLICKHOUSE_QUERY_TIMEOUT=30s"), []string{"run", "--until-idle"}, `user aftershock_analyst may not read \(SELECT\) all of the database aftershock: deploy/clickhouse/users.sql has the grant`},
		{"doctor without ACLs", s.as(t, "stranger", "aftershock_pipeline"), []string{"doctor"}, `FAIL  ACLs\n +user stranger may not Read, DescribeConfigs topic deals.closed: .*\n +user stranger`},
		{"doctor as an analyst", s.as(t, "aftershock", "aftershock_analyst", "AFTERSHOCK_CLICKHOUSE_QUERY_TIMEOUT=30s"), []string{"doctor"}, `FAIL  schema\n +user aftershock_analyst may not read \(SELECT\) all of`},
		{"running without ACLs", s.as(t, "stranger", "aftershock_pipeline"), []string{"run", "--until-idle"},
			`user stranger may not Read, DescribeConfigs topic deals.closed: deals are consumed from it; deploy/kafka/acls.sh has the ACL`},
	} {
		o := aftershock(t, c.env, c.args...)
		if o.code != exitFailure || !regexp.MustCompile(c.want).MatchString(o.all) {
			t.Errorf("%s: exit code %d, want %s in\n%s", c.doing, o.code, c.want, o.all)
		}
		t.Logf("%s, refused after %s: %s", c.doing, o.took.Round(time.Millisecond), strings.TrimSpace(o.all))
	}
}

// everyACL holds what the script gives the pipeline against what the program asks for, and takes each away once.
func (s *secured) everyACL(t *testing.T) {
	config := pipeline.DefaultConfig()
	config.Kafka.Brokers, config.Kafka.TLS = s.kafka.SecureAddrs(), broker.TLS{Enabled: true, CAFile: s.ca}
	config.Kafka.SASL = broker.SASL{Mechanism: "SCRAM-SHA-512", Username: "aftershock", Password: dial.Secret(secretOf("aftershock"))}
	connection, err := broker.Connect(config.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.CheckAccess(t.Context(), config.Access()); err != nil {
		t.Errorf("with every ACL: %v", err)
	}
	client := &kafka.Client{Addr: kafka.TCP(s.kafka.Addrs()...)}
	listed, err := client.DescribeACLs(t.Context(), &kafka.DescribeACLsRequest{Filter: kafka.ACLFilter{ResourceTypeFilter: kafka.ResourceTypeAny,
		ResourcePatternTypeFilter: kafka.PatternTypeAny, PrincipalFilter: "User:aftershock", Operation: kafka.ACLOperationTypeAny, PermissionType: kafka.ACLPermissionTypeAny}})
	if err != nil || listed.Error != nil {
		t.Fatal(err, listed)
	}
	given, asked := map[string]bool{}, map[string]bool{}
	for _, r := range listed.Resources {
		for _, acl := range r.ACLs {
			given[fmt.Sprintf("%s %s %s", r.ResourceType, r.ResourceName, acl.Operation)] = true
		}
	}
	for _, a := range config.Access() {
		kind, name := kafka.ResourceTypeTopic, a.Topic
		if a.Group != "" {
			kind, name = kafka.ResourceTypeGroup, a.Group
		}
		for _, operation := range a.Operations {
			entry := kafka.ACLEntry{ResourceType: kind, ResourceName: name, Principal: "User:aftershock", Operation: kafka.ACLOperationType(operation)}
			asked[fmt.Sprintf("%s %s %s", kind, name, entry.Operation)] = true
			taken, err := client.DeleteACLs(t.Context(), &kafka.DeleteACLsRequest{Filters: []kafka.DeleteACLsFilter{{ResourceTypeFilter: kind, ResourceNameFilter: name,
				ResourcePatternTypeFilter: kafka.PatternTypeLiteral, PrincipalFilter: "User:aftershock", HostFilter: "*", Operation: entry.Operation, PermissionType: kafka.ACLPermissionTypeAllow}}})
			if err != nil || len(taken.Results) != 1 || len(taken.Results[0].MatchingACLs) != 1 {
				t.Fatalf("taking %v away: %v, %+v", entry, err, taken)
			}
			awaitAccess(t, connection, config.Access(), fmt.Sprintf(`may not [^:]*%s[^:]* %s: %s`, operation, regexp.QuoteMeta(a.String()), a.Why))
			s.allow(t, entry)
		}
	}
	if !maps.Equal(given, asked) {
		t.Errorf("deploy/kafka/acls.sh gives\n%v, the program asks for\n%v", slices.Sorted(maps.Keys(given)), slices.Sorted(maps.Keys(asked)))
	}
	t.Logf("%d ACLs, each taken away once", len(asked))
	awaitAccess(t, connection, config.Access(), "^$")
}

// awaitAccess waits until the broker has taken a change of ACLs in: then this is told, and nothing while nothing is missing.
func awaitAccess(t *testing.T, connection *broker.Connection, access []broker.Access, want string) {
	t.Helper()
	told := ""
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		told = ""
		if err := connection.CheckAccess(t.Context(), access); err != nil {
			told = err.Error()
		}
		if regexp.MustCompile(want).MatchString(told) {
			return
		}
	}
	t.Errorf("want %s, it tells %q", want, told)
}

// analysts read every view and nothing that is not theirs.
func (s *secured) analysts(t *testing.T) {
	s = s.withClickHouse(t)
	must(t, s.as(t, "aftershock-setup", "aftershock_migrator"), "migrate")
	views, err := warehouse.Views()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		if answer, refused := ask(t, s.clickhouse, "aftershock_analyst", v.Example, "database=aftershock"); refused {
			t.Errorf("view %s: %s", v.Name, answer)
		}
	}
	for _, refusedOne := range []struct{ query, why string }{
		{"INSERT INTO aftershock.fx (currency) VALUES ('EUR')", "ACCESS_DENIED|READONLY"},
		{"DROP VIEW aftershock.deals", "ACCESS_DENIED|READONLY"}, {"DROP TABLE aftershock.alert_log", "ACCESS_DENIED|READONLY"},
		{"CREATE TABLE aftershock.x (n UInt8) ENGINE = Memory", "ACCESS_DENIED|READONLY"},
		{"SELECT * FROM aftershock.schema_versions", "ACCESS_DENIED"}, {"SELECT * FROM aftershock.upkeep_runs", "ACCESS_DENIED"},
		{"SELECT * FROM aftershock.arrivals", "ACCESS_DENIED"}, {"SELECT * FROM system.users", "ACCESS_DENIED"},
		{"SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')", "ACCESS_DENIED|READONLY"}, {"SELECT * FROM file('x', 'CSV', 'a String')", "ACCESS_DENIED|READONLY"},
		{"SELECT 1 SETTINGS max_execution_time = 0", "SETTING_CONSTRAINT_VIOLATION"}, {"SELECT 1 SETTINGS max_execution_time = 3600", "SETTING_CONSTRAINT_VIOLATION"},
		{"SELECT 1 SETTINGS max_memory_usage = 0", "SETTING_CONSTRAINT_VIOLATION"}, {"SELECT 1 SETTINGS readonly = 0", "READONLY|SETTING_CONSTRAINT_VIOLATION"},
	} {
		answer, refused := ask(t, s.clickhouse, "aftershock_analyst", refusedOne.query)
		if !refused || !regexp.MustCompile(refusedOne.why).MatchString(answer) {
			t.Errorf("an analyst may %s: %s", refusedOne.query, answer)
		}
	}
	t.Logf("%d views", len(views))
}

// wholeDemo runs over topics of its own, which the same script opens to another user.
func (s *secured) wholeDemo(t *testing.T) {
	s = s.withClickHouse(t)
	names, script := []string{}, []string{"PIPELINE=User:demo", "GROUP=demo", "CONTROL_GROUP=demo-control"}
	for variable, topic := range map[string]string{"DEALS": "deals.closed", "TICKETS": "support.tickets", "FEEDBACK": "churn.feedback", "ALERTS": "churn.alerts",
		"HANDOFFS": "churn.handoffs", "DEAD_LETTER": "aftershock.deadletter", "CONTROL": "aftershock.control"} {
		script = append(script, variable+"=demo."+topic)
		names = append(names, "AFTERSHOCK_KAFKA_TOPICS_"+variable+"=demo."+topic)
	}
	names = append(names, "AFTERSHOCK_CONSUMERS_GROUP=demo", "AFTERSHOCK_CONSUMERS_CONTROL_GROUP=demo-control")
	s.grantACLs(t, script...)
	s.produces(t, "demo", "demo.deals.closed", "demo.support.tickets")
	env, setup := s.as(t, "demo", "aftershock_pipeline", names...), s.as(t, "aftershock-setup", "aftershock_migrator", names...)
	once := []string{"demo", "--servers", "configured", "--once", "--json", "--at", "2026-01-01T00:00:00Z", "--accounts", "400", "--days", "30"}

	// It would make what is missing, if it might.
	if o := aftershock(t, env, once...); o.code != exitFailure || !strings.Contains(o.all, "clickhouse.user lacks a grant: see deploy/clickhouse/users.sql") {
		t.Errorf("without a schema: exit code %d: %s", o.code, o.all)
	}
	must(t, setup, "migrate")
	must(t, setup, "topics", "create")
	o := must(t, env, once...)
	lines := strings.Split(strings.TrimSpace(o.stdout), "\n")
	var end demoEnd
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil {
		t.Fatalf("the last line is no JSON: %v\n%s", err, o.all)
	}
	t.Logf("%s in %s", lines[len(lines)-1], o.took.Round(time.Millisecond))
	if end.Events == 0 || end.Events != end.Stored+end.Duplicates+end.DeadLetters {
		t.Errorf("%d events are not %d stored + %d duplicates + %d dead letters", end.Events, end.Stored, end.Duplicates, end.DeadLetters)
	}
	for what, n := range map[string]int{"alerts_published": end.AlertsPublished, "links": end.Links, "dead_letters": end.DeadLetters, "duplicates": end.Duplicates} {
		if n == 0 {
			t.Errorf("%s is 0", what)
		}
	}

	// Made-up clients never mix with others.
	if o := aftershock(t, env, once...); o.code != exitFailure || !regexp.MustCompile(`the database aftershock holds data already \(in .*deal_events.*\): the demo's clients are made up`).MatchString(o.all) {
		t.Errorf("over its own data: exit code %d: %s", o.code, o.all)
	}
	empty := s.withClickHouse(t)
	if o := aftershock(t, empty.as(t, "demo", "aftershock_pipeline", names...), once...); o.code != exitFailure || !strings.Contains(o.all, "topics hold records already (demo.") {
		t.Errorf("over topics with records: exit code %d: %s", o.code, o.all)
	}
}

// wrongSecrets: each gives an error that says what was being done, what was wrong and which key to look at, and ends.
func (s *secured) wrongSecrets(t *testing.T) {
	wrong := filepath.Join(s.dir, "wrong")
	if err := os.WriteFile(wrong, []byte(marker+"-guess"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stranger := testservers.Authority(t)
	anotherName := "AFTERSHOCK_KAFKA_TLS_SERVER_NAME=kafka.example"
	plainOnly := s.start(t, map[string]string{"listener.name.secure.sasl.enabled.mechanisms": "PLAIN"}).SecureAddrs()[0]
	kafkaPasswordHint := `: SASL Authentication failed.* \(check kafka.sasl.username and its password: kafka.sasl.password or password_file; or the user is unknown to kafka.sasl.mechanism `
	reaching := "reaching the Kafka broker "
	for _, c := range []struct {
		what, want string
		args       []string
		change     []string
	}{
		{"SCRAM-SHA-512, wrong password", reaching + `.*(?i)` + kafkaPasswordHint + "SCRAM-SHA-512", nil, []string{"AFTERSHOCK_KAFKA_SASL_PASSWORD_FILE=" + wrong}},
		{"SCRAM-SHA-256, wrong password", reaching + `.*(?i)` + kafkaPasswordHint + "SCRAM-SHA-256", nil, []string{"AFTERSHOCK_KAFKA_SASL_MECHANISM=SCRAM-SHA-256", "AFTERSHOCK_KAFKA_SASL_PASSWORD_FILE=" + wrong}},
		{"PLAIN, wrong password", reaching + `.*(?i)` + kafkaPasswordHint + "PLAIN", nil, []string{"AFTERSHOCK_KAFKA_SASL_MECHANISM=PLAIN", "AFTERSHOCK_KAFKA_SASL_PASSWORD_FILE=" + wrong}},
		{"unknown user", reaching + `.*(?i)` + kafkaPasswordHint, nil, []string{"AFTERSHOCK_KAFKA_SASL_USERNAME=nobody"}},
		{"mechanism not offered", reaching + `.*\(the broker does not offer kafka.sasl.mechanism SCRAM-SHA-512: ask for its sasl.enabled.mechanisms\)`, nil, []string{"AFTERSHOCK_KAFKA_BROKERS=" + plainOnly}},
		{"unknown authority", reaching + `.*certificate signed by unknown authority.* \(nobody that we trust signed the broker's certificate: check kafka.tls.ca_file\)`, nil, []string{"AFTERSHOCK_KAFKA_TLS_CA_FILE=" + stranger}},
		{"another server's name", reaching + `.*kafka\.example.* \(the broker's certificate is for another name: check kafka.brokers, or set kafka.tls.server_name\)`, nil, []string{anotherName}},
		{"no TLS to a TLS port", reaching + `.*\(does it expect TLS\? see kafka.tls.enabled\)`, nil, []string{"AFTERSHOCK_KAFKA_TLS_ENABLED=", "AFTERSHOCK_KAFKA_TLS_CA_FILE="}},
		{"TLS to a plain port", reaching + `.*\(the broker does not speak TLS there: check kafka.brokers and kafka.tls.enabled\)`, nil, []string{"AFTERSHOCK_KAFKA_BROKERS=" + s.kafka.Addrs()[0]}},
		{"no SASL", reaching + `.*\(does it expect SASL\? see kafka.sasl.mechanism\)`, nil, []string{"AFTERSHOCK_KAFKA_SASL_MECHANISM=", "AFTERSHOCK_KAFKA_SASL_USERNAME=", "AFTERSHOCK_KAFKA_SASL_PASSWORD_FILE="}},
		{"missing password file", `reading the Kafka password: open nowhere: no such file`, nil, []string{"AFTERSHOCK_KAFKA_SASL_PASSWORD_FILE=nowhere"}},
		{"ClickHouse, wrong password", `reaching ClickHouse at .*: user "aftershock_pipeline" or its password was refused: check clickhouse.user and clickhouse.password \(or password_file\)`, []string{"run"}, []string{"AFTERSHOCK_CLICKHOUSE_PASSWORD_FILE=" + wrong}},
		{"ClickHouse, unknown authority", `reaching ClickHouse at .*: nobody that we trust signed the server's certificate: check clickhouse.ca_file`, []string{"run"}, []string{"AFTERSHOCK_CLICKHOUSE_CA_FILE=" + stranger}},
		{"ClickHouse, no TLS to a TLS port", `reaching ClickHouse at .*: does it expect TLS\? see clickhouse.tls`, []string{"run"}, []string{"AFTERSHOCK_CLICKHOUSE_TLS=", "AFTERSHOCK_CLICKHOUSE_CA_FILE="}},
		{"ClickHouse, TLS to a plain port", `reaching ClickHouse at .*: the server does not speak TLS there: check clickhouse.addr \(its TLS port is usually 9440\) and clickhouse.tls`, []string{"run"}, []string{"AFTERSHOCK_CLICKHOUSE_ADDR=PLAIN"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			env := s.as(t, "aftershock", "aftershock_pipeline")
			args := []string{"topics", "describe"}
			if c.args != nil { // ClickHouse is asked first
				own := s.withClickHouse(t)
				env, args = own.as(t, "aftershock", "aftershock_pipeline"), c.args
				for i := range c.change {
					c.change[i] = strings.Replace(c.change[i], "=PLAIN", "="+own.clickhouse.Addr(), 1)
				}
			}
			for _, pair := range c.change {
				name, value, _ := strings.Cut(pair, "=")
				env[name] = value
			}
			o := aftershock(t, env, args...)
			if o.code != exitFailure || !regexp.MustCompile(c.want).MatchString(o.all) {
				t.Errorf("exit code %d, want\n%s\nin\n%s", o.code, c.want, o.all)
			}
			if strings.Contains(o.all, marker) {
				t.Errorf("it tells a secret: %s", o.all)
			}
			if c.args == nil {
				if doctor := aftershock(t, env, "doctor"); doctor.code != exitFailure || !regexp.MustCompile(`FAIL  Kafka at .*\n +`+c.want).MatchString(doctor.stdout) {
					t.Errorf("doctor: exit code %d, want\n%s\nin\n%s", doctor.code, c.want, doctor.all)
				}
			}
			t.Logf("after %s: %s", o.took.Round(time.Millisecond), strings.TrimSpace(o.all))
		})
	}
}

// noSecretShows runs commands with everything logged, over right and wrong secrets, and looks for one in all that they say.
func (s *secured) noSecretShows(t *testing.T) {
	s = s.withClickHouse(t)
	loud := []string{"AFTERSHOCK_LOG_LEVEL=debug"}
	setup := s.as(t, "aftershock-setup", "aftershock_migrator", loud...)
	// Passwords from the environment are nearer to being shown than those from files.
	direct := s.as(t, "aftershock", "aftershock_pipeline", append(loud, "AFTERSHOCK_KAFKA_SASL_PASSWORD_FILE=", "AFTERSHOCK_CLICKHOUSE_PASSWORD_FILE=",
		"AFTERSHOCK_KAFKA_SASL_PASSWORD="+secretOf("aftershock"), "AFTERSHOCK_CLICKHOUSE_PASSWORD="+secretOf("aftershock_pipeline"))...)
	broken := maps.Clone(direct)
	broken["AFTERSHOCK_KAFKA_BROKERS"] = "user:" + marker + "@127.0.0.1:9092"
	broken["AFTERSHOCK_CLICKHOUSE_ADDR"] = "user:" + marker + "@127.0.0.1:9000"
	both := maps.Clone(direct)
	both["AFTERSHOCK_CLICKHOUSE_PASSWORD_FILE"], both["AFTERSHOCK_KAFKA_SASL_PASSWORD_FILE"] = "x", "x"
	refused := maps.Clone(direct)
	refused["AFTERSHOCK_KAFKA_SASL_PASSWORD"] = marker + "-wrong"
	for _, c := range []struct {
		env  map[string]string
		args string
		code int
	}{
		{setup, "migrate", 0}, {setup, "topics create", 0}, {setup, "topics describe", 0},
		{direct, "doctor", 0}, {direct, "run --until-idle", 0}, {direct, "config reference", 0}, {direct, "--help", 0}, {direct, "run --help", 0},
		{direct, "rules check", 0}, {direct, "deadletter list", 0},
		{direct, "demo --servers configured --once --accounts 5 --days 2", exitFailure}, // it may not write to the source topics, or they are not empty
		{refused, "doctor", exitFailure}, {refused, "run", exitFailure},
		{broken, "doctor", exitFailure}, {both, "run", exitFailure},
	} {
		o := aftershock(t, c.env, strings.Fields(c.args)...)
		if o.code != c.code {
			t.Errorf("aftershock %s: exit code %d, want %d\n%s", c.args, o.code, c.code, o.all)
		}
		if strings.Contains(o.all, marker) {
			t.Errorf("aftershock %s tells a secret:\n%s", c.args, o.all)
		}
	}
	s.watchRun(t, direct)
}

// watchRun looks at /metrics of a process that runs, and then makes it die as a panic would, with the stacks of all goroutines.
func (s *secured) watchRun(t *testing.T, env map[string]string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	command := exec.CommandContext(t.Context(), "aftershock", "run")
	command.Env = append(os.Environ(), "AFTERSHOCK_CONSOLE_LISTEN="+address, "GOTRACEBACK=system")
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ready := false; !ready && ctx.Err() == nil; {
		if response, err := http.Get("http://" + address + "/-/ready"); err == nil {
			ready = response.StatusCode == http.StatusOK
			response.Body.Close()
		}
	}
	metrics := ""
	if response, err := http.Get("http://" + address + "/metrics"); err != nil {
		t.Error(err)
	} else {
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		metrics = string(body)
	}
	if err := command.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
	if !strings.Contains(metrics, "aftershock_") || !strings.Contains(said.String(), "SIGQUIT") {
		t.Errorf("metrics of %d bytes; it said %s", len(metrics), &said)
	}
	if strings.Contains(metrics, marker) || strings.Contains(said.String(), marker) {
		t.Error("a secret stands in the metrics, in the log or in the stacks")
	}
	t.Logf("%d bytes of metrics, %d bytes of log and stacks", len(metrics), said.Len())
}
