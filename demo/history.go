package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/simulate"
)

// history is what the data directory remembers of the simulation, so that a second run goes on with the same clients.
type history struct {
	Seed        uint64    `json:"seed"`
	Accounts    int       `json:"accounts"`
	HazardRatio float64   `json:"hazard_ratio"`
	From        time.Time `json:"from"`
	At          time.Time `json:"at"` // the end of the history
	Records     int       `json:"records"`
	Servers     string    `json:"servers,omitempty"` // where it lies, if not on embedded servers
}

func (d *Demo) manifest() string { return filepath.Join(d.DataDir, "demo.json") }

// recall goes on with the history in the data directory. Only its end may be named again, and must then be the same.
func (d *Demo) recall(endNamed bool) error {
	if d.DataDir == "" {
		return nil
	}
	text, err := os.ReadFile(d.manifest())
	if errors.Is(err, os.ErrNotExist) {
		return os.MkdirAll(d.DataDir, 0o755)
	}
	if err != nil {
		return fmt.Errorf("reading what the data directory remembers: %w", err)
	}
	var old history
	if err := json.Unmarshal(text, &old); err != nil {
		return fmt.Errorf("reading %s: %w", d.manifest(), err)
	}
	if endNamed && !old.At.Equal(d.history.At) {
		return fmt.Errorf("%s holds a history that ends at %s, not at %s: leave --at out, or choose another --data-dir", d.DataDir, old.At.Format(time.RFC3339), d.history.At.Format(time.RFC3339))
	}
	if old.Servers != d.history.Servers {
		return fmt.Errorf("%s holds a history that lies on %s, not on %s: choose another --data-dir", d.DataDir, orEmbedded(old.Servers), orEmbedded(d.history.Servers))
	}
	d.history = old
	return nil
}

// place names servers of one's own.
func (d *Demo) place() string {
	if d.Embedded {
		return ""
	}
	return fmt.Sprintf("ClickHouse at %s, database %s, and Kafka at %s", d.Config.ClickHouse.Addr, d.Config.ClickHouse.Database, strings.Join(d.Config.Kafka.Brokers, ","))
}

func orEmbedded(place string) string {
	if place == "" {
		return "embedded servers"
	}
	return place
}

func (d *Demo) remember() error {
	if d.DataDir == "" {
		return nil
	}
	text, err := json.MarshalIndent(d.history, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(d.manifest(), append(text, '\n'), 0o644)
}

func (d *Demo) simulation() simulate.Config {
	c := simulate.DefaultConfig()
	c.Seed, c.Accounts, c.HazardRatio, c.From, c.To = d.history.Seed, d.history.Accounts, d.history.HazardRatio, d.history.From, d.history.At
	return c
}

// TopicOf is where a simulated record belongs.
func TopicOf(r simulate.Record, topics broker.Topics) string {
	if r.Kind == simulate.Deal {
		return topics.Deals
	}
	return topics.Tickets
}

func (d *Demo) simulateHistory(ctx context.Context, s *simulate.Simulation) error {
	p := broker.NewProducer(d.pipeline.Kafka)
	for r := range s.Records() {
		if err := p.Add(ctx, TopicOf(r, d.pipeline.Kafka.Topics()), r.Key, r.Value, r.KnownAt); err != nil {
			return errors.Join(err, p.Close())
		}
	}
	if err := errors.Join(p.Flush(ctx), p.Close()); err != nil {
		return err
	}
	d.history.Records = p.Sent()
	return d.remember()
}
