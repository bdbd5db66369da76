package broker

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go/compress"

	"github.com/aftershock/aftershock/churn"
)

// oneRecord is a batch of format 2 with one record: key "k", value "v", one header.
func oneRecord() []byte {
	record := []byte{0, 0, 0, 2, 'k', 2, 'v', 2, 2, 'h', 2, 'w'}
	record = append([]byte{byte(len(record) * 2)}, record...)
	b := make([]byte, batchHeader, batchHeader+len(record))
	b = append(b, record...)
	be := binary.BigEndian
	be.PutUint64(b[0:], 5)
	be.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	be.PutUint32(b[57:], 1)
	sign(b)
	return b
}

// sign sets the checksum, so that the fuzzer gets behind it.
func sign(b []byte) {
	if len(b) >= batchHeader {
		binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	}
}

func TestABatchIsRead(t *testing.T) {
	f := &Fetched{batches: oneRecord(), Next: 5, partition: churn.TopicPartition{Topic: "t", Partition: 1}}
	n := 0
	for r, err := range f.Records() {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if r.Topic != "t" || r.Partition != 1 || r.Offset != 5 || string(r.Key) != "k" || string(r.Value) != "v" || r.Headers[0].Key != "h" || string(r.Headers[0].Value) != "w" {
			t.Errorf("read %+v", r)
		}
		if f.Next != 5 {
			t.Errorf("a loop that breaks off at offset 5 would go on at %d", f.Next)
		}
	}
	if n != 1 || f.Next != 6 {
		t.Errorf("%d records up to %d", n, f.Next)
	}
}

func TestADamagedBatchIsAnError(t *testing.T) {
	for name, damage := range map[string]func([]byte){
		"a bit on its way":    func(b []byte) { b[len(b)-1] ^= 1 },
		"an old format":       func(b []byte) { b[16] = 1 },
		"a record too long":   func(b []byte) { b[batchHeader] = 100; sign(b) },
		"a header count":      func(b []byte) { b[len(b)-5] = 255; sign(b) },
		"more records":        func(b []byte) { b[60] = 9; sign(b) },
		"unknown compression": func(b []byte) { b[22] = 7; sign(b) },
		"a length too short":  func(b []byte) { b[11] = 3; sign(b) },
	} {
		t.Run(name, func(t *testing.T) {
			b := oneRecord()
			damage(b)
			f := &Fetched{batches: b, Next: 5}
			var bad error
			for _, err := range f.Records() {
				bad = err
			}
			if bad == nil {
				t.Error("it is read as if nothing were wrong")
			}
			if f.Next > 6 {
				t.Errorf("reading goes on at %d", f.Next)
			}
		})
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(oneRecord())
	f.Add(append(oneRecord(), oneRecord()[:30]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		sign(b)
		fetched := &Fetched{batches: b, Next: 5}
		next := fetched.Next
		for r, err := range fetched.Records() {
			if err != nil {
				break
			}
			if r.Offset < next {
				t.Errorf("offset %d after %d", r.Offset, next)
			}
			next = r.Offset + 1
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, answer []byte) {
		r := &PartitionReader{}
		if fetched, err := r.parse(answer, 0); err == nil {
			for range fetched.Records() {
			}
		}
	})
}

// batchOf is a batch from offset base on, one record for each value.
func batchOf(t *testing.T, codec compress.Compression, base int64, values ...[]byte) []byte {
	var records []byte
	for i, value := range values {
		record := binary.AppendVarint(binary.AppendVarint([]byte{0}, 0), int64(i))
		record = append(binary.AppendVarint(binary.AppendVarint(record, -1), int64(len(value))), value...)
		record = binary.AppendVarint(record, 0)
		records = append(binary.AppendVarint(records, int64(len(record))), record...)
	}
	return batchWith(codec, base, len(values), deflated(t, byte(codec), records))
}

// batchWith is a batch that says that it holds so many records.
func batchWith(codec compress.Compression, base int64, count int, records []byte) []byte {
	b := append(make([]byte, batchHeader, batchHeader+len(records)), records...)
	be := binary.BigEndian
	be.PutUint64(b[0:], uint64(base))
	be.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	be.PutUint16(b[21:], uint16(codec))
	be.PutUint32(b[23:], uint32(count-1))
	be.PutUint32(b[57:], uint32(count))
	sign(b)
	return b
}

func recordsOf(f *Fetched) (out []string, err error) {
	for r, failure := range f.Records() {
		switch {
		case failure != nil:
			err = failure
		case r.Fault != nil:
			out = append(out, fmt.Sprintf("%d %s: %d bytes", r.Offset, r.Fault, len(r.Value)))
		default:
			out = append(out, fmt.Sprintf("%d %s", r.Offset, r.Value))
		}
	}
	return out, err
}

// A few kilobytes that become megabytes take no more memory than a record may, and the records around them are read.
func TestALargeRecordIsToldAndPassedOver(t *testing.T) {
	large := make([]byte, 48<<20)
	for _, codec := range []compress.Compression{compress.Gzip, compress.Snappy, compress.Lz4, compress.Zstd} {
		t.Run(codec.String(), func(t *testing.T) {
			batch := batchOf(t, codec, 7, []byte("before"), large, []byte("after"))
			if len(batch) > 8<<20 {
				t.Fatalf("%d bytes", len(batch))
			}
			f := &Fetched{batches: append(batch, batchOf(t, codec, 10, []byte("next"))...), Next: 7, maxRecord: 1 << 20}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := recordsOf(f)
			runtime.ReadMemStats(&after)
			want := []string{"7 before", "8 unreadable: the record has 50331657 bytes once it is inflated, and 1048576 are the most: it stands in its topic: 0 bytes", "9 after", "10 next"}
			if diff := cmp.Diff(want, got); diff != "" || err != nil || f.Next != 11 {
				t.Errorf("%v, next %d\n%s", err, f.Next, diff)
			}
			if asked := after.TotalAlloc - before.TotalAlloc; asked > 24<<20 {
				t.Errorf("it took %d bytes", asked)
			}
		})
	}
}

// A batch that cannot be read is tried again, and then named and passed over: what is behind it must not wait for ever.
func TestABatchThatNobodyCanReadIsPassedOver(t *testing.T) {
	window := []byte{0x28, 0xB5, 0x2F, 0xFD, 0x00, (29 - 10) << 3, 0x43, 0, 0, 'a'} // asks for 512 MiB
	for name, bad := range map[string][]byte{
		"a large window": batchWith(compress.Zstd, 5, 3, window),
		"no such codec":  batchWith(7, 5, 3, []byte("x")),
		"fewer records":  batchWith(compress.None, 5, 3, nil),
	} {
		t.Run(name, func(t *testing.T) {
			var reader PartitionReader
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for try := 1; try <= poisonTries; try++ {
				f := &Fetched{batches: append(slices.Clone(bad), batchOf(t, compress.None, 8, []byte("next"))...), Next: 5, poison: &reader.poison}
				got, err := recordsOf(f)
				if try < poisonTries {
					if err == nil || len(got) > 0 || f.Next != 5 {
						t.Errorf("try %d: %v, %q, next %d", try, err, got, f.Next)
					}
					continue
				}
				if err != nil || len(got) != 2 || f.Next != 9 || got[1] != "8 next" ||
					!strings.HasPrefix(got[0], "5 unreadable: the records from offset 5 to 7 cannot be read, and stand in their topic: ") {
					t.Errorf("%v, %q, next %d", err, got, f.Next)
				}
			}
			runtime.ReadMemStats(&after)
			if asked := after.TotalAlloc - before.TotalAlloc; asked > 32<<20 {
				t.Errorf("it took %d bytes", asked)
			}
		})
	}
}
