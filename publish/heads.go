package publish

import (
	"cmp"
	"encoding/json"
	"strconv"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn/alert"
)

// Headers of a tombstone: the transition that it takes off the topic. A tombstone has no value that could say so.
const (
	headerEpisode  = "aftershock-episode"
	headerSequence = "aftershock-sequence"
)

// place orders what a topic can say of one fingerprint: its transitions, and behind each the tombstone that takes it away.
type place struct {
	episode, sequence int
	tombstone         bool
}

func placeOf(t alert.Transition) place { return place{episode: t.Episode, sequence: t.Sequence} }

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.episode, q.episode), cmp.Compare(p.sequence, q.sequence), compareBool(p.tombstone, q.tombstone))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// grave is the place of the tombstone of what stands at p.
func (p place) grave() place {
	p.tombstone = true
	return p
}

func (p place) headers() []kafka.Header {
	return []kafka.Header{
		{Key: headerEpisode, Value: []byte(strconv.Itoa(p.episode))}, {Key: headerSequence, Value: []byte(strconv.Itoa(p.sequence))},
	}
}

// placeIn reads where a record stands; false where it is neither an alert nor a tombstone of ours.
func placeIn(record *broker.Record) (p place, ours bool) {
	if len(record.Key) == 0 {
		return p, false
	}
	if len(record.Value) == 0 {
		p.tombstone = true
		for _, h := range record.Headers {
			n, err := strconv.Atoi(string(h.Value))
			switch {
			case err != nil:
			case h.Key == headerEpisode:
				p.episode = n
			case h.Key == headerSequence:
				p.sequence = n
			}
		}
		return p, p.episode >= 1 && p.sequence >= 1
	}
	var alert struct {
		Episode  int `json:"episode"`
		Sequence int `json:"sequence"`
	}
	if json.Unmarshal(record.Value, &alert) != nil {
		return p, false
	}
	return place{episode: alert.Episode, sequence: alert.Sequence}, alert.Episode >= 1 && alert.Sequence >= 1
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
	p, ours := placeIn(record)
	if ours {
		h.put(string(record.Key), p, record.Offset)
	}
	return ours
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
