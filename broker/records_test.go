package broker

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

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
