package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The checker compares what came out with the truth. It reads the topics with a client library that the pipeline does not use,
// and the warehouse with statements of its own.
var (
	//go:embed events.sql
	eventsSQL string
	//go:embed rejected.sql
	rejectedSQL string
	//go:embed expected_links.sql
	expectedLinksSQL string
	//go:embed links.sql
	linksSQL string
	//go:embed counts.sql
	countsSQL string
	//go:embed log.sql
	logSQL string
	//go:embed told_of.sql
	toldOfSQL string
	//go:embed ticks.sql
	ticksSQL string
	//go:embed rules.yaml
	rulesText []byte
)

// What rules.yaml says, once more: how often each group is due, and how long an attempt is fresh.
var schedules = map[string]time.Duration{"fresh": 2 * time.Second, "standing": 5 * time.Second}

const (
	slowestTick = 5 * time.Second
	freshFor    = 10 * time.Second
)

// The counts that must be zero, in the order in which they are printed.
const (
	countLost         = "lost"
	countTwice        = "counted twice"
	countAlertsLost   = "alerts lost"
	countDiffering    = "repeats that differ"
	countStaleHeads   = "stale topic heads"
	countUnaccounted  = "ticks unaccounted for"
	detailsOfEachKind = 6
)

var wantedZero = []string{countLost, countTwice, countAlertsLost, countDiffering, countStaleHeads, countUnaccounted}

// verdict is what the checker found.
type verdict struct {
	counts  map[string]int
	details map[string][]string

	records, broken    int
	storedAgain        int // copies of a record in the warehouse, which nothing counts
	deadLettersAgain   int
	links, transitions int
	topicRecords       int
	repeats            int // of a transition on its topic, with equal bytes
	entries            map[string]int
	latest             time.Duration // the longest from a tick to its entry
}

func newVerdict() *verdict {
	return &verdict{counts: map[string]int{}, details: map[string][]string{}, entries: map[string]int{}}
}

func (v *verdict) add(count, format string, args ...any) { v.addN(count, 1, format, args...) }

func (v *verdict) addN(count string, n int, format string, args ...any) {
	v.counts[count] += n
	if len(v.details[count]) < detailsOfEachKind {
		v.details[count] = append(v.details[count], fmt.Sprintf(format, args...))
	}
}

func (v *verdict) clean() bool {
	return !slices.ContainsFunc(wantedZero, func(count string) bool { return v.counts[count] > 0 })
}

// check compares everything. The pipeline should have settled; it may run.
func (h *house) check(ctx context.Context) (*verdict, error) {
	v := newVerdict()
	for _, part := range []struct {
		what string
		do   func(context.Context, *verdict) error
	}{
		{"records", h.checkRecords}, {"counts", h.checkCounts}, {"links", h.checkLinksAndStanding}, {"alerts", h.checkAlerts},
	} {
		if err := part.do(ctx, v); err != nil {
			return v, fmt.Errorf("checking %s: %w", part.what, err)
		}
	}
	return v, nil
}

// place is where a record lies.
type place struct {
	topic     string
	partition int32
	offset    int64
}

// fate is what became of one record of an input topic.
type fate struct {
	seq                     int
	stored, refused, noted  int
	otherwise, refusedOther bool // stored or refused as something else than it was
}

func (h *house) checkRecords(ctx context.Context, v *verdict) error {
	facts := h.truth.all()
	v.records = len(facts)
	produced := make([]int, len(facts))
	fates := map[place]*fate{}
	for _, topic := range []string{h.topics.Deals, h.topics.Tickets} {
		err := h.read(ctx, topic, func(r *kgo.Record) {
			seq, ok := seqOf(r)
			if !ok || seq >= len(facts) || hashOf(r.Value) != facts[seq].hash {
				v.add(countLost, "%s/%d@%d is not what was produced", r.Topic, r.Partition, r.Offset)
				return
			}
			produced[seq]++
			fates[place{r.Topic, r.Partition, r.Offset}] = &fate{seq: seq}
		})
		if err != nil {
			return err
		}
	}
	for seq, n := range produced {
		if n == 0 {
			v.add(countLost, "record %d was acknowledged and is not in its topic: the broker lost it", seq)
		}
		if facts[seq].broken != "" {
			v.broken++
		}
	}
	if err := h.readStored(ctx, v, facts, fates); err != nil {
		return err
	}
	if err := h.readDeadLetters(ctx, v, facts, fates); err != nil {
		return err
	}
	for at, f := range fates {
		fact := facts[f.seq]
		v.storedAgain += max(f.stored-1, 0)
		v.deadLettersAgain += max(f.refused-1, 0)
		switch {
		case f.otherwise || f.refusedOther:
			v.add(countLost, "%v (record %d, %s) was stored or refused as something else", at, f.seq, fact.event)
		case fact.broken == "" && f.stored == 0:
			v.add(countLost, "%v (record %d, event %s) was not stored", at, f.seq, fact.event)
		case fact.broken == "" && f.refused > 0:
			v.add(countTwice, "%v (record %d, event %s) was stored, and is a dead letter too", at, f.seq, fact.event)
		case fact.broken != "" && f.stored > 0:
			v.add(countTwice, "%v (record %d, broken: %s) was stored", at, f.seq, fact.broken)
		case fact.broken != "" && f.refused == 0:
			v.add(countLost, "%v (record %d, broken: %s) is no dead letter", at, f.seq, fact.broken)
		case fact.broken != "" && f.noted == 0:
			v.add(countLost, "%v (record %d, broken: %s) is not in rejected_events", at, f.seq, fact.broken)
		}
	}
	return nil
}

func seqOf(r *kgo.Record) (int, bool) {
	seq, err := strconv.Atoi(headerOf(r, seqHeader))
	return seq, err == nil && seq >= 0
}

func headerOf(r *kgo.Record, key string) string {
	for _, header := range r.Headers {
		if header.Key == key {
			return string(header.Value)
		}
	}
	return ""
}

func (h *house) readStored(ctx context.Context, v *verdict, facts []fact, fates map[place]*fate) error {
	return h.rows(ctx, eventsSQL, nil, func(row []string) error {
		at, err := placeOf(row[0], row[1], row[2])
		if err != nil {
			return err
		}
		f := fates[at]
		if f == nil {
			v.add(countTwice, "an event of %v is stored, and no record stands there", at)
			return nil
		}
		f.stored++
		f.otherwise = f.otherwise || row[3] != facts[f.seq].event || row[4] != hex.EncodeToString(facts[f.seq].hash[:])
		return nil
	})
}

func (h *house) readDeadLetters(ctx context.Context, v *verdict, facts []fact, fates map[place]*fate) error {
	err := h.read(ctx, h.topics.DeadLetter, func(r *kgo.Record) {
		at, err := placeOf(headerOf(r, "aftershock-topic"), headerOf(r, "aftershock-partition"), headerOf(r, "aftershock-offset"))
		f := fates[at]
		if err != nil || f == nil {
			v.add(countTwice, "a dead letter of %v, where no record stands", at)
			return
		}
		f.refused++
		seq, ok := seqOf(r)
		f.refusedOther = f.refusedOther || !ok || seq != f.seq || hashOf(r.Value) != facts[seq].hash ||
			facts[seq].broken != "" && headerOf(r, "aftershock-code") != string(facts[seq].broken)
	})
	if err != nil {
		return err
	}
	return h.rows(ctx, rejectedSQL, nil, func(row []string) error {
		at, err := placeOf(row[0], row[1], row[2])
		if err != nil {
			return err
		}
		f := fates[at]
		if f == nil {
			v.add(countTwice, "a rejection of %v, where no record stands", at)
			return nil
		}
		f.noted++
		f.refusedOther = f.refusedOther || row[3] != string(facts[f.seq].broken)
		return nil
	})
}

func placeOf(topic, partition, offset string) (at place, err error) {
	n, err := strconv.ParseInt(partition, 10, 32)
	if err != nil {
		return at, fmt.Errorf("partition %q: %w", partition, err)
	}
	at = place{topic: topic, partition: int32(n)}
	at.offset, err = strconv.ParseInt(offset, 10, 64)
	return at, err
}

// rows hands over the rows of an answer in TabSeparated; none of the columns asked for needs escaping.
func (h *house) rows(ctx context.Context, statement string, parameters map[string]string, each func(row []string) error) error {
	return h.query(ctx, statement, parameters, func(body io.Reader) error {
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if err := each(strings.Split(lines.Text(), "\t")); err != nil {
				return err
			}
		}
		return lines.Err()
	})
}

// checkCounts compares what views count with what the events give.
func (h *house) checkCounts(ctx context.Context, v *verdict) error {
	return h.rows(ctx, countsSQL, nil, func(row []string) error {
		counted, err := strconv.Atoi(row[1])
		if err != nil {
			return fmt.Errorf("%s: %w", row[0], err)
		}
		truth, err := strconv.Atoi(row[2])
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", row[0], err)
		case counted > truth:
			v.addN(countTwice, counted-truth, "%s counts %d, and there are %d", row[0], counted, truth)
		case counted < truth:
			v.addN(countLost, truth-counted, "%s counts %d, and there are %d", row[0], counted, truth)
		}
		return nil
	})
}

// checkLinksAndStanding compares links with those that the events alone give, and who StandingAttempts fires for with those links.
func (h *house) checkLinksAndStanding(ctx context.Context, v *verdict) error {
	expected, got := map[string]int{}, map[string]int{}
	attempts := map[string]map[string]time.Time{} // by account and ticket
	err := h.rows(ctx, expectedLinksSQL, nil, func(row []string) error {
		expected[strings.Join(row, " ")]++
		ms, err := strconv.ParseInt(row[6], 10, 64)
		if attempts[row[0]] == nil {
			attempts[row[0]] = map[string]time.Time{}
		}
		attempts[row[0]][row[3]] = time.UnixMilli(ms)
		return err
	})
	if err != nil {
		return err
	}
	err = h.rows(ctx, linksSQL, nil, func(row []string) error {
		got[strings.Join(row, " ")]++
		return nil
	})
	if err != nil {
		return err
	}
	v.links = len(expected)
	for link := range expected {
		if got[link] == 0 {
			v.add(countLost, "the link %s is not there", link)
		}
	}
	for link, n := range got {
		if n > 1 || expected[link] == 0 {
			v.add(countTwice, "the link %s stands %d times, and should %d", link, n, expected[link])
		}
	}

	log, err := h.alertLog(ctx)
	if err != nil {
		return err
	}
	var at time.Time
	standing := map[string]transition{}
	for _, t := range log {
		if t.group != "standing" {
			continue
		}
		at = t.tick
		if t.rule == "StandingAttempts" {
			standing[t.account] = t // in the order of the log
		}
	}
	return h.rows(ctx, toldOfSQL, map[string]string{"share": strconv.Itoa(h.one)}, func(row []string) error {
		made := 0
		for _, attempt := range attempts[row[0]] {
			if attempt.After(at.Add(-90*24*time.Hour)) && !attempt.After(at) {
				made++
			}
		}
		t := standing[row[0]]
		fires := t.state == "firing" || t.state == "reminder"
		if made >= 2 && !fires {
			v.add(countAlertsLost, "account %s has made %d attempts in 90 days and StandingAttempts does not fire", row[0], made)
		}
		if made < 2 && fires {
			v.add(countTwice, "account %s has made %d attempts in 90 days and StandingAttempts fires", row[0], made)
		}
		return nil
	})
}

// transition is a row of the alert log.
type transition struct {
	group, writer, status, why     string
	n                              int64
	i                              int64
	tick                           time.Time
	appended                       time.Time
	id, fingerprint, rule          string
	state, reason, arm, topic, key string
	untold, toldState              string
	toldEpisode                    int64
	account                        string
	episode, sequence              int64
	started                        bool
	bytes                          string // hash of headers and value
}

func (t transition) version() version { return version{t.topic, t.key, t.episode, t.sequence} }

// version is one transition as a topic has it.
type version struct {
	topic, key        string
	episode, sequence int64
}

func (a version) compare(b version) int {
	return cmp.Or(cmp.Compare(a.episode, b.episode), cmp.Compare(a.sequence, b.sequence))
}

func (h *house) alertLog(ctx context.Context) (log []transition, err error) {
	err = h.query(ctx, logSQL, nil, func(body io.Reader) error {
		for decoder := json.NewDecoder(bufio.NewReaderSize(body, 1<<20)); ; {
			var t transition
			var n, i, tick, appended, episode, sequence, starts, toldEpisode json.RawMessage
			var keys, values []string
			row := []any{&t.group, &n, &i, &t.writer, &tick, &t.status, &t.why, &appended, &t.id, &t.fingerprint, &episode, &sequence,
				&t.rule, &t.state, &t.reason, &t.arm, &starts, &t.topic, &t.key,
				&t.untold, &toldEpisode, &t.toldState, &t.account, &keys, &values, &t.bytes}
			if err := decoder.Decode(&row); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			t.n, t.i, t.episode, t.sequence, t.toldEpisode = whole(n), whole(i), whole(episode), whole(sequence), whole(toldEpisode)
			t.tick, t.appended, t.started = time.UnixMilli(whole(tick)), time.UnixMilli(whole(appended)), whole(starts) > 0
			t.bytes = signature(keys, values, t.bytes)
			log = append(log, t)
		}
	})
	return log, err
}

// whole reads a number that ClickHouse may have put into quotes.
func whole(raw json.RawMessage) int64 {
	n, _ := strconv.ParseInt(string(bytes.Trim(raw, `"`)), 10, 64)
	return n
}

func signature(keys, values []string, value string) string {
	return strings.Join(keys, "\x00") + "\x01" + strings.Join(values, "\x00") + "\x01" + value
}

// checkAlerts compares the alert log with the schedules, and the topics with the log.
func (h *house) checkAlerts(ctx context.Context, v *verdict) error {
	log, err := h.alertLog(ctx)
	if err != nil {
		return err
	}
	v.checkTicks(log)
	inLog, heads := v.checkLog(log)
	found := map[version]int{}
	last := map[version]version{} // by topic and key
	for _, topic := range []string{h.topics.Alerts, h.topics.Handoffs} {
		err := h.read(ctx, topic, func(r *kgo.Record) {
			v.topicRecords++
			var said struct{ Episode, Sequence int64 }
			if err := json.Unmarshal(r.Value, &said); err != nil {
				v.add(countDiffering, "%s@%d is no alert: %v", topic, r.Offset, err)
				return
			}
			is := version{topic, string(r.Key), said.Episode, said.Sequence}
			var keys, values []string
			for _, header := range r.Headers {
				keys, values = append(keys, header.Key), append(values, string(header.Value))
			}
			sum := sha256.Sum256(r.Value)
			if want, ok := inLog[is]; !ok {
				v.add(countDiffering, "%s@%d: %v is not in the alert log", topic, r.Offset, is)
			} else if want != signature(keys, values, hex.EncodeToString(sum[:])) {
				v.add(countDiffering, "%s@%d: %v has other bytes than the alert log", topic, r.Offset, is)
			}
			found[is]++
			last[version{topic: topic, key: string(r.Key)}] = is
		})
		if err != nil {
			return err
		}
	}
	for is := range inLog {
		if found[is] == 0 {
			v.add(countAlertsLost, "%v is in the alert log and not on its topic", is)
		}
		v.repeats += max(found[is]-1, 0)
	}
	for key, head := range heads {
		if is, ok := last[key]; ok && is != head {
			v.add(countStaleHeads, "the topic's last word on %s is %v, and the log's %v", key.key, is, head)
		}
	}
	return nil
}

// checkLog returns what must be on the topics, with its bytes, and the latest of each alert.
func (v *verdict) checkLog(log []transition) (inLog map[version]string, heads map[version]version) {
	inLog, heads = map[version]string{}, map[version]version{}
	ids, standing := map[string]transition{}, map[string]transition{}
	for _, t := range log {
		if t.i == 0 {
			continue
		}
		v.transitions++
		if was, ok := ids[t.id]; ok {
			v.add(countDiffering, "transition %s stands twice in the log: entry %d by %s and entry %d by %s", t.id, was.n, was.writer, t.n, t.writer)
		}
		ids[t.id] = t
		standing[t.group+" "+t.fingerprint] = t
		told := slices.Contains([]string{"firing", "reminder", "acknowledged", "snoozed", "resolved"}, t.state) && t.arm == "treatment" &&
			t.started && t.reason != "holding" && t.reason != "condition_returned" && t.untold != "catch_up"
		if told != (t.topic != "") {
			v.add(countAlertsLost, "transition %s (%s, %s) has the topic %q", t.id, t.state, t.reason, t.topic)
		}
		if t.topic == "" {
			continue
		}
		inLog[t.version()] = t.bytes
		key := version{topic: t.topic, key: t.key}
		if head, ok := heads[key]; !ok || t.version().compare(head) > 0 {
			heads[key] = t.version()
		}
	}
	// What happened while nobody evaluated is told in the end as it then stands.
	for _, t := range standing {
		open := t.state == "firing" || t.state == "reminder"
		owed := open && t.toldEpisode != t.episode || t.state == "resolved" && (t.toldEpisode != t.episode || t.toldState != "resolved")
		if t.started && t.arm == "treatment" && t.reason != "holding" && owed {
			v.add(countAlertsLost, "alert %s stands %s in episode %d, and people were last told %q of episode %d", t.fingerprint, t.state, t.episode, t.toldState, t.toldEpisode)
		}
	}
	return inLog, heads
}

// checkTicks follows each group's entries: no gap, no number twice, and every instant of the schedule exactly once.
func (v *verdict) checkTicks(log []transition) {
	type at struct {
		n    int64
		tick time.Time
	}
	last := map[string]at{}
	for _, t := range log {
		if t.i != 0 {
			continue
		}
		v.entries[t.status]++
		was, known := last[t.group]
		last[t.group] = at{t.n, t.tick}
		every := schedules[t.group]
		switch {
		case every == 0:
			v.add(countUnaccounted, "group %s has no schedule", t.group)
		case t.n != was.n+1:
			v.add(countUnaccounted, "group %s: entry %d comes after entry %d", t.group, t.n, was.n)
		case !known:
			if t.status != "begun" {
				v.add(countUnaccounted, "group %s begins with a tick %s", t.group, t.status)
			}
		case !t.tick.Equal(was.tick.Truncate(every).Add(every)):
			v.add(countUnaccounted, "group %s: the tick after %s is %s", t.group, was.tick.UTC().Format(time.TimeOnly), t.tick.UTC().Format(time.TimeOnly))
		case t.status != "run" && t.status != "caught_up" && t.status != "incomplete", t.status != "run" && t.why == "":
			v.add(countUnaccounted, "group %s: tick %s is %s, because %q", t.group, t.tick.UTC().Format(time.TimeOnly), t.status, t.why)
		}
		if known {
			v.latest = max(v.latest, t.appended.Sub(t.tick))
		}
	}
	for group := range schedules {
		if _, known := last[group]; !known {
			v.add(countUnaccounted, "group %s has no entry", group)
		}
	}
}

// evaluatedUpTo reports whether every group's ticks are accounted for up to an instant.
func (h *house) evaluatedUpTo(ctx context.Context, at time.Time) (ok bool, err error) {
	err = h.rows(ctx, ticksSQL, nil, func(row []string) error {
		ms, err := strconv.ParseInt(row[1], 10, 64)
		ok = row[0] == strconv.Itoa(len(schedules)) && !time.UnixMilli(ms).Before(at)
		return err
	})
	return ok, err
}

// published reports whether the topics have what the log says.
func (h *house) published(ctx context.Context) (bool, error) {
	v := newVerdict()
	err := h.checkAlerts(ctx, v)
	return v.counts[countAlertsLost] == 0 && v.counts[countStaleHeads] == 0, err
}
