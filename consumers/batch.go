package consumers

import (
	"bytes"
	"context"
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

// piece is consecutive records of one partition, decoded. Partitions are read and decoded side by side; a batch is made of
// their pieces.
type piece[E any] struct {
	lane     *laneOf[E]
	tp       churn.TopicPartition
	events   churn.Batch[E]
	origins  []origin // of the events, one each
	keys     []byte   // of the records, one after the other
	headers  map[int][]broker.Header
	refused  []refusal
	hash     hash.Hash // of the events' values
	next     int64     // the offset to commit: behind everything that the piece covers
	opened   time.Time // when it got its first record, or first passed over a gap
	bytes    int       // of values, keys and headers
	weight   int64     // bytes that it takes in memory, about
	reserved int64     // of the bound on bytes in flight
	event    E         // the one being decoded
	key      churn.EventKey
}

// origin is what a dead letter needs of a record beside its value, should the warehouse refuse its row. It holds no pointer, so
// that the garbage collector has nothing to look at.
type origin struct {
	offset int64
	millis int64
	key    int // where the key ends in keys; negative where the record has none
	length int // of the key
}

// piece opens an empty piece.
func (l *laneOf[E]) piece(tp churn.TopicPartition) *piece[E] {
	p, _ := l.spare.Get().(*piece[E])
	if p == nil {
		p = &piece[E]{lane: l, events: l.table.open(l.consumers.Store), hash: sha256.New()}
	}
	p.tp = tp
	return p
}

// release gives the piece's memory back.
func (l *laneOf[E]) release(p *piece[E]) {
	if p.reserved > 0 {
		l.consumers.inFlight.Release(p.reserved)
		l.consumers.Metrics.inFlight.Add(-float64(p.reserved))
	}
	p.events.Reset()
	p.hash.Reset()
	*p = piece[E]{lane: l, events: p.events, hash: p.hash, origins: p.origins[:0], keys: p.keys[:0]}
	l.spare.Put(p)
}

func (l *laneOf[E]) releaseAll(pieces []*piece[E]) {
	for _, p := range pieces {
		l.release(p)
	}
}

// add takes a record in: room for it, what it says, and where it came from. It is false, and nothing is taken in, where memory is
// short.
func (p *piece[E]) add(record *broker.Record) bool {
	bytes := weigh(record)
	if !p.reserve(int64(bytes) + eventOverhead) {
		return false
	}
	p.bytes += bytes
	p.decode(record)
	return true
}

func weigh(record *broker.Record) (bytes int) {
	bytes = len(record.Key) + len(record.Value)
	for i := range record.Headers {
		bytes += len(record.Headers[i].Key) + len(record.Headers[i].Value)
	}
	return bytes
}

// reserve takes room for so many bytes from the bound on bytes in flight, where there is room.
func (p *piece[E]) reserve(weight int64) bool {
	for p.reserved < p.weight+weight {
		step := p.step(weight)
		if step == 0 && p.rows() == 0 {
			break // one record heavier than the bound takes all of it
		}
		if step == 0 || !p.lane.consumers.inFlight.TryAcquire(step) {
			return false
		}
		p.took(step)
	}
	p.weight += weight
	return true
}

// awaitRoom waits until there is room for a record.
func (p *piece[E]) awaitRoom(live context.Context, record *broker.Record) error {
	step := p.step(int64(weigh(record)) + eventOverhead)
	if err := p.lane.consumers.inFlight.Acquire(live, step); err != nil {
		return err
	}
	p.took(step)
	return nil
}

// step is how much to take of the bound for so many bytes more: at most what the piece does not have yet.
func (p *piece[E]) step(weight int64) int64 {
	return min(max(p.weight+weight-p.reserved, reserveStep), p.lane.consumers.Config.MaxBytesInFlight-p.reserved)
}

func (p *piece[E]) took(step int64) {
	p.reserved += step
	p.lane.consumers.Metrics.inFlight.Add(float64(step))
}

// decode takes in what a record says, as an event or as a refusal.
func (p *piece[E]) decode(record *broker.Record) {
	if p.opened.IsZero() {
		p.opened = time.Now()
	}
	p.next = record.Offset + 1
	var none E
	p.event = none
	if why := p.lane.decode(record, &p.event); why != nil {
		p.refused = append(p.refused, refusalOf(record, *why))
		return
	}
	p.lane.date(p.lane.stamp(&p.event))
	p.events.Add(&p.event)
	p.key = p.lane.key(&p.event)
	p.hash.Write(p.key.Hash[:])
	p.keep(record)
}

// aheadAtMost is how far ahead of our clock a header may set when a fact became known. What lies further ahead would hide the fact until
// then; it is known when it is stored, as one without the header, and what was claimed is kept.
const aheadAtMost = 5 * time.Minute

func (l *laneOf[E]) date(stamp *churn.Stamp) {
	if stamp.KnownAt.IsZero() || !stamp.KnownAt.After(l.consumers.Wall().Add(aheadAtMost)) {
		return
	}
	stamp.Claimed, stamp.KnownAt = stamp.KnownAt, time.Time{}
	l.consumers.Metrics.ahead.WithLabelValues(l.name).Inc()
}

func (p *piece[E]) rows() int { return p.events.Len() + len(p.refused) }

func (p *piece[E]) empty() bool { return p.opened.IsZero() }

func (p *piece[E]) full() bool {
	limits := &p.lane.consumers.Config
	return p.rows() >= min(pieceRows, limits.ChunkRows) || p.bytes >= min(pieceBytes, limits.ChunkBytes)
}

// due is how long the piece may still wait for more, at the instant now: half of what the batch may, so that the pieces of
// several partitions meet in one.
func (p *piece[E]) due(now time.Time) time.Duration {
	wait := p.lane.consumers.Config.ChunkWait / 2
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
		Value:    p.events.Payload(i), Headers: p.headers[i],
	}
	if o.key >= 0 {
		r.Key = p.keys[o.key-o.length : o.key]
	}
	return r
}

// refusalOf keeps a record for the dead-letter topic. It is copied: what was fetched with it need not stay in memory.
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

// batch is pieces of one topic, in order within each partition: the unit of storing and committing. Config calls it a chunk.
type batch[E any] struct {
	pieces []*piece[E]
	next   map[int]int64 // the offset to commit, by partition
	opened time.Time
	rows   int
	bytes  int
}

func (b *batch[E]) empty() bool { return len(b.pieces) == 0 }

// holds reports whether a piece may still go in.
func (b *batch[E]) holds(p *piece[E], limits *Config) bool {
	return b.empty() || b.rows+p.rows() <= limits.ChunkRows && b.bytes+p.bytes <= limits.ChunkBytes
}

func (b *batch[E]) full(limits *Config) bool {
	return b.rows >= limits.ChunkRows || b.bytes >= limits.ChunkBytes
}

func (b *batch[E]) take(p *piece[E]) {
	if b.empty() {
		b.next, b.opened = map[int]int64{}, p.opened
	}
	b.pieces = append(b.pieces, p)
	b.next[p.tp.Partition] = p.next
	b.rows += p.rows()
	b.bytes += p.bytes
	if p.opened.Before(b.opened) {
		b.opened = p.opened
	}
}

// gather joins pieces to batches, and hands a batch over when it is full or due or memory is short.
func (l *laneOf[E]) gather(live context.Context, pieces <-chan *piece[E], batches chan<- *batch[E]) error {
	limits := &l.consumers.Config
	b := &batch[E]{}
	defer func() { l.releaseAll(b.pieces) }()
	var due <-chan time.Time
	handOver := func() error {
		if b.empty() {
			return nil
		}
		select {
		case batches <- b:
			b, due = &batch[E]{}, nil
			return nil
		case <-live.Done():
			return live.Err()
		}
	}
	for {
		var err error
		select {
		case <-live.Done():
			err = live.Err()
		case <-due:
			err = handOver()
		case <-l.short:
			err = handOver()
		case p := <-pieces:
			if !b.holds(p, limits) {
				if err := handOver(); err != nil {
					l.release(p)
					return err
				}
			}
			b.take(p)
			if due == nil {
				due = time.After(limits.ChunkWait - time.Since(b.opened))
			}
			if b.full(limits) {
				err = handOver()
			}
		}
		if err != nil {
			return err
		}
	}
}

// token names the events of some pieces by their place and their content. The content matters: a topic that was deleted and
// recreated has other records at the same offsets, and the warehouse would drop them as repeats.
func token[E any](pieces []*piece[E]) string {
	hash := sha256.New()
	var place []byte
	for _, p := range pieces {
		if len(p.origins) == 0 {
			continue
		}
		place = binary.AppendVarint(place[:0], int64(p.tp.Partition))
		place = binary.AppendVarint(place, p.origins[0].offset)
		place = binary.AppendVarint(place, p.origins[len(p.origins)-1].offset)
		hash.Write(p.hash.Sum(place))
	}
	return pieces[0].tp.Topic + "/" + hex.EncodeToString(hash.Sum(nil)[:16])
}
