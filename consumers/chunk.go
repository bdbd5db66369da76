package consumers

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

const (
	// eventOverhead is about what an event takes in memory beside its bytes.
	eventOverhead = 1 << 9
	// reserveStep is how much of the memory bound a piece takes at a time.
	reserveStep = 1 << 20
	// pieceRows and pieceBytes bound a piece, and so what is encoded and sent at a time.
	pieceRows  = 1 << 13
	pieceBytes = 4 << 20
)

// refusal is a record that cannot become an event.
type refusal struct {
	record broker.Record
	why    churn.Rejection
}

// piece is consecutive records of one partition, decoded. Partitions are read and decoded side by side; a chunk is made of
// their pieces.
type piece[E any] struct {
	tp       churn.TopicPartition
	block    churn.Batch[E]
	origins  []origin // of the block's events, one each
	keys     []byte   // of the records, one after the other
	headers  map[int][]broker.Header
	refused  []refusal
	digest   hash.Hash // of the events' values
	next     int64     // the offset to commit: behind everything that the piece covers
	opened   time.Time // when it got its first record, or first passed over a gap
	bytes    int       // of values, keys and headers
	weight   int64     // bytes that it takes in memory, about
	reserved int64     // of the bound on bytes in flight
	event    E         // the one being decoded
}

// origin is what a dead letter needs of a record beside its value, should the warehouse refuse its row. It holds no pointer, so
// that the garbage collector has nothing to look at.
type origin struct {
	offset int64
	millis int64
	key    int // where the key ends in keys; negative where the record has none
	length int // of the key
}

func weigh(record *broker.Record) (bytes int) {
	bytes = len(record.Key) + len(record.Value)
	for i := range record.Headers {
		bytes += len(record.Headers[i].Key) + len(record.Headers[i].Value)
	}
	return bytes
}

func (p *piece[E]) rows() int { return p.block.Len() + len(p.refused) }

func (p *piece[E]) empty() bool { return p.opened.IsZero() }

func (p *piece[E]) full(limits *Config) bool {
	return p.rows() >= min(pieceRows, limits.ChunkRows) || p.bytes >= min(pieceBytes, limits.ChunkBytes)
}

// due is how long the piece may still wait for more, at the instant now: half of what the chunk may, so that the pieces of
// several partitions meet in one.
func (p *piece[E]) due(limits *Config, now time.Time) time.Duration {
	wait := limits.ChunkWait / 2
	if p.empty() {
		return wait
	}
	return wait - now.Sub(p.opened)
}

// cover moves the piece's end over offsets that hold nothing for us, so that they are committed too.
func (p *piece[E]) cover(next int64) {
	if next > p.next {
		p.next = next
		if p.opened.IsZero() {
			p.opened = time.Now()
		}
	}
}

// keep notes where the event that was just added came from.
func (p *piece[E]) keep(record *broker.Record) {
	o := origin{offset: record.Offset, millis: record.Time.UnixMilli(), key: -1}
	if record.Key != nil {
		p.keys = append(p.keys, record.Key...)
		o.key, o.length = len(p.keys), len(record.Key)
	}
	p.origins = append(p.origins, o)
	if len(record.Headers) > 0 {
		if p.headers == nil {
			p.headers = map[int][]broker.Header{}
		}
		p.headers[len(p.origins)-1] = cloneHeaders(record.Headers)
	}
}

// record is the record of the i-th event as it was read, valid until the piece is released.
func (p *piece[E]) record(i int) *broker.Record {
	o := p.origins[i]
	r := &broker.Record{
		Position: churn.Position{Topic: p.tp.Topic, Partition: p.tp.Partition, Offset: o.offset, Time: time.UnixMilli(o.millis).UTC()},
		Value:    p.block.Payload(i), Headers: p.headers[i],
	}
	if o.key >= 0 {
		r.Key = p.keys[o.key-o.length : o.key]
	}
	return r
}

// refuse keeps a record for the dead-letter topic. It is copied: what was fetched with it need not stay in memory.
func (p *piece[E]) refuse(record *broker.Record, why churn.Rejection) {
	p.refused = append(p.refused, refusalOf(record, why))
}

func refusalOf(record *broker.Record, why churn.Rejection) refusal {
	kept := *record
	kept.Key, kept.Value, kept.Headers = bytes.Clone(record.Key), bytes.Clone(record.Value), cloneHeaders(record.Headers)
	return refusal{kept, why}
}

func cloneHeaders(headers []broker.Header) []broker.Header {
	cloned := slices.Clone(headers)
	for i := range cloned {
		cloned[i] = broker.Header{Key: strings.Clone(cloned[i].Key), Value: bytes.Clone(cloned[i].Value)}
	}
	return cloned
}

// chunk is pieces of one topic, in order within each partition: the unit of inserting and committing.
type chunk[E any] struct {
	pieces []*piece[E]
	next   map[int]int64 // the offset to commit, by partition
	opened time.Time
	rows   int
	bytes  int
}

func (c *chunk[E]) empty() bool { return len(c.pieces) == 0 }

// holds reports whether a piece may still go in.
func (c *chunk[E]) holds(p *piece[E], limits *Config) bool {
	return c.empty() || c.rows+p.rows() <= limits.ChunkRows && c.bytes+p.bytes <= limits.ChunkBytes
}

func (c *chunk[E]) full(limits *Config) bool {
	return c.rows >= limits.ChunkRows || c.bytes >= limits.ChunkBytes
}

func (c *chunk[E]) take(p *piece[E]) {
	if c.empty() {
		c.next, c.opened = map[int]int64{}, p.opened
	}
	c.pieces = append(c.pieces, p)
	c.next[p.tp.Partition] = p.next
	c.rows += p.rows()
	c.bytes += p.bytes
	if p.opened.Before(c.opened) {
		c.opened = p.opened
	}
}

// token names the events of some pieces by their place and their content. The content matters: a topic that was deleted and
// made anew has other records at the same offsets, and the warehouse would drop them as repeats.
func token[E any](pieces []*piece[E]) string {
	digest := sha256.New()
	var place []byte
	for _, p := range pieces {
		if len(p.origins) == 0 {
			continue
		}
		place = binary.AppendVarint(place[:0], int64(p.tp.Partition))
		place = binary.AppendVarint(place, p.origins[0].offset)
		place = binary.AppendVarint(place, p.origins[len(p.origins)-1].offset)
		digest.Write(p.digest.Sum(place))
	}
	return pieces[0].tp.Topic + "/" + hex.EncodeToString(digest.Sum(nil)[:16])
}
