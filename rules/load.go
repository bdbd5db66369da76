package rules

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Document is one rule file: its name as people know it, and its text.
type Document struct {
	Name string
	Data []byte
}

// LoadFiles reads the rule files of fsys that match the patterns ("*.yaml" where none is given); see Load.
func LoadFiles(fsys fs.FS, patterns ...string) (*Set, error) {
	docs, err := ReadFS(fsys, patterns...)
	if err != nil {
		return nil, err
	}
	return Load(docs...)
}

// LoadPaths reads rule files from disk: each path is a file, a folder (its *.yaml) or a pattern; see Load.
func LoadPaths(paths ...string) (*Set, error) {
	docs, err := ReadPaths(paths...)
	if err != nil {
		return nil, err
	}
	return Load(docs...)
}

// ReadFS returns the rule files of fsys that match the patterns ("*.yaml" where none is given); test files are left out.
func ReadFS(fsys fs.FS, patterns ...string) ([]Document, error) {
	if len(patterns) == 0 {
		patterns = []string{"*.yaml"}
	}
	var docs []Document
	for _, pattern := range patterns {
		names, err := fs.Glob(fsys, pattern)
		if err != nil {
			return nil, fmt.Errorf("finding rule files %q: %w", pattern, err)
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("no rule file matches %q", pattern)
		}
		for _, name := range names {
			if isTest(name) || known(docs, name) {
				continue
			}
			data, err := fs.ReadFile(fsys, name)
			if err != nil {
				return nil, fmt.Errorf("reading rules: %w", err)
			}
			docs = append(docs, Document{name, data})
		}
	}
	return docs, nil
}

// ReadPaths is ReadFS over the disk: each path is a file, a folder (its *.yaml) or a pattern.
func ReadPaths(paths ...string) ([]Document, error) {
	var docs []Document
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path = filepath.Join(path, "*.yaml")
		}
		names, err := filepath.Glob(path)
		if err != nil {
			return nil, fmt.Errorf("finding rule files %q: %w", path, err)
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("no rule file at %s: rules are *.yaml files; see docs/rules.md", path)
		}
		for _, name := range names {
			if isTest(name) || known(docs, name) {
				continue
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("reading rules: %w", err)
			}
			docs = append(docs, Document{name, data})
		}
	}
	return docs, nil
}

func isTest(name string) bool { return strings.HasSuffix(name, ".test.yaml") }

func known(docs []Document, name string) bool {
	return slices.ContainsFunc(docs, func(d Document) bool { return d.Name == name })
}

// Load reads rule files together, strictly. Its error is Problems: every mistake of every file, with its place.
func Load(docs ...Document) (*Set, error) {
	var problems Problems
	l := loader{groups: map[string]string{}, rules: map[string]string{}, set: &Set{}}
	for _, doc := range docs {
		l.reader, l.lines = reader{file: doc.Name, problems: &problems}, strings.Split(string(doc.Data), "\n")
		if root := l.parse(doc.Data); root != nil {
			l.document(root)
		}
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	return l.set, nil
}

type loader struct {
	reader
	set    *Set
	groups map[string]string // name -> where it was first seen
	rules  map[string]string
	lines  []string // of the file being read
}

var (
	groupKeys = []string{"name", "schedule", "timezone", "eval_delay", "catch_up", "owner_weekly_maximum", "rules"}
	ruleKeys  = []string{
		"alert", "severity", "kind", "sources", "stale_after", "query", "identity", "value_at_risk", "currency",
		"for", "keep_firing_for", "repeat_every", "happened_at", "late_after", "escalate_after", "escalate_severity", "topic", "labels",
		"annotations",
	}
	severities  = []string{"info", "warning", "critical"}
	sourceNames = []string{"deals", "tickets"}
	annotations = []string{"summary", "description", "playbook"}

	groupName  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	ruleName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)
	columnName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	topicName  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,200}$`)
)

func (l *loader) document(root *node) {
	if !l.object(root, "a rule file", "groups") {
		return
	}
	groups := root.get("groups")
	if groups == nil || len(groups.items) == 0 {
		l.fail(root, "a rule file is a list of groups: see docs/rules.md", "there are no groups")
		return
	}
	for _, n := range l.list(groups, "groups") {
		l.group(n)
	}
}

func (l *loader) group(n *node) {
	if !l.object(n, "a group", groupKeys...) {
		return
	}
	g := &Group{Name: l.text(n.get("name"), "name"), CatchUp: CatchUpAll, File: l.file}
	if name := n.get("name"); g.Name == "" {
		l.fail(n, "for example name: early-warning", "a group without a name")
	} else if !groupName.MatchString(g.Name) {
		l.fail(name, "lower-case letters, digits, - and _, at most 63", "bad group name %q", g.Name)
	} else {
		l.unique(name, l.groups, "group", g.Name)
	}
	g.Schedule = l.schedule(n)
	g.EvalDelay = l.duration(n, "eval_delay", 0)
	if c := n.get("catch_up"); shapeOf(c) != shapeNull {
		g.CatchUp = CatchUp(l.oneOf(c, "catch_up", string(CatchUpAll), string(CatchUpLatest), string(CatchUpNone)))
	}
	if m := n.get("owner_weekly_maximum"); shapeOf(m) != shapeNull {
		var err error
		if g.OwnerWeeklyMaximum, err = strconv.Atoi(l.text(m, "owner_weekly_maximum")); err != nil || g.OwnerWeeklyMaximum < 1 {
			l.fail(m, "how many alerts of the group an owner is told of in a week; leave the key out for no maximum", "owner_weekly_maximum must be a whole number above 0")
		}
	}
	rules := l.list(n.get("rules"), "rules")
	if len(rules) == 0 {
		l.fail(n, "", "group %q has no rules", g.Name)
	}
	for _, item := range rules {
		if r := l.rule(item); r != nil {
			g.Rules = append(g.Rules, r)
		}
	}
	l.set.Groups = append(l.set.Groups, g)
}

func (l *loader) schedule(group *node) Schedule {
	zone := time.UTC
	if n := group.get("timezone"); shapeOf(n) != shapeNull {
		name := l.text(n, "timezone")
		loaded, err := time.LoadLocation(name)
		if err != nil || strings.EqualFold(name, "local") {
			l.fail(n, "a name of the IANA list, for example Europe/Berlin; UTC where the key is left out", "unknown timezone %q", name)
		} else {
			zone = loaded
		}
	}
	n := group.get("schedule")
	if shapeOf(n) == shapeNull {
		l.fail(group, `for example schedule: "*/5 * * * *"`, "a group without a schedule")
		return Schedule{}
	}
	s, err := ParseSchedule(l.text(n, "schedule"), zone)
	if err != nil {
		l.fail(n, `five fields: minute hour day month weekday, for example "0 6 * * 1-5"; six with seconds first`, "bad schedule: %v", err)
	}
	return s
}

func (l *loader) rule(n *node) *Rule {
	if !l.object(n, "a rule", ruleKeys...) {
		return nil
	}
	r := &Rule{
		Name: l.text(n.get("alert"), "alert"), Severity: "warning", Kind: "risk", Topic: DefaultTopic,
		Query: strings.TrimSpace(l.text(n.get("query"), "query")), Sources: l.texts(n.get("sources"), "sources"),
		File: l.file, Line: n.line, columns: map[string]place{},
	}
	if name := n.get("alert"); r.Name == "" {
		l.fail(n, "for example alert: EarlyRenegotiation", "a rule without an alert name")
	} else if !ruleName.MatchString(r.Name) {
		l.fail(name, "letters, digits and _, not led by a digit, at most 100", "bad alert name %q", r.Name)
	} else {
		l.unique(name, l.rules, "alert", r.Name)
	}
	if s := n.get("severity"); shapeOf(s) != shapeNull {
		r.Severity = l.oneOf(s, "severity", severities...)
	}
	if k := n.get("kind"); shapeOf(k) != shapeNull {
		if r.Kind = l.text(k, "kind"); !groupName.MatchString(r.Kind) {
			l.fail(k, "a lower-case word, for example risk, handoff or operations", "bad kind %q", r.Kind)
		}
	}
	if t := n.get("topic"); shapeOf(t) != shapeNull {
		if r.Topic = l.text(t, "topic"); !topicName.MatchString(r.Topic) {
			l.fail(t, "letters, digits, dots, - and _", "bad topic name %q", r.Topic)
		}
	}
	for i, s := range l.list(n.get("sources"), "sources") {
		if !slices.Contains(sourceNames, r.Sources[i]) {
			l.fail(s, "known sources: "+strings.Join(sourceNames, ", "), "unknown source %q", r.Sources[i])
		}
	}
	l.queryOf(n, r)
	r.StaleAfter = l.duration(n, "stale_after", 7*24*time.Hour)
	r.For = l.duration(n, "for", 0)
	r.KeepFiringFor = l.duration(n, "keep_firing_for", 0)
	r.RepeatEvery = l.duration(n, "repeat_every", 0)
	l.urgencyOf(n, r)
	l.textsOf(n, r)
	r.Version = r.version()
	return r
}

// queryOf reads the query and the columns that the rule names.
func (l *loader) queryOf(n *node, r *Rule) {
	if q := n.get("query"); r.Query == "" {
		l.fail(n, "", "rule %q has no query", r.Name)
	} else {
		r.query = placeOf(q)
		if q.block && q.line < len(l.lines) {
			r.query.indent = len(l.lines[q.line]) - len(strings.TrimLeft(l.lines[q.line], " "))
		}
		if strings.HasSuffix(r.Query, ";") {
			l.fail(q, "drop the semicolon: the query is read as a subquery", "the query of %q ends with a semicolon", r.Name)
		}
	}
	identity := l.list(n.get("identity"), "identity")
	if shape := shapeOf(n.get("identity")); len(identity) == 0 && (shape == shapeNull || shape == shapeList) {
		l.fail(n, "the columns that make two rows the same alert, for example identity: [account_id, contract_id]", "rule %q has no identity", r.Name)
	}
	for _, item := range identity {
		name := l.column(r, item, "identity")
		if slices.Contains(r.Identity, name) {
			l.fail(item, "", "identity names %q twice", name)
			continue
		}
		r.Identity = append(r.Identity, name)
	}
	r.ValueAtRisk = l.column(r, n.get("value_at_risk"), "value_at_risk")
	if r.Currency = l.column(r, n.get("currency"), "currency"); r.Currency == "" && r.ValueAtRisk != "" {
		r.Currency = "reporting_currency"
	}
}

// urgencyOf reads when a fact counts as late and what becomes of an alert that nobody takes up.
func (l *loader) urgencyOf(n *node, r *Rule) {
	r.HappenedAt = l.column(r, n.get("happened_at"), "happened_at")
	r.LateAfter = l.duration(n, "late_after", 24*time.Hour)
	if late := n.get("late_after"); shapeOf(late) != shapeNull && r.HappenedAt == "" {
		l.fail(late, "name the column that says when the fact behind a row happened, for example happened_at: last_attempt_at", "late_after without happened_at")
	}
	r.EscalateAfter, r.EscalateSeverity = l.duration(n, "escalate_after", 0), "critical"
	if s := n.get("escalate_severity"); shapeOf(s) != shapeNull {
		if r.EscalateSeverity = l.oneOf(s, "escalate_severity", severities...); r.EscalateAfter == 0 {
			l.fail(s, "for example escalate_after: 48h", "escalate_severity without escalate_after")
		}
	}
}

func (l *loader) column(r *Rule, n *node, what string) string {
	name := l.text(n, what)
	if shapeOf(n) == shapeNull {
		return ""
	}
	if !columnName.MatchString(name) {
		l.fail(n, "the name of a column of the query", "%s: %q is not a column name", what, name)
		return ""
	}
	r.columns[name] = placeOf(n)
	return name
}

// textsOf reads and compiles labels and annotations.
func (l *loader) textsOf(n *node, r *Rule) {
	var at [2]map[string]*node
	r.Labels, at[0] = l.pairs(n.get("labels"), "labels")
	r.Annotations, at[1] = l.pairs(n.get("annotations"), "annotations")
	if len(r.Annotations) > 0 {
		for _, k := range n.get("annotations").keys {
			if !slices.Contains(annotations, k.text) {
				hint := "known annotations: " + strings.Join(annotations, ", ") + "; anything else is a label"
				l.fail(k, hint, "unknown annotation %q", k.text)
			}
		}
	}
	for i, m := range []map[string]string{r.Labels, r.Annotations} {
		for _, k := range sortedKeys(m) {
			if !columnName.MatchString(k) {
				l.fail(at[i][k], "letters, digits and _", "bad name %q", k)
			}
			t, err := compile([]string{"labels", "annotations"}[i], k, m[k], placeOf(at[i][k]))
			if err != nil {
				l.fail(at[i][k], "columns are written {{ .account_name }}; functions: "+strings.Join(sortedKeys(textFuncs), ", "), "bad template: %v", err)
				continue
			}
			r.texts = append(r.texts, t)
		}
	}
}

func (l *loader) unique(n *node, seen map[string]string, what, name string) {
	here := fmt.Sprintf("%s:%d", l.file, n.line)
	if first, ok := seen[name]; ok {
		l.fail(n, "names must differ across all files", "%s %q is already at %s", what, name, first)
		return
	}
	seen[name] = here
}

func (l *loader) duration(n *node, key string, otherwise time.Duration) time.Duration {
	v := n.get(key)
	if shapeOf(v) == shapeNull {
		return otherwise
	}
	d, err := ParseDuration(l.text(v, key))
	if err != nil {
		l.fail(v, "for example 90s, 15m, 24h, 7d or 2w", "%s: %v", key, err)
	}
	return d
}

func (l *reader) oneOf(n *node, key string, allowed ...string) string {
	word := l.text(n, key)
	if !slices.Contains(allowed, word) {
		l.fail(n, "one of "+strings.Join(allowed, ", "), "%s: unknown value %q", key, word)
	}
	return word
}

func placeOf(n *node) place {
	if n == nil {
		return place{}
	}
	return place{line: n.line, column: n.column, block: n.block}
}

// LoadOrBuiltin reads rule files, or the built-in rules where none are named.
func LoadOrBuiltin(paths []string) (*Set, error) {
	if len(paths) == 0 {
		return LoadFiles(Builtin(), "*.yaml")
	}
	return LoadPaths(paths...)
}
