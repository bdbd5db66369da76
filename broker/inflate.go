package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go/compress"
)

const (
	// inflatedAtOnce is how much of a compressed batch is held at a time, beside the records that somebody still holds.
	inflatedAtOnce = 1 << 20
	// largestRecord is the default of FetchLimits.MaxRecord.
	largestRecord = 64 << 20
	// largestWindow is what a frame of zstd may ask for. RFC 8878 recommends that decoders take 8 MiB; level 19 asks for that.
	largestWindow = 8 << 20
	// placeBytes hold the beginning of a record: its attributes, time and offset.
	placeBytes = 1 + 2*binary.MaxVarintLen64
)

var errEndsEarly = errors.New("it ends early")

// inflating reads the records of a batch one after the other. A compressed batch is never held whole: forty kilobytes can
// become gigabytes.
type inflating struct {
	in   io.ReadCloser // nil where left holds everything
	left []byte
	most int // bytes of a record that are read
	more int // bytes to make room for when they run out: few at first, for most batches are small
	over bool
}

// open begins to read the batch's records.
func (b *batch) open(most int) (*inflating, error) {
	if most <= 0 {
		most = largestRecord
	}
	compression := compress.Compression(b.attributes & 7)
	switch compression {
	case compress.None:
		return &inflating{left: b.records, most: most}, nil
	case compress.Zstd:
		in, err := openZstd(bytes.NewReader(b.records))
		return &inflating{in: in, most: most, more: roomFor(b.records)}, err
	case compress.Snappy:
		if err := checkSnappy(b.records); err != nil {
			return nil, err
		}
	}
	codec := compression.Codec()
	if codec == nil {
		return nil, fmt.Errorf("compression %d is unknown", compression)
	}
	return &inflating{in: codec.NewReader(bytes.NewReader(b.records)), most: most, more: roomFor(b.records)}, nil
}

func roomFor(compressed []byte) int {
	return min(4*len(compressed)+binary.MaxVarintLen64, inflatedAtOnce)
}

func (r *inflating) close() {
	if r.in != nil {
		_ = r.in.Close()
	}
}

// next returns the bytes of the next record and how many it has. Of one that has too many only the beginning is returned. What
// it returns is not used again.
func (r *inflating) next() (data []byte, size int, err error) {
	if err := r.fill(binary.MaxVarintLen64, false); err != nil {
		return nil, 0, err
	}
	length, n := binary.Varint(r.left)
	if n <= 0 || length < 0 || r.in == nil && length > int64(len(r.left)-n) {
		return nil, 0, errEndsEarly
	}
	r.left = r.left[n:]
	kept := int(length)
	if length > int64(r.most) && r.in != nil {
		kept = placeBytes
	}
	if err := r.fill(kept, true); err != nil {
		return nil, 0, err
	}
	data, r.left = r.left[:kept:kept], r.left[kept:]
	return data, int(length), r.skip(length - int64(kept))
}

// fill sees to it that so many bytes are there. Where they need not all be, fewer are at the end.
func (r *inflating) fill(n int, all bool) error {
	if len(r.left) < n && r.in != nil && !r.over {
		next := make([]byte, max(r.more, n))
		r.more = min(2*r.more, inflatedAtOnce)
		had := copy(next, r.left)
		read, err := io.ReadAtLeast(r.in, next[had:], n-had)
		r.left = next[:had+read]
		if r.over = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); err != nil && !r.over {
			return err
		}
	}
	if all && len(r.left) < n {
		return errEndsEarly
	}
	return nil
}

// skip passes over so many bytes.
func (r *inflating) skip(n int64) error {
	here := min(n, int64(len(r.left)))
	r.left = r.left[here:]
	if n -= here; n == 0 {
		return nil
	}
	if _, err := io.CopyN(io.Discard, r.in, n); err != nil {
		return fmt.Errorf("passing over a large record: %w", err)
	}
	return nil
}

// zstdReader gives its decoder back when it is closed. Ours, and not the client's, which takes windows of half a gigabyte.
type zstdReader struct{ *zstd.Decoder }

var zstdDecoders sync.Pool

func openZstd(in io.Reader) (io.ReadCloser, error) {
	d, _ := zstdDecoders.Get().(*zstd.Decoder)
	if d == nil {
		var err error
		if d, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(largestWindow)); err != nil {
			return nil, fmt.Errorf("making a decoder: %w", err)
		}
	}
	if err := d.Reset(in); err != nil {
		return nil, err
	}
	return zstdReader{d}, nil
}

func (r zstdReader) Close() error {
	err := r.Decoder.Reset(nil)
	zstdDecoders.Put(r.Decoder)
	return err
}
