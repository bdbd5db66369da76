package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"

	"github.com/aftershock/aftershock/churn"
)

// DeadLetterGroup counts the dead letters of one code and one topic, by what became of them.
type DeadLetterGroup struct {
	Code         churn.Code `json:"code"`
	Topic        string     `json:"topic"`
	Letters      uint64     `json:"letters"` // Open + Sent + Accepted + RefusedAgain
	First        time.Time  `json:"first"`
	Last         time.Time  `json:"last"`
	Open         uint64     `json:"open"`
	Sent         uint64     `json:"sent"` // by a replay, and not consumed yet
	Accepted     uint64     `json:"accepted"`
	RefusedAgain uint64     `json:"refused_again"` // a later dead letter tells of the same record
	Replays      uint64     `json:"replays"`       // of the letters: those that a replay caused
	Example      string     `json:"example"`       // position of the newest that is open, else of the newest
	Field        string     `json:"field,omitempty"`
	Reason       string     `json:"reason"`
}

// DeadLetterGroups lists the dead letters since an instant, those with most to do first. An empty code or topic means all.
func (w *Warehouse) DeadLetterGroups(ctx context.Context, code churn.Code, topic string, since time.Time) ([]DeadLetterGroup, error) {
	groups := []DeadLetterGroup{}
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"code": string(code), "topic": topic, "since": timeParameter(since)})
	err := w.each(ctx, "dead_letter_groups", parameters, func(scan func(...any) error) error {
		var g DeadLetterGroup
		var code string
		err := scan(&code, &g.Topic, &g.Letters, &g.First, &g.Last, &g.Open, &g.Sent, &g.Accepted, &g.RefusedAgain, &g.Replays, &g.Example, &g.Field, &g.Reason)
		g.Code, g.First, g.Last = churn.Code(code), g.First.UTC(), g.Last.UTC()
		groups = append(groups, g)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the dead letters: %w", err)
	}
	return groups, nil
}

// Replays returns what earlier replays did with the records that were first refused at these positions.
func (w *Warehouse) Replays(ctx context.Context, of []string) (map[string][]churn.Replay, error) {
	replays := map[string][]churn.Replay{}
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"of": stringArray(of)})
	err := w.each(ctx, "replays_of", parameters, func(scan func(...any) error) error {
		var r churn.Replay
		var partition int32
		var hash string
		err := scan(&r.Of, &r.To.Topic, &partition, &r.To.Offset, &r.Key.AccountID, &r.Key.ID, &r.Key.EventID, &hash, &r.At, &r.Stored)
		r.To.Partition, r.At = int(partition), r.At.UTC()
		copy(r.Key.Hash[:], hash)
		replays[r.Of] = append(replays[r.Of], r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading what earlier replays did: %w", err)
	}
	return replays, nil
}

// StoredEvents returns which of the events are in the warehouse, with these very bytes.
func (w *Warehouse) StoredEvents(ctx context.Context, keys []churn.EventKey) (map[churn.EventKey]bool, error) {
	stored := map[churn.EventKey]bool{}
	if len(keys) == 0 {
		return stored, nil
	}
	wanted, err := ext.NewTable("wanted", ext.Column("account_id", "String"), ext.Column("id", "String"), ext.Column("event_id", "String"),
		ext.Column("value_hash", "FixedString(32)"))
	if err != nil {
		return nil, err
	}
	for i := range keys {
		if err := wanted.Append(keys[i].AccountID, keys[i].ID, keys[i].EventID, string(keys[i].Hash[:])); err != nil {
			return nil, err
		}
	}
	err = w.each(ctx, "stored_events", clickhouse.WithExternalTable(wanted), func(scan func(...any) error) error {
		var k churn.EventKey
		var hash string
		err := scan(&k.AccountID, &k.ID, &k.EventID, &hash)
		copy(k.Hash[:], hash)
		stored[k] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading which events are stored: %w", err)
	}
	return stored, nil
}

// NoteReplays remembers what a replay did; noting the same twice changes nothing.
func (w *Warehouse) NoteReplays(ctx context.Context, replays []churn.Replay) error {
	type R = churn.Replay
	return w.insert(ctx, fmt.Sprintf("noting %d replays", len(replays)), "insert_replays", "", len(replays), []any{
		column(replays, func(r *R) string { return r.Of }),
		column(replays, func(r *R) string { return r.To.Topic }),
		column(replays, func(r *R) int32 { return int32(r.To.Partition) }),
		column(replays, func(r *R) int64 { return r.To.Offset }),
		column(replays, func(r *R) string { return r.Key.AccountID }),
		column(replays, func(r *R) string { return r.Key.ID }),
		column(replays, func(r *R) string { return r.Key.EventID }),
		column(replays, func(r *R) string { return string(r.Key.Hash[:]) }),
		column(replays, func(r *R) time.Time { return r.At }),
	})
}
