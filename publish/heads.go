package publish

import (
	"cmp"
	"encoding/json"

	"github.com/aftershock/aftershock/broker"
)

// place orders the transitions of one fingerprint.
type place struct{ episode, sequence int }

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.episode, q.episode), cmp.Compare(p.sequence, q.sequence))
}

// head is what one topic says of one fingerprint.
type head struct {
	highest place // the highest place seen,
	offset  int64 // and where
	last    place // the last one seen: what a compacted topic keeps
}

// stale reports whether compaction would keep something else than the present.
func (h head) stale() bool { return h.last.compare(h.highest) < 0 }

// heads is what one topic says, as far as it was read.
type heads struct {
	next int64 // the offset to read on from
	of   map[string]head
}

// see takes one record of the topic into account. It is false for a record that is not ours.
func (h *heads) see(record *broker.Record) bool {
	fingerprint := string(record.Key)
	if len(record.Value) == 0 {
		return true // a tombstone; what was published before it is still below the highest place
	}
	var alert struct {
		Episode  int `json:"episode"`
		Sequence int `json:"sequence"`
	}
	if fingerprint == "" || json.Unmarshal(record.Value, &alert) != nil || alert.Episode < 1 || alert.Sequence < 1 {
		return false
	}
	h.put(fingerprint, place{alert.Episode, alert.Sequence}, record.Offset)
	return true
}

func (h *heads) put(fingerprint string, p place, offset int64) {
	known, found := h.of[fingerprint]
	// Of repeats the latest counts: compaction removes the earlier ones first.
	if !found || p.compare(known.highest) >= 0 {
		known.highest, known.offset = p, offset
	}
	known.last = p
	h.of[fingerprint] = known
}

// above reports whether the topic has nothing as late of the fingerprint.
func (h *heads) above(fingerprint string, p place) bool {
	known, found := h.of[fingerprint]
	return !found || p.compare(known.highest) > 0
}
