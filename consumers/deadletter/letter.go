package deadletter

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/text"
)

// Headers of a dead letter, beside those of the record itself.
const (
	HeaderCode       = "aftershock-code"
	HeaderField      = "aftershock-field"
	HeaderReason     = "aftershock-reason"
	HeaderTopic      = "aftershock-topic"
	HeaderPartition  = "aftershock-partition"
	HeaderOffset     = "aftershock-offset"
	HeaderTimestamp  = "aftershock-timestamp"
	HeaderRejectedAt = "aftershock-rejected-at"
)

// HeaderReplayOf names, as topic/partition/offset, the record that was first refused. A replay sets it, and a dead letter of the
// replay keeps it: however often a record is replayed and refused, it stays one record.
const HeaderReplayOf = "aftershock-replay-of"

var headers = []string{HeaderCode, HeaderField, HeaderReason, HeaderTopic, HeaderPartition, HeaderOffset, HeaderTimestamp, HeaderRejectedAt}

const (
	instantFormat = "2006-01-02T15:04:05.000Z07:00"
	maxReason     = 1 << 10 // bytes of a reason or a field in a header
	maxExcerpt    = 256     // bytes of the value in rejected_events
)

// Letter is a refused record as the dead-letter topic holds it, whole.
type Letter struct {
	churn.Position  // of the record, where it was refused
	churn.Rejection // why it was refused then
	Key, Value      []byte
	Headers         []broker.Header // the record's own
	RejectedAt      time.Time
	ReplayOf        string // Path of the record that was first refused, where a replay sent this one; else empty

	at place
}

// place is where a dead letter itself stands.
type place struct {
	partition int
	offset    int64
}

// First is the Path of the record that was first refused. Dead letters with the same First tell of one record.
func (d *Letter) First() string { return cmp.Or(d.ReplayOf, d.Path()) }

// later orders dead letters of one record: the last tells how it stands.
func (d *Letter) later() [3]int64 {
	return [3]int64{d.RejectedAt.UnixMilli(), int64(d.Partition), d.Offset}
}

// Message is the record as it goes to the dead-letter topic: key, value and headers as they were, and our headers.
func Message(record *broker.Record, why churn.Rejection, at time.Time) kafka.Message {
	m := kafka.Message{Key: record.Key, Value: record.Value}
	for _, h := range record.Headers {
		// A dead letter that was replayed and refused again says so once.
		if !slices.Contains(headers, h.Key) {
			m.Headers = append(m.Headers, kafka.Header{Key: h.Key, Value: h.Value})
		}
	}
	add := func(key, value string) {
		m.Headers = append(m.Headers, kafka.Header{Key: key, Value: []byte(text.CutBytes(value, maxReason))})
	}
	add(HeaderCode, string(why.Code))
	add(HeaderField, why.Field)
	add(HeaderReason, why.Reason)
	add(HeaderTopic, record.Topic)
	add(HeaderPartition, strconv.Itoa(record.Partition))
	add(HeaderOffset, strconv.FormatInt(record.Offset, 10))
	add(HeaderTimestamp, record.Time.UTC().Format(instantFormat))
	add(HeaderRejectedAt, at.UTC().Format(instantFormat))
	return m
}

// Rejected is a refused record of a source (deals, tickets or feedback) as rejected_events keeps it.
func Rejected(record *broker.Record, why churn.Rejection, source string, at time.Time) churn.Rejected {
	why.Field, why.Reason = text.CutBytes(why.Field, maxReason), text.CutBytes(why.Reason, maxReason)
	_, knownAt, _ := broker.ReadHeaders(record.Headers)
	if knownAt.IsZero() {
		knownAt = at
	}
	value := record.Value
	return churn.Rejected{
		Position:   record.Position,
		Rejection:  why,
		Source:     source,
		ReplayOf:   replayOf(record.Headers),
		KnownAt:    knownAt,
		RejectedAt: at,
		Key:        record.Key,
		Size:       len(value),
		Hash:       sha256.Sum256(value),
		Excerpt:    text.CutBytes(string(value[:min(len(value), maxExcerpt)]), maxExcerpt),
	}
}

// replayOf is what the header says; one that is not a position is somebody else's.
func replayOf(headers []broker.Header) (path string) {
	for _, h := range headers {
		if h.Key == HeaderReplayOf {
			path = string(h.Value)
		}
	}
	if _, err := churn.ParsePosition(path); err != nil {
		return ""
	}
	return path
}
