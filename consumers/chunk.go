package consumers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

const (
	// eventOverhead is about what an event takes in memory beside its bytes.
	eventOverhead = 1 << 10
	// reserveStep is how much of the memory bound a chunk takes at a time.
	reserveStep = 1 << 20
)

// origin is what a dead letter needs of a record beside its value, should the warehouse refuse its row.
type origin struct {
	key     []byte
	headers []broker.Header
	dated   bool // a header says when it became known: the stamp leaves it alone
}

// refusal is a record that cannot become an event.
type refusal struct {
	record broker.Record
	why    churn.Rejection
}

// chunk is consecutive records of one partition: the unit of inserting and committing.
type chunk[E any] struct {
	events   []E
	origins  []origin // of the events, one each
	refused  []refusal
	next     int64     // the offset to commit: behind everything that the chunk covers
	opened   time.Time // when it got its first record, or first passed over a gap
	bytes    int       // of values, keys and headers
	weight   int64     // bytes that it takes in memory, about
	reserved int64     // of the bound on bytes in flight
}

func weigh(record *broker.Record) (bytes int) {
	bytes = len(record.Key) + len(record.Value)
	for i := range record.Headers {
		bytes += len(record.Headers[i].Key) + len(record.Headers[i].Value)
	}
	return bytes
}

func (c *chunk[E]) rows() int { return len(c.events) + len(c.refused) }

func (c *chunk[E]) empty() bool { return c.opened.IsZero() }

func (c *chunk[E]) full(limits *Config) bool {
	return c.rows() >= limits.ChunkRows || c.bytes >= limits.ChunkBytes
}

// due is how long the chunk may still wait for more, at the instant now.
func (c *chunk[E]) due(limits *Config, now time.Time) time.Duration {
	if c.empty() {
		return limits.ChunkWait
	}
	return limits.ChunkWait - now.Sub(c.opened)
}

// token names rows of one partition by their place and their content. The content matters: a topic that was deleted and made
// anew has other records at the same offsets, and the warehouse would drop them as repeats.
func token[E any](tp churn.TopicPartition, events []E, stamp func(*E) *churn.Stamp) string {
	digest := sha256.New()
	for i := range events {
		digest.Write(stamp(&events[i]).Hash[:])
	}
	first, last := stamp(&events[0]).Offset, stamp(&events[len(events)-1]).Offset
	return fmt.Sprintf("%s/%d/%d-%d/%s", tp.Topic, tp.Partition, first, last, hex.EncodeToString(digest.Sum(nil)[:8]))
}
