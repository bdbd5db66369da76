package warehouse

import (
	"context"
	"fmt"
	"slices"
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
	RefusedAgain uint64     `json:"refused_again"` // there is a later dead letter of the same record
	Replays      uint64     `json:"replays"`       // how many of the letters a replay caused
	Example      string     `json:"example"`       // position of the newest open one, else of the newest
	Field        string     `json:"field,omitempty"`
	Reason       string     `json:"reason"`
}

// DeadLetterGroups lists the dead letters since an instant, those with most left to do first. An empty code or topic means all.
func (w *Warehouse) DeadLetterGroups(ctx context.Context, code churn.Code, topic string, since time.Time) ([]DeadLetterGroup, error) {
	parameters := clickhouse.Parameters{"code": string(code), "topic": topic, "since": timeParameter(since)}
	groups, err := all(ctx, w, "dead_letter_groups", deadLetterGroup, parameters)
	if err != nil {
		return nil, fmt.Errorf("listing the dead letters: %w", err)
	}
	return append([]DeadLetterGroup{}, groups...), nil // none is an empty list, not null
}

var deadLetterGroup = []column[DeadLetterGroup]{
	get("code", words, func(g *DeadLetterGroup) *churn.Code { return &g.Code }),
	get("topic", words, func(g *DeadLetterGroup) *string { return &g.Topic }),
	get("letters", uint64s, func(g *DeadLetterGroup) *uint64 { return &g.Letters }),
	get("first", instants, func(g *DeadLetterGroup) *time.Time { return &g.First }),
	get("last", instants, func(g *DeadLetterGroup) *time.Time { return &g.Last }),
	get("open", uint64s, func(g *DeadLetterGroup) *uint64 { return &g.Open }),
	get("sent", uint64s, func(g *DeadLetterGroup) *uint64 { return &g.Sent }),
	get("accepted", uint64s, func(g *DeadLetterGroup) *uint64 { return &g.Accepted }),
	get("refused_again", uint64s, func(g *DeadLetterGroup) *uint64 { return &g.RefusedAgain }),
	get("replays", uint64s, func(g *DeadLetterGroup) *uint64 { return &g.Replays }),
	get("example", texts, func(g *DeadLetterGroup) *string { return &g.Example }),
	get("field", texts, func(g *DeadLetterGroup) *string { return &g.Field }),
	get("reason", texts, func(g *DeadLetterGroup) *string { return &g.Reason }),
}

// Replays returns what earlier replays did with the records that were first refused at these positions.
func (w *Warehouse) Replays(ctx context.Context, of []string) (map[string][]churn.Replay, error) {
	found := map[string][]churn.Replay{}
	for r, err := range each(ctx, w, "replays_of", replayFound, clickhouse.Parameters{"of": stringArray(of)}) {
		if err != nil {
			return nil, fmt.Errorf("reading what earlier replays did: %w", err)
		}
		found[r.Of] = append(found[r.Of], *r)
	}
	return found, nil
}

// StoredEvents returns which of the events are in the warehouse with exactly these bytes.
func (w *Warehouse) StoredEvents(ctx context.Context, keys []churn.EventKey) (map[churn.EventKey]bool, error) {
	stored := map[churn.EventKey]bool{}
	if len(keys) == 0 {
		return stored, nil
	}
	wanted, err := along("wanted", keys, func(k churn.EventKey) []any { return []any{k.AccountID, k.ID, k.EventID, string(k.Hash[:])} },
		ext.Column("account_id", "String"), ext.Column("id", "String"), ext.Column("event_id", "String"), ext.Column("value_hash", "FixedString(32)"))
	if err != nil {
		return nil, err
	}
	for k, err := range each(ctx, w, "stored_events", eventKey, nil, wanted) {
		if err != nil {
			return nil, fmt.Errorf("reading which events are stored: %w", err)
		}
		stored[*k] = true
	}
	return stored, nil
}

var eventKey = []column[churn.EventKey]{
	get("account_id", texts, func(k *churn.EventKey) *string { return &k.AccountID }),
	get("id", texts, func(k *churn.EventKey) *string { return &k.ID }),
	get("event_id", texts, func(k *churn.EventKey) *string { return &k.EventID }),
	get("value_hash", hashes, func(k *churn.EventKey) *[32]byte { return &k.Hash }),
}

// StoreRejected inserts refused records, all or nothing.
func (w *Warehouse) StoreRejected(ctx context.Context, token string, rejected []churn.Rejected) error {
	return rejectedEvents.insertRows(ctx, w, fmt.Sprintf("inserting %d rejected records", len(rejected)), token, rejected)
}

var rejectedEvents = table[churn.Rejected]{"rejected_events", []column[churn.Rejected]{
	put("rejected_at", instants, func(r *churn.Rejected) time.Time { return r.RejectedAt }),
	put("topic", words, func(r *churn.Rejected) string { return r.Topic }),
	put("partition", int32s, func(r *churn.Rejected) int { return r.Partition }),
	put("offset", int64s, func(r *churn.Rejected) int64 { return r.Offset }),
	put("record_time", instants, func(r *churn.Rejected) time.Time { return r.Time }),
	put("code", words, func(r *churn.Rejected) churn.Code { return r.Code }),
	put("field", texts, func(r *churn.Rejected) string { return r.Field }),
	put("reason", texts, func(r *churn.Rejected) string { return r.Reason }),
	put("key", blobs, func(r *churn.Rejected) []byte { return r.Key }),
	put("value_size", uint64s, func(r *churn.Rejected) int { return r.Size }),
	put("value_hash", hashes, func(r *churn.Rejected) [32]byte { return r.Hash }),
	put("excerpt", texts, func(r *churn.Rejected) string { return r.Excerpt }),
	put("source", words, func(r *churn.Rejected) string { return r.Source }),
	put("known_at", instants, func(r *churn.Rejected) time.Time { return r.KnownAt }),
	put("replay_of", texts, func(r *churn.Rejected) string { return r.ReplayOf }),
}}

// NoteReplays records what a replay did; recording the same twice changes nothing.
func (w *Warehouse) NoteReplays(ctx context.Context, notes []churn.Replay) error {
	return replays.insertRows(ctx, w, fmt.Sprintf("recording %d replays", len(notes)), "", notes)
}

var replays = table[churn.Replay]{"replays", []column[churn.Replay]{
	both("replay_of", texts, func(r *churn.Replay) *string { return &r.Of }),
	both("topic", words, func(r *churn.Replay) *string { return &r.To.Topic }),
	both("partition", int32s, func(r *churn.Replay) *int { return &r.To.Partition }),
	both("offset", int64s, func(r *churn.Replay) *int64 { return &r.To.Offset }),
	both("account_id", texts, func(r *churn.Replay) *string { return &r.Key.AccountID }),
	both("id", texts, func(r *churn.Replay) *string { return &r.Key.ID }),
	both("event_id", texts, func(r *churn.Replay) *string { return &r.Key.EventID }),
	both("value_hash", hashes, func(r *churn.Replay) *[32]byte { return &r.Key.Hash }),
	both("replayed_at", instants, func(r *churn.Replay) *time.Time { return &r.At }),
}}

// replayFound is a replay as queries/replays_of.sql returns it.
var replayFound = append(slices.Clip(replays.columns), get("stored", bools, func(r *churn.Replay) *bool { return &r.Stored }))
