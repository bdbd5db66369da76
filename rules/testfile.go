package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// TestFile is one *.test.yaml: events in, instants, the alerts that must stand there.
type TestFile struct {
	Name  string
	Set   *Set // the rules under test
	Cases []TestCase
}

// TestCase is one story: what became known when, and what the rules must say at each instant.
type TestCase struct {
	Name     string
	Line     int
	Events   []TestEvent // in the order in which they became known
	Feedback []TestFeedback
	Instants []TestInstant
}

// TestEvent is one record as a source would have sent it.
type TestEvent struct {
	Kind    string // "deal" or "ticket"
	Value   []byte // the record's JSON
	KnownAt time.Time
	Raw     bool // as a source may really send it: what the decoder refuses is a dead letter, and no fault of the test
}

// TestFeedback is what a person did with an alert.
type TestFeedback struct {
	Line     int
	Rule     string
	Identity map[string]string // whole
	churn.FeedbackEvent
}

// TestInstant is what must be true after the evaluation that looks from At.
type TestInstant struct {
	At         time.Time
	Line       int
	Alerts     []TestAlert // every alert that stands or was resolved just now: complete
	Silent     []TestAlert // what must not stand, where a reader should see that it was thought of
	NoData     []string    // the rules that say so; checked where the key is written
	SaysNoData bool
}

// TestAlert is one expected alert. What is not written is not compared, but for the rule and the status.
type TestAlert struct {
	Line        int
	Rule        string
	Status      alert.State // Defaults to firing
	Identity    map[string]string
	Reason      string
	Severity    string
	ContractID  string
	Episode     int
	ValueAtRisk churn.OptionalMoney
	Currency    string
	Labels      map[string]string
	Annotations map[string]string
}

// LoadTests reads test files of fsys ("*.test.yaml" where no pattern is given) and the rule files that they name.
// Its error is Problems where the mistake is in a file.
func LoadTests(fsys fs.FS, patterns ...string) ([]*TestFile, error) {
	if len(patterns) == 0 {
		patterns = []string{"*.test.yaml"}
	}
	return loadTests(fsys, "", patterns)
}

// LoadTestPaths reads test files from disk: each path is a test file, a rule file (its own test file is meant) or a folder.
func LoadTestPaths(paths ...string) ([]*TestFile, error) {
	var all []*TestFile
	for _, p := range paths {
		dir, pattern := filepath.Split(p)
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			dir, pattern = p, "*.test.yaml"
		} else if !isTest(p) {
			pattern = strings.TrimSuffix(pattern, ".yaml") + ".test.yaml"
		}
		if dir == "" {
			dir = "."
		}
		files, err := loadTests(os.DirFS(dir), dir, []string{pattern})
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	return all, nil
}

func loadTests(fsys fs.FS, dir string, patterns []string) ([]*TestFile, error) {
	var problems Problems
	var files []*TestFile
	for _, pattern := range patterns {
		names, err := fs.Glob(fsys, pattern)
		if err != nil {
			return nil, fmt.Errorf("finding test files %q: %w", pattern, err)
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("no test file matches %s: a rule file early.yaml is tested by early.test.yaml beside it", filepath.Join(dir, pattern))
		}
		for _, name := range names {
			data, err := fs.ReadFile(fsys, name)
			if err != nil {
				return nil, fmt.Errorf("reading rule tests: %w", err)
			}
			l := testLoader{reader{filepath.Join(dir, name), &problems}, fsys, name, dir}
			if root := l.parse(data); root != nil {
				files = append(files, l.file(root))
			}
		}
	}
	return files, problems.err()
}

type testLoader struct {
	reader
	fsys fs.FS
	name string
	dir  string
}

func (l *testLoader) file(root *node) *TestFile {
	f := &TestFile{Name: l.reader.file, Set: &Set{}}
	if !l.object(root, "a test file", "rule_files", "only", "tests") {
		return f
	}
	names := l.texts(root.get("rule_files"), "rule_files")
	if len(names) == 0 {
		names = []string{strings.TrimSuffix(path.Base(l.name), ".test.yaml") + ".yaml"}
	}
	var docs []Document
	for _, name := range names {
		data, err := fs.ReadFile(l.fsys, path.Join(path.Dir(l.name), name))
		if err != nil {
			l.fail(root.get("rule_files"), "rule_files are named relative to the test file", "reading rules: %v", err)
			continue
		}
		docs = append(docs, Document{filepath.Join(l.dir, path.Dir(l.name), name), data})
	}
	set, err := Load(docs...)
	var mistakes Problems
	if errors.As(err, &mistakes) {
		for _, p := range mistakes { // a rule file that several test files name is reported once
			if !slices.Contains(*l.problems, p) {
				*l.problems = append(*l.problems, p)
			}
		}
		return f
	}
	f.Set = l.only(root.get("only"), set)
	if len(l.list(root.get("tests"), "tests")) == 0 {
		l.fail(root, "", "there are no tests")
	}
	for _, n := range l.list(root.get("tests"), "tests") {
		f.Cases = append(f.Cases, l.testCase(n, f.Set))
	}
	return f
}

// only keeps the named rules, so that a test of one rule need not list what its neighbours say.
func (l *testLoader) only(n *node, set *Set) *Set {
	names := l.texts(n, "only")
	if len(names) == 0 {
		return set
	}
	for i, item := range l.list(n, "only") {
		if set.Rule(names[i]) == nil {
			l.fail(item, "", "no rule %q in the rule files", names[i])
		}
	}
	out := &Set{}
	for _, g := range set.Groups {
		kept := *g
		kept.Rules = slices.DeleteFunc(slices.Clone(g.Rules), func(r *Rule) bool { return !slices.Contains(names, r.Name) })
		if len(kept.Rules) > 0 {
			out.Groups = append(out.Groups, &kept)
		}
	}
	return out
}

func (l *testLoader) testCase(n *node, set *Set) TestCase {
	c := TestCase{Line: n.line}
	if !l.object(n, "a test", "name", "events", "feedback", "instants") {
		return c
	}
	if c.Name = l.text(n.get("name"), "name"); c.Name == "" {
		l.fail(n, "one sentence that says what must happen", "a test without a name")
	}
	for _, item := range l.list(n.get("events"), "events") {
		c.Events = append(c.Events, l.events(item, len(c.Events))...)
	}
	slices.SortStableFunc(c.Events, func(a, b TestEvent) int { return a.KnownAt.Compare(b.KnownAt) })
	for _, item := range l.list(n.get("feedback"), "feedback") {
		c.Feedback = append(c.Feedback, l.feedback(item, set, len(c.Feedback)))
	}
	slices.SortStableFunc(c.Feedback, func(a, b TestFeedback) int { return a.KnownAt.Compare(b.KnownAt) })
	for _, item := range l.list(n.get("instants"), "instants") {
		c.Instants = append(c.Instants, l.instant(item, set))
	}
	if len(c.Instants) == 0 {
		l.fail(n, "", "a test without instants checks nothing")
	}
	for i := 1; i < len(c.Instants); i++ {
		if !c.Instants[i].At.After(c.Instants[i-1].At) {
			l.fail(n.get("instants").items[i], "", "instants must follow one another in time")
		}
	}
	return c
}

// feedback reads what a person did: the keys of a record on churn.feedback, and the alert by its rule and identity.
func (l *testLoader) feedback(n *node, set *Set, before int) TestFeedback {
	f := TestFeedback{Line: n.line}
	if !l.object(n, "a feedback", "rule", "identity", "known_at", "what", "who", "why", "disposition", "until", "episode") {
		return f
	}
	if f.Rule = l.text(n.get("rule"), "rule"); set.Rule(f.Rule) == nil {
		l.fail(n, "", "no rule %q under test", f.Rule)
	}
	f.Identity, _ = l.pairs(n.get("identity"), "identity")
	f.EventID, f.Fingerprint = fmt.Sprint("feedback-", before+1), alert.Fingerprint(f.Rule, f.Identity)
	actions := []string{string(churn.Acknowledge), string(churn.Snooze), string(churn.Close), string(churn.Judge)}
	f.Action = churn.Action(l.oneOf(n.get("what"), "what", actions...))
	f.By, f.Reason = l.text(n.get("who"), "who"), l.text(n.get("why"), "why")
	if f.By == "" {
		f.By = "somebody"
	}
	if d := n.get("disposition"); d != nil {
		f.Disposition = churn.Disposition(l.oneOf(d, "disposition", churn.Dispositions...))
	}
	if f.Action == churn.Judge && f.Disposition == "" {
		l.fail(n, "one of "+strings.Join(churn.Dispositions, ", "), "judge without a disposition")
	}
	if u := n.get("until"); u != nil {
		f.Until = l.time(u, "until")
	} else if f.Action == churn.Snooze {
		l.fail(n, "until: and a time", "snooze without until")
	}
	if e := n.get("episode"); e != nil {
		var err error
		if f.Episode, err = strconv.Atoi(l.text(e, "episode")); err != nil || f.Episode < 0 {
			l.fail(e, "", "episode must be a whole number")
		}
	}
	if k := n.get("known_at"); k != nil {
		f.KnownAt = l.time(k, "known_at")
	} else {
		l.fail(n, "", "known_at must say when the feedback became known")
	}
	return f
}

// events reads one entry of events: a deal, a ticket, a file of JSON lines that hold the same, or raw records.
func (l *testLoader) events(n *node, before int) []TestEvent {
	if !l.object(n, "an event", "deal", "ticket", "known_at", "file", "records", "lines", "times") {
		return nil
	}
	if n.get("records") != nil {
		return l.records(n)
	}
	if file := n.get("file"); file != nil {
		return l.lines(file, before)
	}
	kind, begins := "deal", "closed_at"
	if n.get("ticket") != nil {
		kind, begins = "ticket", "opened_at"
	}
	value := n.get(kind)
	if shapeOf(value) != shapeMap {
		l.fail(n, "deal: {...} or ticket: {...} as on the topic", "an event holds a deal or a ticket")
		return nil
	}
	known := n.get("known_at")
	if known == nil {
		known = value.get(begins)
	}
	if known == nil {
		l.fail(n, "", "%s has no %s, and no known_at says when it became known", kind, begins)
		return nil
	}
	if value.get("event_id") == nil {
		value.keys = append(value.keys, &node{shape: shapeText, text: "event_id"})
		value.items = append(value.items, &node{shape: shapeText, text: kind + "-" + strconv.Itoa(before+1)})
	}
	var b bytes.Buffer
	value.appendJSON(&b)
	return []TestEvent{{Kind: kind, Value: b.Bytes(), KnownAt: l.time(known, "known_at")}}
}

// records reads raw records, one a line, so that a test can send what the decoder refuses.
func (l *testLoader) records(n *node) []TestEvent {
	kind := map[string]string{"deals": "deal", "tickets": "ticket"}[l.text(n.get("records"), "records")]
	if kind == "" {
		l.fail(n.get("records"), "one of deals, tickets", "records of no source")
		return nil
	}
	text := l.text(n.get("lines"), "lines")
	if strings.TrimSpace(text) == "" {
		l.fail(n, "lines: | and one record in each line below", "records without lines")
		return nil
	}
	if n.get("known_at") == nil {
		l.fail(n, "", "known_at must say when the records became known")
		return nil
	}
	times := 1
	if t := n.get("times"); t != nil {
		var err error
		if times, err = strconv.Atoi(l.text(t, "times")); err != nil || times < 1 || times > maxTimes {
			l.fail(t, "", "times must be a whole number from 1 to %d", maxTimes)
			return nil
		}
	}
	known := l.time(n.get("known_at"), "known_at")
	var out []TestEvent
	for range times {
		for line := range strings.Lines(text) {
			if line = strings.TrimRight(line, "\r\n"); line != "" {
				out = append(out, TestEvent{Kind: kind, Value: []byte(line), KnownAt: known, Raw: true})
			}
		}
	}
	return out
}

// maxTimes bounds how often a test sends the same records.
const maxTimes = 10_000

// lines reads JSON lines, which are YAML too: each is {"deal": {...}, "known_at": "..."}.
func (l *testLoader) lines(n *node, before int) []TestEvent {
	name := l.text(n, "file")
	data, err := fs.ReadFile(l.fsys, path.Join(path.Dir(l.name), name))
	if err != nil {
		l.fail(n, "the file is named relative to the test file", "reading events: %v", err)
		return nil
	}
	var out []TestEvent
	inner := testLoader{reader{filepath.Join(l.dir, name), l.problems}, l.fsys, l.name, l.dir}
	for i, line := range bytes.Split(data, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		mistakes := len(*l.problems)
		if root := inner.parse(line); root != nil {
			out = append(out, inner.events(root, before+len(out))...)
		}
		for j := mistakes; j < len(*l.problems); j++ {
			(*l.problems)[j].Line = i + 1
		}
	}
	return out
}

func (l *testLoader) instant(n *node, set *Set) TestInstant {
	t := TestInstant{Line: n.line}
	if !l.object(n, "an instant", "at", "alerts", "silent", "no_data") {
		return t
	}
	t.At = l.time(n.get("at"), "at")
	if n.get("alerts") == nil {
		l.fail(n, "alerts: [] where nothing may stand", "an instant without the key alerts")
	}
	for _, item := range l.list(n.get("alerts"), "alerts") {
		t.Alerts = append(t.Alerts, l.alert(item, set))
	}
	for _, item := range l.list(n.get("silent"), "silent") {
		t.Silent = append(t.Silent, l.alert(item, set))
	}
	t.NoData, t.SaysNoData = l.texts(n.get("no_data"), "no_data"), n.get("no_data") != nil
	slices.Sort(t.NoData)
	return t
}

func (l *testLoader) alert(n *node, set *Set) TestAlert {
	a := TestAlert{Line: n.line, Status: alert.Firing}
	if !l.object(n, "an expected alert", "rule", "status", "identity", "reason", "severity", "contract_id", "episode",
		"value_at_risk", "currency", "labels", "annotations") {
		return a
	}
	if a.Rule = l.text(n.get("rule"), "rule"); set.Rule(a.Rule) == nil {
		l.fail(n, "", "no rule %q under test", a.Rule)
	}
	if s := n.get("status"); s != nil {
		a.Status = alert.State(l.text(s, "status"))
		if !a.Status.Published() && a.Status != alert.Pending {
			l.fail(s, "one of firing, reminder, acknowledged, snoozed, pending, resolved", "unknown status %q", a.Status)
		}
	}
	a.Identity, _ = l.pairs(n.get("identity"), "identity")
	a.Labels, _ = l.pairs(n.get("labels"), "labels")
	a.Annotations, _ = l.pairs(n.get("annotations"), "annotations")
	a.Reason, a.Severity = l.text(n.get("reason"), "reason"), l.text(n.get("severity"), "severity")
	a.ContractID, a.Currency = l.text(n.get("contract_id"), "contract_id"), l.text(n.get("currency"), "currency")
	if e := n.get("episode"); e != nil {
		var err error
		if a.Episode, err = strconv.Atoi(l.text(e, "episode")); err != nil {
			l.fail(e, "", "episode must be a whole number")
		}
	}
	if v := n.get("value_at_risk"); v != nil {
		var err error
		if a.ValueAtRisk, err = churn.Money(l.text(v, "value_at_risk")); err != nil {
			l.fail(v, "", "value_at_risk: %v", err)
		}
	}
	return a
}

func (l *testLoader) time(n *node, what string) time.Time {
	s := l.text(n, what)
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	l.fail(n, "for example 2026-03-01T09:00:00Z, or 2026-03-01 for its midnight in UTC", "%s: %q is not a time", what, s)
	return time.Time{}
}
