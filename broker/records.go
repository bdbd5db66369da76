package broker

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn"
)

const (
	batchHeader            = 61 // bytes of a batch before its records
	attributeAppendTime    = 1 << 3
	attributeTransactional = 1 << 4
	attributeControl       = 1 << 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch is the header of a record batch of format 2.
type batch struct {
	base, last   int64
	attributes   int16
	first, stamp int64 // milliseconds: of the first record, and the largest
	producer     int64
	count        int32
	records      []byte
}

// Records yields every committed record at or after the offset that was asked for, in order, and at last an error, if there is one.
// A record is reused for the next one; what it points to is not. Next moves behind a record when the next one is asked for: a loop
// that breaks off leaves it at the record that it broke off at.
func (f *Fetched) Records() iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if err := f.walk(yield); err != nil {
			yield(nil, err)
		}
	}
}

func (f *Fetched) walk(yield func(*Record, error) bool) error {
	slices.SortFunc(f.aborted, func(a, b abortedTransaction) int { return cmp.Compare(a.first, b.first) })
	abortedNow := map[int64]bool{}
	record := Record{Position: churn.Position{Topic: f.partition.Topic, Partition: f.partition.Partition}}
	for len(f.batches) > 0 {
		b, rest, complete, err := readBatch(f.batches)
		if err != nil {
			return fmt.Errorf("reading a batch of %s at offset %d: %w", f.partition, f.Next, err)
		}
		if !complete { // cut off by the limit of the fetch: the next one begins with it
			f.batches = nil
			break
		}
		for len(f.aborted) > 0 && f.aborted[0].first <= b.last {
			abortedNow[f.aborted[0].producer] = true
			f.aborted = f.aborted[1:]
		}
		switch {
		case b.attributes&attributeControl != 0:
			delete(abortedNow, b.producer) // a marker ends the producer's transaction, whichever way
		case b.attributes&attributeTransactional != 0 && abortedNow[b.producer]:
		default:
			more, err := b.walk(&record, f, yield)
			if err != nil && f.poison.met(b.base) {
				more, err = b.poisonous(&record, f, err, yield), nil
			}
			if err != nil || !more {
				return err
			}
		}
		f.Next = max(f.Next, b.last+1)
		f.batches = rest
	}
	return nil
}

func readBatch(data []byte) (b batch, rest []byte, complete bool, err error) {
	if len(data) < 17 {
		return b, nil, false, nil
	}
	size := 12 + int64(binary.BigEndian.Uint32(data[8:]))
	if magic := data[16]; magic != 2 {
		return b, nil, false, fmt.Errorf("record format %d is not read here; Kafka writes format 2 since 0.11", magic)
	}
	if size < batchHeader {
		return b, nil, false, errors.New("the batch is shorter than its header")
	}
	if size > int64(len(data)) {
		return b, nil, false, nil
	}
	c := cursor{left: data[:size:size]}
	b.base = c.int64()
	c.int32() // length
	c.int32() // leader epoch
	c.int8()  // format
	if sum := uint32(c.int32()); sum != crc32.Checksum(c.left, castagnoli) {
		return b, nil, false, errors.New("the checksum does not match: the batch was damaged on its way or on disk")
	}
	b.attributes = c.int16()
	b.last = b.base + int64(c.int32())
	b.first, b.stamp = c.int64(), c.int64()
	b.producer = c.int64()
	c.int16() // producer epoch
	c.int32() // sequence
	b.count = c.int32()
	b.records = c.left
	return b, data[size:], true, nil
}

// walk yields the batch's records. more is false where the loop broke off.
func (b *batch) walk(record *Record, f *Fetched, yield func(*Record, error) bool) (more bool, err error) {
	in, err := b.open(f.maxRecord)
	if err != nil {
		return false, fmt.Errorf("inflating a batch of %s at offset %d: %w", f.partition, b.base, err)
	}
	defer in.close()
	for range b.count {
		data, size, err := in.next()
		if err != nil {
			return false, fmt.Errorf("reading a batch of %s at offset %d: %w", f.partition, f.Next, err)
		}
		r := cursor{left: data}
		r.int8() // attributes: unused
		stamp := b.first + r.varint()
		record.Offset = b.base + r.varint()
		record.Key, record.Value, record.Headers, record.Fault = nil, nil, nil, nil
		if size > len(data) {
			record.Fault = &churn.Rejection{Code: churn.CodeUnreadable, Reason: fmt.Sprintf("the record has %d bytes once it is inflated, and %d are the most: it stands in its topic", size, in.most)}
		} else {
			record.content(&r)
		}
		if r.bad {
			return false, fmt.Errorf("reading a batch of %s at offset %d: a record ends early", f.partition, f.Next)
		}
		if record.Offset < f.Next { // a batch may begin before the offset that was asked for
			continue
		}
		if b.attributes&attributeAppendTime != 0 {
			stamp = b.stamp
		}
		record.Time = time.UnixMilli(stamp).UTC()
		if !yield(record, nil) {
			return false, nil
		}
		f.Next = record.Offset + 1
	}
	return true, nil
}

// content reads key, value and headers.
func (record *Record) content(r *cursor) {
	record.Key = r.varbytes()
	record.Value = r.varbytes()
	if n := r.varint(); n > 0 && n <= int64(len(r.left))/2 { // each takes two bytes at least
		record.Headers = make([]Header, n)
		for i := range record.Headers {
			record.Headers[i] = Header{Key: string(r.varbytes()), Value: r.varbytes()}
		}
	} else if n != 0 {
		r.bad = true
	}
}

// poisonous yields one record without content in the place of what is left of a batch that cannot be read.
func (b *batch) poisonous(record *Record, f *Fetched, why error, yield func(*Record, error) bool) (more bool) {
	*record = Record{Position: record.Position, Fault: &churn.Rejection{
		Code: churn.CodeUnreadable, Reason: fmt.Sprintf("the records from offset %d to %d cannot be read, and stand in their topic: %s", f.Next, b.last, why),
	}}
	record.Offset, record.Time = max(f.Next, b.base), time.UnixMilli(b.stamp).UTC()
	return yield(record, nil)
}

// cursor reads big-endian fields; reading past the end sets bad and gives zeros.
type cursor struct {
	left []byte
	bad  bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.left) {
		c.bad = true
		c.left = nil
		return nil
	}
	head := c.left[:n:n]
	c.left = c.left[n:]
	return head
}

func (c *cursor) int8() int8 {
	if b := c.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (c *cursor) int16() int16 {
	if b := c.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if b := c.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.left)
	if n <= 0 {
		c.bad = true
		c.left = nil
		return 0
	}
	c.left = c.left[n:]
	return v
}

// varbytes gives nil for a null and an empty slice for no bytes.
func (c *cursor) varbytes() []byte {
	n := c.varint()
	if n < 0 {
		return nil
	}
	if b := c.take(int(n)); b != nil {
		return b
	}
	return []byte{}
}
