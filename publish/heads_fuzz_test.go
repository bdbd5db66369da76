package publish

import (
	"testing"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn/alert"
)

// FuzzHeads: whatever stands on an alert topic, what it says of a fingerprint never goes back, and is stale exactly where
// something lower came last.
func FuzzHeads(f *testing.F) {
	f.Add([]byte("f"), []byte(`{"episode": 1, "sequence": 2}`), "1", "2", int64(3))
	f.Add([]byte("f"), []byte(nil), "1", "2", int64(3))
	f.Add([]byte(nil), []byte(`{"episode": 1e3, "sequence": 99999999999999999999}`), "-1", "+2", int64(-3))
	f.Add([]byte("f"), []byte(`{"episode": 2, "episode": 1, "Sequence": 5}`), "", "\xff", int64(0))
	f.Fuzz(func(t *testing.T, key, value []byte, episode, sequence string, offset int64) {
		h := &heads{of: map[string]head{}}
		middle := alert.Order{Episode: 2, Sequence: 3}
		h.put(string(key), middle, 10)
		record := &broker.Record{Key: key, Value: value,
			Headers: []broker.Header{{Key: headerEpisode, Value: []byte(episode)}, {Key: headerSequence, Value: []byte(sequence)}}}
		record.Offset = offset
		ours := h.see(record)
		at := h.of[string(key)]
		if at.highest.Compare(middle) < 0 || at.last.Compare(at.highest) > 0 {
			t.Fatalf("it went back: %+v", at)
		}
		if !ours {
			if at.last != middle || at.offset != 10 {
				t.Fatalf("a record that is not ours counts: %+v", at)
			}
			return
		}
		p, _ := orderOf(record)
		if p.Episode < 1 || p.Sequence < 1 || p.Tombstone != (len(value) == 0) || len(key) == 0 || at.last != p {
			t.Fatalf("%+v is read as %+v", record, p)
		}
		if at.stale() != (p.Compare(middle) < 0) || h.above(string(key), p) {
			t.Fatalf("%+v over %+v: %+v", p, middle, at)
		}
	})
}
