package broker

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/churn"
)

// Why a reader of our own: kafka-go's Conn hands out the markers of transactions and the records of aborted ones as if they were
// records, hides the offset after a compacted batch, and allocates key, value and headers one by one.

const (
	fetchKey     = 1
	fetchVersion = 11
	// responseSlack is how long past the wait a broker may take before the connection is given up.
	responseSlack = 15 * time.Second
	// responseLimit bounds one answer: a broker exceeds the bytes asked for only for a single batch larger than them.
	responseLimit = 1 << 30
)

// Header is one header of a record; Value is nil where the header has none.
type Header struct {
	Key   string
	Value []byte
}

// Record is one Kafka record. Key and Value are nil where the record has none; they alias the fetched bytes, which nothing
// reuses, so they may be kept.
type Record struct {
	churn.Position
	Key     []byte
	Value   []byte
	Headers []Header
	// Fault says why there is nothing of the record but where it stands; then it may stand for the others of its batch too. Else nil.
	Fault *churn.Rejection
}

// FetchLimits bound what one fetch asks for.
type FetchLimits struct {
	MinBytes int           // the broker answers when it has so many bytes ...
	MaxWait  time.Duration // ... or after this long
	MaxBytes int           // at most so many bytes, but always at least one batch

	MaxRecord int // bytes of a record once it is inflated; of a larger one only its place is told. Defaults to 64 MiB
}

// PartitionReader reads one partition: committed records only, from explicit offsets. It dials when first used and again
// after an error. It is for one goroutine.
type PartitionReader struct {
	connection  *Connection
	partition   churn.TopicPartition
	limits      FetchLimits
	conn        net.Conn
	in          *bufio.Reader
	correlation int32
	poison      poison
}

// poison is a batch that could not be read.
type poison struct {
	base  int64
	times int
}

// poisonTries is how often a batch is fetched before it counts as one that nobody can read: what was damaged on its way is not.
const poisonTries = 3

// met counts a failure to read the batch at an offset, and reports whether that is enough.
func (p *poison) met(base int64) bool {
	if p == nil {
		return false
	}
	if p.base != base {
		*p = poison{base: base}
	}
	p.times++
	return p.times >= poisonTries
}

// Reader returns a reader of the partition; nothing is dialled yet.
func (c *Connection) Reader(tp churn.TopicPartition, limits FetchLimits) *PartitionReader {
	return &PartitionReader{connection: c, partition: tp, limits: limits}
}

// Fetched is one answer of the broker.
type Fetched struct {
	Start int64 // the first offset that the partition still holds
	End   int64 // the last stable offset: every record below it is decided
	// Next is where to go on; it moves while Records are read, and passes over gaps, markers and aborted records.
	Next int64

	partition churn.TopicPartition
	maxRecord int
	poison    *poison // of the reader
	aborted   []abortedTransaction
	batches   []byte
}

type abortedTransaction struct{ producer, first int64 }

// Fetch asks for records from the offset on, waiting at most wait (bounded by the limits) for them to appear. An offset that the
// partition does not hold gives kafka.OffsetOutOfRange. After any error the next Fetch dials again.
func (r *PartitionReader) Fetch(ctx context.Context, offset int64, wait time.Duration) (*Fetched, error) {
	if err := r.dial(ctx); err != nil {
		return nil, err
	}
	// Ending the context must end the waiting, also on a broker that hangs. The connection may be given up meanwhile.
	conn := r.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	fetched, err := r.exchange(offset, min(wait, r.limits.MaxWait))
	if err == nil {
		return fetched, nil
	}
	var refusal kafka.Error
	if !errors.As(err, &refusal) || refusal == kafka.NotLeaderForPartition || refusal == kafka.FencedLeaderEpoch {
		r.Close()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("fetching %s from offset %d: %w", r.partition, offset, err)
}

// Read yields the records of a partition within a range of offsets, and at last an error, if there is one. A record is reused for
// the next one; what it points to is not.
func (c *Connection) Read(ctx context.Context, tp churn.TopicPartition, within Range, limits FetchLimits) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		reader := c.Reader(tp, limits)
		defer reader.Close()
		for next := within.Start; next < within.End; {
			fetched, err := reader.Fetch(ctx, next, limits.MaxWait)
			if err != nil {
				yield(nil, err)
				return
			}
			for record, err := range fetched.Records() {
				if err == nil && record.Offset >= within.End {
					return
				}
				if err == nil && record.Fault != nil {
					record, err = nil, fmt.Errorf("reading %s at offset %d: %w", tp, record.Offset, record.Fault)
				}
				if !yield(record, err) || err != nil {
					return
				}
			}
			next = fetched.Next
		}
	}
}

// Close drops the connection.
func (r *PartitionReader) Close() {
	if r.conn != nil {
		_ = r.conn.Close()
		r.conn = nil
	}
}

func (r *PartitionReader) dial(ctx context.Context) error {
	if r.conn != nil {
		return nil
	}
	address, err := r.connection.leader(ctx, r.partition.Topic, r.partition.Partition)
	if err != nil {
		return err
	}
	if r.conn, err = r.connection.raw(ctx, address); err != nil {
		r.conn = nil
		return fmt.Errorf("reaching the leader of %s: %w", r.partition, err)
	}
	r.in = bufio.NewReaderSize(r.conn, 64<<10)
	return nil
}

func (r *PartitionReader) exchange(offset int64, wait time.Duration) (*Fetched, error) {
	if err := r.conn.SetDeadline(time.Now().Add(wait + responseSlack)); err != nil {
		return nil, err
	}
	r.correlation++
	if _, err := r.conn.Write(r.request(offset, wait)); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(r.in, size[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(size[:])
	if length < 4 || length > responseLimit {
		return nil, fmt.Errorf("the broker announces an answer of %d bytes", length)
	}
	answer := make([]byte, length)
	if _, err := io.ReadFull(r.in, answer); err != nil {
		return nil, err
	}
	return r.parse(answer, offset)
}

func (r *PartitionReader) request(offset int64, wait time.Duration) []byte {
	id, topic := r.connection.config.ClientID, r.partition.Topic
	b := make([]byte, 4, 128+len(id)+len(topic))
	be := binary.BigEndian
	b = be.AppendUint16(b, fetchKey)
	b = be.AppendUint16(b, fetchVersion)
	b = be.AppendUint32(b, uint32(r.correlation))
	b = appendString(b, id)
	b = be.AppendUint32(b, ^uint32(0)) // replica: none, we consume
	b = be.AppendUint32(b, uint32(wait.Milliseconds()))
	b = be.AppendUint32(b, uint32(r.limits.MinBytes))
	b = be.AppendUint32(b, uint32(r.limits.MaxBytes))
	b = append(b, 1)                   // read committed
	b = be.AppendUint32(b, 0)          // no fetch session,
	b = be.AppendUint32(b, ^uint32(0)) // nor the wish for one
	b = be.AppendUint32(b, 1)
	b = appendString(b, topic)
	b = be.AppendUint32(b, 1)
	b = be.AppendUint32(b, uint32(r.partition.Partition))
	b = be.AppendUint32(b, ^uint32(0)) // leader epoch: not checked
	b = be.AppendUint64(b, uint64(offset))
	b = be.AppendUint64(b, ^uint64(0)) // log start: for followers
	b = be.AppendUint32(b, uint32(r.limits.MaxBytes))
	b = be.AppendUint32(b, 0) // nothing forgotten
	b = appendString(b, "")   // no rack
	be.PutUint32(b, uint32(len(b)-4))
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func (r *PartitionReader) parse(answer []byte, offset int64) (*Fetched, error) {
	c := cursor{left: answer}
	if got := c.int32(); got != r.correlation {
		return nil, fmt.Errorf("the broker answers request %d, not %d", got, r.correlation)
	}
	c.int32() // throttled: the broker has already waited
	code := c.int16()
	c.int32() // session
	f := &Fetched{partition: r.partition, maxRecord: r.limits.MaxRecord, poison: &r.poison, Next: offset}
	if topics := c.int32(); code == 0 && topics == 1 {
		c.take(int(c.int16()))
		c.int32() // partitions: the one asked for
		c.int32()
		code = c.int16()
		c.int64() // high watermark: beyond it nothing is replicated, beyond the stable offset nothing decided
		f.End = c.int64()
		f.Start = c.int64()
		for range max(c.int32(), 0) {
			if c.bad {
				break
			}
			f.aborted = append(f.aborted, abortedTransaction{c.int64(), c.int64()})
		}
		c.int32() // preferred replica
		f.batches = c.take(max(int(c.int32()), 0))
	}
	if code != 0 {
		return nil, kafka.Error(code)
	}
	if c.bad {
		return nil, errors.New("the broker's answer ends early")
	}
	return f, nil
}
