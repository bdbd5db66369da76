package publish

import (
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

func tombstoneHeaders(of alert.Order) []kafka.Header {
	return []kafka.Header{
		{Key: headerEpisode, Value: []byte(strconv.Itoa(of.Episode))}, {Key: headerSequence, Value: []byte(strconv.Itoa(of.Sequence))},
	}
}

// orderOf reads where a record stands; false where it is neither an alert nor a tombstone of ours. A topic is read back whole, so
// of an alert only its two numbers are decoded.
func orderOf(record *broker.Record) (o alert.Order, ours bool) {
	if len(record.Key) == 0 {
		return o, false
	}
	if len(record.Value) == 0 {
		o.Tombstone = true
		for _, h := range record.Headers {
			n, err := strconv.Atoi(string(h.Value))
			switch {
			case err != nil:
			case h.Key == headerEpisode:
				o.Episode = n
			case h.Key == headerSequence:
				o.Sequence = n
			}
		}
		return o, o.Valid()
	}
	var numbers struct {
		Episode  int `json:"episode"`
		Sequence int `json:"sequence"`
	}
	if json.Unmarshal(record.Value, &numbers) != nil {
		return o, false
	}
	o.Episode, o.Sequence = numbers.Episode, numbers.Sequence
	return o, o.Valid()
}

// head is what one topic says of one fingerprint.
type head struct {
	highest alert.Order // the highest seen,
	offset  int64       // and where
	last    alert.Order // the last one seen: what a compacted topic keeps
}

// stale reports whether compaction would keep something else than the present.
func (h head) stale() bool { return h.last.Compare(h.highest) < 0 }

// heads is what one topic says, as far as it was read.
type heads struct {
	next int64 // the offset to read on from
	of   map[string]head
}

// see takes one record of the topic into account. It is false for a record that is not ours.
func (h *heads) see(record *broker.Record) bool {
	o, ours := orderOf(record)
	if ours {
		h.put(string(record.Key), o, record.Offset)
	}
	return ours
}

func (h *heads) put(fingerprint string, o alert.Order, offset int64) {
	known, found := h.of[fingerprint]
	// Of repeats the latest counts: compaction removes the earlier ones first.
	if !found || o.Compare(known.highest) >= 0 {
		known.highest, known.offset = o, offset
	}
	known.last = o
	h.of[fingerprint] = known
}

// above reports whether the topic has nothing as late of the fingerprint.
func (h *heads) above(fingerprint string, o alert.Order) bool {
	known, found := h.of[fingerprint]
	return !found || o.Compare(known.highest) > 0
}
