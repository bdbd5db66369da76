package main

import (
	"bufio"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/segmentio/kafka-go"
)

//go:embed scenario
var scenario embed.FS

// inherited is a data folder that the commit before left, before and after this commit went on with it.
type inherited struct {
	first, again   demoCounts // what the demo says of it: the commit before, then this one
	left, taken    state
	longer, before oneMore // a deal more, under this commit, and on a copy under the commit before
}

// demoCounts is what `demo --json` and `run --until-idle` say.
type demoCounts struct {
	Records         int `json:"records"`
	Stored          int `json:"stored"`
	Duplicates      int `json:"duplicates"`
	DeadLetters     int `json:"dead_letters"`
	Deals           int `json:"deals"`
	HardDeals       int `json:"hard_deals"`
	Tickets         int `json:"tickets"`
	Attempts        int `json:"attempts"`
	Links           int `json:"links"`
	AlertsPublished int `json:"alerts_published"`
}

// state is what the servers hold that a new program must not lose.
type state struct {
	migrations []string
	offsets    map[string]int64 // by group, topic and partition
}

// oneMore is what is there after a deal more, and after the ticks until now.
type oneMore struct{ then, now demoCounts }

// inherit makes the folder and lets both commits go on with it. It takes a few minutes.
func inherit(ctx context.Context, e *evidence) (*inherited, error) {
	return once(e, "inherited", func() (*inherited, error) {
		tree, err := e.checkout(ctx, before)
		if err != nil {
			return nil, err
		}
		old, err := e.program(ctx, tree)
		if err != nil {
			return nil, err
		}
		ours, err := e.program(ctx, e.root)
		if err != nil {
			return nil, err
		}
		var in inherited
		left, copied := filepath.Join(e.dir, "left"), filepath.Join(e.dir, "copied")
		if in.first, err = e.demo(ctx, old, left, "--accounts", "60", "--days", "60", "--at", "2026-01-31T00:00:00Z"); err != nil {
			return nil, err
		}
		if err := os.CopyFS(copied, os.DirFS(left)); err != nil {
			return nil, err
		}
		// The commit before itself goes on with the copy, to compare with.
		if err := e.on(ctx, old, copied, func(s *servers) (err error) {
			if in.left, err = s.look(ctx); err == nil {
				in.before, err = s.dealMore(ctx)
			}
			return err
		}); err != nil {
			return nil, fmt.Errorf("the commit before, on its own folder: %w", err)
		}
		if in.again, err = e.demo(ctx, ours, left); err != nil {
			return nil, err
		}
		if err := e.on(ctx, ours, left, func(s *servers) (err error) {
			if in.taken, err = s.look(ctx); err == nil {
				in.longer, err = s.dealMore(ctx)
			}
			return err
		}); err != nil {
			return nil, err
		}
		in.longer.then, in.before.then = in.again, in.first
		return &in, nil
	})
}

func goesOn(ctx context.Context, e *evidence) (value, error) {
	in, err := inherit(ctx, e)
	if err != nil {
		return value{}, err
	}
	same := in.first
	same.AlertsPublished = 0
	return value{
		text:    fmt.Sprintf("%d records, %d duplicates, %d dead letters, %d alerts published", in.again.Records, in.again.Duplicates, in.again.DeadLetters, in.again.AlertsPublished),
		met:     in.again == same,
		details: []string{fmt.Sprintf("the commit before: %+v", in.first), fmt.Sprintf("then this one:     %+v", in.again)},
	}, nil
}

func migrationsStay(ctx context.Context, e *evidence) (value, error) {
	in, err := inherit(ctx, e)
	if err != nil {
		return value{}, err
	}
	v := value{text: fmt.Sprintf("%d run, as before", len(in.taken.migrations)), met: len(in.left.migrations) > 0}
	for _, m := range in.left.migrations {
		if !slices.Contains(in.taken.migrations, m) {
			v.met, v.details = false, append(v.details, "lost: "+m)
		}
	}
	ran := map[string]bool{}
	for _, m := range in.taken.migrations { // one that is new is no fault, one that ran twice is
		version, _, _ := strings.Cut(m, "\t")
		if ran[version] {
			v.met, v.details = false, append(v.details, "run again: "+m)
		}
		ran[version] = true
	}
	if len(in.taken.migrations) != len(in.left.migrations) {
		v.text = fmt.Sprintf("%d run (before: %d)", len(in.taken.migrations), len(in.left.migrations))
	}
	return v, nil
}

func offsetsStay(ctx context.Context, e *evidence) (value, error) {
	in, err := inherit(ctx, e)
	if err != nil {
		return value{}, err
	}
	v := value{met: len(in.left.offsets) > 0}
	equal := 0
	for _, partition := range slices.Sorted(maps.Keys(in.left.offsets)) {
		was, is := in.left.offsets[partition], in.taken.offsets[partition]
		if was == is {
			equal++
			continue
		}
		v.met, v.details = false, append(v.details, fmt.Sprintf("%s: %d, before: %d", partition, is, was))
	}
	v.text = fmt.Sprintf("%d of %d equal", equal, len(in.left.offsets))
	return v, nil
}

func oneDealMore(ctx context.Context, e *evidence) (value, error) {
	in, err := inherit(ctx, e)
	if err != nil {
		return value{}, err
	}
	then, now := in.longer.then, in.longer.now
	return value{
		text: fmt.Sprintf("%d record, %d duplicates, %d dead letters more; the ticks until now published %d alerts",
			now.Records-then.Records, now.Duplicates-then.Duplicates, now.DeadLetters-then.DeadLetters, now.AlertsPublished),
		met: now.Records-then.Records == 1 && now.Stored-then.Stored == 1 && now.Duplicates == then.Duplicates && now == in.before.now,
		details: []string{
			fmt.Sprintf("this commit:       %+v", now),
			fmt.Sprintf("the commit before: %+v", in.before.now),
		},
	}, nil
}

// demo runs the demo over its history and ends.
func (e *evidence) demo(ctx context.Context, program, dir string, more ...string) (counts demoCounts, err error) {
	said, err := command(ctx, e.root, e.environment(), program, append([]string{"demo", "--once", "--json", "--data-dir", dir}, more...)...)
	if err != nil {
		return counts, err
	}
	said = strings.TrimSpace(said)
	return counts, json.Unmarshal([]byte(said[strings.LastIndex(said, "\n")+1:]), &counts)
}

// servers are the embedded ones over a data folder.
type servers struct {
	e           *evidence
	program     string
	environment []string
	kafka, sql  string
}

// on starts the servers over a folder, works, and stops them.
func (e *evidence) on(ctx context.Context, program, dir string, work func(*servers) error) (err error) {
	c := prepare(ctx, e.root, e.environment(), program, "sandbox", "--data-dir", dir)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	defer func() {
		_ = c.Process.Signal(syscall.SIGTERM) // it ends by itself where this comes too late
		if ended := c.Wait(); err == nil {
			err = ended
		}
	}()
	s := &servers{e: e, program: program}
	for lines := bufio.NewScanner(out); s.sql == ""; {
		if !lines.Scan() {
			return errors.New("the embedded servers did not start")
		}
		if variable, found := strings.CutPrefix(lines.Text(), "export "); found {
			s.environment = append(s.environment, variable)
			if addr, found := strings.CutPrefix(variable, "AFTERSHOCK_KAFKA_BROKERS="); found {
				s.kafka = addr
			}
		}
		_, s.sql, _ = strings.Cut(lines.Text(), "# SQL over HTTP: ")
	}
	return work(s)
}

func (s *servers) look(ctx context.Context) (now state, err error) {
	if now.migrations, err = s.migrations(ctx); err != nil {
		return now, fmt.Errorf("reading the ledger of migrations: %w", err)
	}
	if now.offsets, err = s.offsets(ctx); err != nil {
		return now, fmt.Errorf("reading the offsets of the consumer groups: %w", err)
	}
	return now, nil
}

func (s *servers) migrations(ctx context.Context) ([]string, error) {
	query, err := scenario.Open("scenario/migrations.sql")
	if err != nil {
		return nil, err
	}
	defer query.Close()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.sql, query)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, said)
	}
	return strings.Split(strings.TrimSpace(string(said)), "\n"), err
}

// offsets asks the broker past the program, whose own ways are what is looked at.
func (s *servers) offsets(ctx context.Context) (map[string]int64, error) {
	client := &kafka.Client{Addr: kafka.TCP(s.kafka)}
	cluster, err := client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return nil, err
	}
	partitions := map[string][]int{}
	for _, t := range cluster.Topics {
		for _, p := range t.Partitions {
			partitions[t.Name] = append(partitions[t.Name], p.ID)
		}
	}
	groups, err := client.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err == nil {
		err = groups.Error
	}
	if err != nil {
		return nil, err
	}
	offsets := map[string]int64{}
	for _, g := range groups.Groups {
		committed, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: g.GroupID, Topics: partitions})
		if err == nil {
			err = committed.Error
		}
		if err != nil {
			return nil, err
		}
		for topic, list := range committed.Topics {
			for _, p := range list {
				if p.CommittedOffset >= 0 {
					offsets[fmt.Sprintf("%s %s/%d", g.GroupID, topic, p.Partition)] = p.CommittedOffset
				}
			}
		}
	}
	return offsets, nil
}

// dealMore sends a deal and lets the pipeline come up to date, with few ticks from the end of the history until now.
func (s *servers) dealMore(ctx context.Context) (more oneMore, err error) {
	dir, err := os.MkdirTemp(s.e.dir, "deal")
	if err != nil {
		return more, err
	}
	if err := os.CopyFS(dir, scenario); err != nil {
		return more, err
	}
	dir = filepath.Join(dir, "scenario")
	environment := s.e.environment(append(s.environment, "AFTERSHOCK_EVALUATE_SCHEDULE=0 6 1 * *")...)
	said, err := command(ctx, s.e.root, environment, s.program, "import", "deals", "--json", "--format", "jsonl", "--map", filepath.Join(dir, "deal.jq"), filepath.Join(dir, "deal.json"))
	if err == nil && !strings.Contains(said, `"rows_sent":1,`) {
		err = fmt.Errorf("the deal was not sent: %s", said)
	}
	if err != nil {
		return more, err
	}
	if said, err = command(ctx, s.e.root, environment, s.program, "run", "--until-idle"); err != nil {
		return more, err
	}
	return more, json.Unmarshal([]byte(said), &more.now)
}
