package broker

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"testing"

	"github.com/segmentio/kafka-go/compress"
)

// FuzzInflate: what was compressed comes back; anything else is an error, and asks for no more memory than a batch may.
func FuzzInflate(f *testing.F) {
	text := bytes.Repeat([]byte("the same again and "), 40)
	for codec := range byte(8) {
		f.Add(codec, text, false)
		f.Add(codec, deflated(f, codec, text), true)
	}
	f.Add(byte(compress.Snappy), []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\xff\xff\xff\xf0abc"), true)
	f.Add(byte(compress.Snappy), []byte("\xff\xff\xff\xff\x0fabc"), true)
	f.Add(byte(compress.Zstd), []byte{0x28, 0xB5, 0x2F, 0xFD, 0x00, 10 << 3, 0x43, 0, 0, 'a'}, true)
	f.Fuzz(func(t *testing.T, codec byte, data []byte, raw bool) {
		codec &= 7
		b := batch{attributes: int16(codec), records: data}
		if !raw {
			b.records = deflated(t, codec, data)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		out, err := inflated(&b)
		runtime.ReadMemStats(&after)
		if asked, most := after.TotalAlloc-before.TotalAlloc, uint64(4*mostInflated); asked > most {
			t.Fatalf("%d bytes ask for %d", len(b.records), asked)
		}
		if !raw && codec <= byte(compress.Zstd) && (err != nil || !bytes.Equal(out, data)) {
			t.Fatalf("codec %d: %d bytes come back as %d: %v", codec, len(data), len(out), err)
		}
	})
}

// deflated is data as the client compresses it; as it is where there is no such codec.
func deflated(t testing.TB, codec byte, data []byte) []byte {
	c := compress.Compression(codec).Codec()
	if codec == byte(compress.None) || c == nil {
		return data
	}
	var out bytes.Buffer
	w := c.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Lengths inside of a batch are only what somebody wrote there.
func TestABatchAsksForNoMoreMemoryThanItHolds(t *testing.T) {
	framed := []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")
	for name, records := range map[string][]byte{
		"a frame longer than the batch": binary.BigEndian.AppendUint32(bytes.Clone(framed), 1<<32-16),
		"a frame that grows too much":   append(binary.BigEndian.AppendUint32(bytes.Clone(framed), 8), binary.AppendUvarint(nil, 1<<32-1)...),
		"a block that grows too much":   binary.AppendUvarint(nil, 1<<32-1),
	} {
		t.Run(name, func(t *testing.T) {
			b := batch{attributes: int16(compress.Snappy), records: append(records, 0, 0, 0)}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := inflated(&b)
			runtime.ReadMemStats(&after)
			if asked := after.TotalAlloc - before.TotalAlloc; err == nil || asked > 1<<20 {
				t.Errorf("%d bytes ask for %d; %v", len(b.records), asked, err)
			}
		})
	}
}

// mostInflated is as much of a batch as these tests look at.
const mostInflated = 64 << 20

// inflated is a batch's bytes, up to a limit.
func inflated(b *batch) ([]byte, error) {
	in, err := b.open(0)
	if err != nil {
		return nil, err
	}
	defer in.close()
	if in.in == nil {
		return in.left, nil
	}
	return io.ReadAll(io.LimitReader(in.in, mostInflated))
}
