package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/govalues/decimal"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers/deadletter"
	"github.com/aftershock/aftershock/demo"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/simulate"
)

var update = flag.Bool("update", false, "write testdata/golden.txt anew")

const goldenFile = "testdata/golden.txt"

// The golden story: where it begins, and the instants at which a process of its own comes up to date, by ticks that are few over
// the history and then dense: a tick costs most of this test. All is long over, so that what a view makes of the present is the
// same on every day that this test will see.
var (
	goldenBegin = time.Date(2017, 11, 15, 0, 0, 0, 0, time.UTC)
	goldenSteps = []goldenStep{
		{"0 6 1 3,7,11 *", time.Date(2018, 11, 5, 12, 0, 0, 0, time.UTC)},
		{"0 6 15,22 * *", time.Date(2018, 11, 22, 12, 0, 0, 0, time.UTC)},
		{"0 6 */7 * *", time.Date(2018, 11, 30, 12, 0, 0, 0, time.UTC)},
		{"0 6 20,22 12 *", time.Date(2018, 12, 22, 12, 0, 0, 0, time.UTC)}, // nothing comes for three weeks: sources are stale
	}
	goldenInstants = []string{"2018-06-15 00:00:00", "2018-11-22 06:00:00", "2018-12-22 12:00:00"}
)

type goldenStep struct {
	schedule string
	until    time.Time
}

// notCompared are columns that differ from run to run, wherever a table or a view has them, and why. Every other time is the
// pipeline's own clock, which stands still, or a time of the records.
var notCompared = map[string]string{
	"writer":      "names host, process and attempt",
	"record_time": "of a record's own: the wall clock of whoever produced it",
	"stored_at":   "the server's clock",
	"changed_at":  "of a setting: the wall clock of the migration",
	"version":     "counts how often upkeep ran: more often where a leader lost its epoch and came again",
}

// notRead are tables that nobody reads but the program itself, and that tell of this run rather than of the world.
var notRead = map[string]string{
	"schema_versions": "the ledger of migrations, with wall clocks",
	"upkeep_claims":   "who kept the links, by random names",
	"upkeep_runs":     "how often links were kept, which is up to how often a leader had to begin again",
}

// askNow are the views that ask the server's clock. Of those with a reason only names and types of columns are compared: what
// they answer is what the view behind them answers at an instant.
var askNow = map[string]string{
	"contract_signals_now": "counts days from now; contract_signals is compared",
	"account_risk_now":     "counts attempts before now; account_risk is compared",
	"freshness":            "counts minutes until now; source_freshness is compared",
	"rejections_now":       "counts hours before now; rejections is compared",
	"outcomes":             "", // every term was over long ago
}

// lettersWithout are headers of dead letters that are not compared, and why.
var lettersWithout = map[string]string{deadletter.HeaderTimestamp: "the record's own, as record_time"}

// TestGolden: what a fixed world makes under a fixed clock is, to the byte, what it made before: the alert log, the topics, and
// every table and view that people read. With GOLDEN_DIR the rows behind each hash are kept there, so that those of two
// commits can be held against each other; -update writes the hashes anew. They were written on amd64: elsewhere Go may round the last
// digit of a float in another way.
func TestGolden(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.tellGoldenStory(t)

	got := map[string]compared{}
	s.compareWarehouse(t, got)
	s.compareTopics(t, got)

	want := map[string]string{}
	written, err := os.ReadFile(goldenFile)
	if err != nil && !(*update && errors.Is(err, fs.ErrNotExist)) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(written)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		want[name] = rest
	}
	kept := cmp.Or(os.Getenv("GOLDEN_DIR"), t.ArtifactDir())
	if err := os.MkdirAll(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(got)) {
		file := filepath.Join(kept, strings.ReplaceAll(name, "/", ".")+".tsv")
		if err := os.WriteFile(file, []byte(got[name].text()), 0o644); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s %s\n", name, got[name])
		if was, known := want[name]; *update {
			continue
		} else if !known {
			t.Errorf("%s is not in %s: %s; its rows: %s", name, goldenFile, got[name], file)
		} else if was != got[name].String() {
			t.Errorf("%s differs: it is %s, want %s; its rows: %s", name, got[name], was, file)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, found := got[name]; !found && !*update {
			t.Errorf("%s is in %s, and there is none", name, goldenFile)
		}
	}
	if *update {
		if err := os.WriteFile(goldenFile, []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if t.Failed() {
		t.Logf("set GOLDEN_DIR to keep the rows, here and at the commit before, and hold them against each other; where the change is meant, try: go test ./cmd/aftershock -run Golden -update")
	}
}

// compared is what one line of the golden file stands for.
type compared struct {
	head []string // what is no row: names and types of columns
	rows []string
}

func (c compared) text() string {
	return strings.Join(slices.Concat(c.head, c.rows), "\n") + "\n"
}

func (c compared) String() string {
	return fmt.Sprintf("%d %x", len(c.rows), sha256.Sum256([]byte(c.text())))
}

// tellGoldenStory produces, consumes, evaluates and answers, in steps, each by a process of its own.
func (s *server) tellGoldenStory(t *testing.T) {
	t.Helper()
	s.config.Evaluate.HoldoutShare = 0.1
	world := simulate.DefaultConfig()
	world.Seed, world.Accounts, world.From, world.To = 20180101, 110, goldenBegin, goldenSteps[2].until
	world.TicketRate, world.AttemptRate, world.HardShare, world.ChurnRate = 5, 1.5, 0.4, 0.3
	world.LateShare, world.DuplicateShare, world.CorrectedShare, world.BrokenShare = 0.08, 0.05, 0.08, 0.04
	simulation, err := simulate.New(world)
	if err != nil {
		t.Fatal(err)
	}
	records := slices.Collect(simulation.Records())
	begun, held := 0, []simulate.Record(nil)
	step := func(i int) {
		at := goldenSteps[i].until
		sent := held
		held = nil
		for ; begun < len(records) && !records[begun].KnownAt.After(at); begun++ {
			// Some come with the next step: they were known by then, and nobody here had heard of them.
			if begun%40 == 7 && i+1 < len(goldenSteps) {
				held = append(held, records[begun])
			} else {
				sent = append(sent, records[begun])
			}
		}
		s.produce(t, sent)
		s.asOf(t, goldenSteps[i].schedule, goldenBegin, at)
	}

	s.at(t, goldenSteps[0].until, func(p *pipeline.Pipeline) error {
		return p.Warehouse.StoreRates(t.Context(), []churn.Rate{
			{Currency: "EUR", Rate: decimal.MustParse("1.08"), ValidFrom: goldenBegin.AddDate(-1, 0, 0)},
			{Currency: "EUR", Rate: decimal.MustParse("1.13"), ValidFrom: goldenBegin.AddDate(0, 10, 0)},
		}) // none for GBP: what cannot be converted is unknown
	})
	step(0)

	s.answerAlerts(t, "first", goldenSteps[0].until)
	s.at(t, goldenSteps[1].until, func(p *pipeline.Pipeline) error {
		known := goldenSteps[0].until.AddDate(0, 0, 3)
		return p.Warehouse.StoreOwners(t.Context(), []churn.Owner{
			{AccountID: "acc-00001", Owners: churn.Owners{AccountManager: "Nora Vance", Team: "Rescue"}, KnownAt: known},
			{AccountID: "acc-00002", Owners: churn.Owners{AccountExecutive: "Nora Vance"}, KnownAt: known},
		})
	})
	var broken []message // so many in the hour before a tick that a rule speaks of them
	for i := range 7 {
		broken = append(broken, message{fmt.Sprintf("acc-%05d", i), []byte(`{"deal_id":"D-7"}`), goldenSteps[1].until.Add(-400 * time.Minute)})
	}
	s.send(t, s.config.Kafka.Topics.Deals, broken...)
	step(1)

	s.answerAlerts(t, "second", goldenSteps[1].until)
	s.moveOne(t, simulate.Deal, records)
	s.moveOne(t, simulate.Ticket, records)
	s.replayOne(t, goldenSteps[2].until)
	step(2)

	s.config.Evaluate.Rules = []string{otherRules(t)}
	step(3)
	if begun != len(records) {
		t.Fatalf("of %d records only %d were produced", len(records), begun)
	}
}

// at gives a pipeline whose clock stands still.
func (s *server) at(t *testing.T, now time.Time, do func(*pipeline.Pipeline) error) {
	t.Helper()
	p, err := pipeline.Open(s.config, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := do(p); err != nil {
		t.Fatal(err)
	}
}

// send produces records in their order; where knownAt is zero, they become known by the consumer's clock.
func (s *server) send(t *testing.T, topic string, messages ...message) {
	t.Helper()
	s.at(t, goldenBegin, func(p *pipeline.Pipeline) error {
		out := broker.NewProducer(p.Kafka)
		var err error
		for _, m := range messages {
			err = errors.Join(err, out.Add(t.Context(), topic, m.key, m.value, m.knownAt))
		}
		return errors.Join(err, out.Flush(t.Context()), out.Close())
	})
}

type message struct {
	key     string
	value   []byte
	knownAt time.Time
}

// answerAlerts is what people do in the days after an instant: of each rule's open alerts some are acknowledged, snoozed, closed
// and judged, of the resolved ones some are judged; and some of it is repeated, about nothing, broken, or does not say when it was.
func (s *server) answerAlerts(t *testing.T, round string, since time.Time) {
	t.Helper()
	var all []message
	say := func(fingerprint, format string, args ...any) {
		known := since.Add(time.Duration(len(all)+1) * 4 * time.Hour)
		value := fmt.Sprintf(`{"event_id":"%s-%d","who":"mia",`, round, len(all)) + fmt.Sprintf(format, args...) + `}`
		all = append(all, message{fingerprint, []byte(value), known})
	}
	alerts := strings.Split(s.sql(t, `SELECT fingerprint, episode, state = 'resolved' FROM alert_current WHERE starts_at > toDateTime64(0, 3, 'UTC')
		ORDER BY state = 'resolved', rule, fingerprint LIMIT 2 BY rule, state = 'resolved'`), "\n")
	open := 0
	for i, line := range alerts {
		fields := strings.Split(line, "\t")
		fingerprint, episode := fields[0], fields[1]
		if fields[2] == "1" {
			if i%3 == 0 {
				say(fingerprint, `"what":"judge","disposition":"benign_outage","why":"we were down"`)
			}
			continue
		}
		switch open++; open % 6 {
		case 0:
			say(fingerprint, `"what":"ack","episode":%s,"why":"call on Monday"`, episode)
		case 1:
			say(fingerprint, `"what":"snooze","until":%q,"disposition":"true"`, since.AddDate(0, 0, 12).Format(time.RFC3339))
		case 2:
			say(fingerprint, `"what":"close","disposition":"false","why":"they renewed"`)
		case 3:
			say(fingerprint, `"what":"judge","disposition":"benign_billing_error","at":%q`, since.Add(time.Hour).Format(time.RFC3339))
		case 4:
			say(fingerprint, `"what":"ack","episode":99`)
		}
	}
	if open < 6 {
		t.Fatalf("only %d alerts are open: the story has too little to answer", open)
	}
	first, _, _ := strings.Cut(alerts[0], "\t")
	all = append(all, all[0])
	say("nobody", `"what":"ack"`)
	say(first, `"what":"shout"`)
	say(first, `"what":"ack","why":"nobody said when this was"`)
	all[len(all)-1].knownAt = time.Time{}
	s.send(t, s.config.Kafka.Topics.Feedback, all...)
}

// moveOne sends the first good record of a kind again, as a later revision of another account.
func (s *server) moveOne(t *testing.T, kind simulate.Kind, records []simulate.Record) {
	t.Helper()
	topic := demo.TopicOf(simulate.Record{Kind: kind}, s.config.Kafka.Topics)
	for _, r := range records {
		if r.Kind != kind || r.Broken != "" || r.Correction || r.Key == "acc-00003" {
			continue
		}
		var fields map[string]any
		numbers := json.NewDecoder(bytes.NewReader(r.Value))
		numbers.UseNumber()
		if err := numbers.Decode(&fields); err != nil {
			t.Fatal(err)
		}
		fields["account_id"], fields["event_id"], fields["revision"] = "acc-00003", "moved-"+string(kind), 1000
		value, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		s.send(t, topic, message{key: "acc-00003", value: value})
		return
	}
	t.Fatalf("there is no %s to move", kind)
}

// replayOne mends one dead deal and one dead ticket. Only one of a topic: dead letters of several partitions are written side by
// side, so which of two is sent again first, and to which offset, is up to chance.
func (s *server) replayOne(t *testing.T, now time.Time) {
	t.Helper()
	for _, topic := range []string{s.config.Kafka.Topics.Deals, s.config.Kafka.Topics.Tickets} {
		position := s.sql(t, `SELECT format('{}/{}/{}', topic, partition, offset) FROM rejected_events FINAL
			WHERE topic = '`+topic+`' AND code = 'missing_field' AND field IN ('closed_at', 'opened_at') ORDER BY partition, offset LIMIT 1`)
		at, err := churn.ParsePosition(position)
		if err != nil {
			t.Fatal(err)
		}
		s.at(t, now, func(p *pipeline.Pipeline) error {
			enrichment, err := p.Config.Models.Enrichment()
			if err != nil {
				return err
			}
			r := deadletter.Replay{Kafka: p.Kafka, Store: p.Warehouse, Decode: enrichment.Decoders(p.Kafka.Topics()), Clock: p.Clock, Positions: []churn.Position{at},
				Mend: func(_ context.Context, d *deadletter.Letter) ([]byte, error) {
					return []byte(strings.Replace(string(d.Value), `ed_at":null`, `ed_at":"2018-09-10T11:12:13Z"`, 1)), nil
				}}
			replays(t, r, deadletter.Counts{Sent: 1})
			return nil
		})
	}
}

// otherRules are the built-in ones without a group, whose open alerts resolve, and with another severity in a second.
func otherRules(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	names, err := fs.Glob(rules.Builtin(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(rules.Builtin(), name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "accounts.yaml" || strings.HasSuffix(name, ".test.yaml") {
			continue
		}
		if name == "early-warning.yaml" {
			text = bytes.ReplaceAll(text, []byte("severity: warning"), []byte("severity: critical"))
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// compareWarehouse takes in every table and every view that the database has, whatever their names.
func (s *server) compareWarehouse(t *testing.T, got map[string]compared) {
	t.Helper()
	unmet := map[string]bool{}
	for _, list := range []map[string]string{notCompared, notRead, askNow} {
		for name := range list {
			unmet[name] = true
		}
	}
	for line := range strings.Lines(s.sql(t, `SELECT name, engine, position(create_table_query, '{at:') > 0, match(create_table_query, '(?i)\\b(now|now64|today)\\s*\\(')
		FROM system.tables WHERE database = currentDatabase() AND engine != 'MaterializedView' AND NOT is_temporary ORDER BY name`)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		name, engine, takesAt, asksNow := fields[0], fields[1], fields[2] == "1", fields[3] == "1" && fields[1] == "View"
		if _, ok := notRead[name]; ok {
			delete(unmet, name)
			continue
		}
		why, known := askNow[name]
		delete(unmet, name)
		if asksNow != known {
			t.Errorf("%s asks the server's clock: %v; in askNow: %v", name, asksNow, known)
		}
		from := map[string]string{name: "`" + name + "`"} // by the line of the golden file
		switch {
		case takesAt:
			clear(from)
			for _, at := range goldenInstants {
				day, _, _ := strings.Cut(at, " ")
				from[name+"@"+day] = "`" + name + "`(at = '" + at + "')"
			}
		case strings.HasPrefix(engine, "Replacing") || strings.HasPrefix(engine, "Aggregating"):
			from[name] += " FINAL" // whether parts were merged already is up to the server
		case name == "alert_log": // one line would say too little of what changed
			from = map[string]string{name + "/ticks": name + " WHERE i = 0", name + "/transitions": name + " WHERE i > 0"}
		}
		var columns []string
		for line, from := range from {
			if why != "" {
				from += " LIMIT 0"
			}
			if columns == nil {
				columns = s.columnsOf(t, from, unmet)
			}
			got[line] = s.rowsOf(t, columns, from)
		}
	}
	if len(unmet) > 0 {
		t.Errorf("the lists of what is not compared name what is not there: %s", strings.Join(slices.Sorted(maps.Keys(unmet)), ", "))
	}
}

// columnsOf are the columns that are compared, also those that a star leaves out.
func (s *server) columnsOf(t *testing.T, from string, unmet map[string]bool) (columns []string) {
	t.Helper()
	for line := range strings.Lines(s.sql(t, "DESCRIBE (SELECT * FROM "+from+" SETTINGS asterisk_include_alias_columns = 1) FORMAT TSV")) {
		fields := strings.Split(line, "\t")
		if _, out := notCompared[fields[0]]; out {
			delete(unmet, fields[0])
			continue
		}
		column := "`" + fields[0] + "`"
		if strings.HasPrefix(fields[1], "Map(") { // stored in the order in which Go went through its map, another each time
			column = "mapSort(" + column + ") AS " + column
		}
		columns = append(columns, column)
	}
	return columns
}

// rowsOf reads all rows, sorted.
func (s *server) rowsOf(t *testing.T, columns []string, from string) compared {
	t.Helper()
	lines := strings.Split(s.sql(t, "SELECT "+strings.Join(columns, ", ")+" FROM "+from+" FORMAT TSVWithNamesAndTypes"), "\n")
	slices.Sort(lines[2:])
	return compared{head: lines[:2], rows: lines[2:]}
}

// compareTopics takes in what went out: alerts in the order of their topics, which have one partition each. Dead letters are
// sorted: those of several partitions of the input are written side by side.
func (s *server) compareTopics(t *testing.T, got map[string]compared) {
	t.Helper()
	topics := s.config.Kafka.Topics
	for _, topic := range []string{topics.Alerts, topics.Handoffs} {
		got[topic] = compared{rows: s.recordsOf(t, topic, nil)}
	}
	letters := s.recordsOf(t, topics.DeadLetter, lettersWithout)
	slices.Sort(letters)
	got[topics.DeadLetter] = compared{rows: letters}
}

// recordsOf are key, value and headers of every record of a topic, partition by partition.
func (s *server) recordsOf(t *testing.T, topic string, without map[string]string) (records []string) {
	t.Helper()
	s.at(t, goldenBegin, func(p *pipeline.Pipeline) error {
		ranges, err := p.Kafka.Ranges(t.Context(), topic)
		if err != nil {
			return err
		}
		for partition := range len(ranges) {
			tp := churn.TopicPartition{Topic: topic, Partition: partition}
			limits := broker.FetchLimits{MinBytes: 1, MaxWait: time.Second, MaxBytes: 4 << 20}
			for r, err := range p.Kafka.Read(t.Context(), tp, ranges[tp], limits) {
				if err != nil {
					return err
				}
				value := "tombstone"
				if r.Value != nil {
					value = fmt.Sprintf("%#q", r.Value)
				}
				line := fmt.Sprintf("%#q\t%s", r.Key, value)
				for _, h := range r.Headers {
					if _, out := without[h.Key]; !out {
						line += fmt.Sprintf("\t%s=%#q", h.Key, h.Value)
					}
				}
				records = append(records, line)
			}
		}
		return nil
	})
	return records
}
