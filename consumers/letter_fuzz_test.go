package consumers

import (
	"bytes"
	"testing"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

// FuzzReadLetter: any headers are a dead letter or somebody else's record, and what we write as a dead letter is read back as
// the record that was refused, whatever its own headers are.
func FuzzReadLetter(f *testing.F) {
	f.Add(HeaderCode, "bad_money", HeaderTopic, "deals.closed", HeaderPartition, "0", HeaderOffset, "7", HeaderTimestamp, "2026-03-01T12:00:00.000Z", []byte("{}"), int64(1))
	f.Add(HeaderReplayOf, "deals.closed/0/7", broker.HeaderKnownAt, "2026-03-01T12:00:00Z", "ce_time", "soon", HeaderOffset, "-1", HeaderRejectedAt, "\xff", []byte(nil), int64(-1))
	f.Add(HeaderReplayOf, "a/b/99999999999999999999", "", "", HeaderPartition, "99999999999999999999", HeaderOffset, "1e3", HeaderCode, "", []byte("\x00"), int64(1)<<62)
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2, k3, v3, k4, v4, k5, v5 string, value []byte, offset int64) {
		headers := headersOf(k1, v1, k2, v2, k3, v3, k4, v4, k5, v5)
		record := broker.Record{Value: value, Headers: headers}
		if letter, ours := readLetter(&record); ours && (letter.Code == "" || letter.Topic == "") {
			t.Fatalf("%+v", letter)
		}
		record.Position = churn.Position{Topic: "deals.closed", Partition: 3, Offset: offset, Time: time.UnixMilli(offset & (1<<40 - 1)).UTC()}
		why := churn.Rejection{Code: churn.CodeBadHeader, Field: k1, Reason: v1}
		message := deadLetter(&record, why, time.UnixMilli(1).UTC())
		written := broker.Record{Key: message.Key, Value: message.Value}
		for _, h := range message.Headers {
			written.Headers = append(written.Headers, broker.Header{Key: h.Key, Value: h.Value})
		}
		letter, ours := readLetter(&written)
		if !ours || letter.Topic != record.Topic || letter.Partition != 3 || letter.Offset != offset || !letter.Time.Equal(record.Time) ||
			letter.Code != why.Code || !bytes.Equal(letter.Value, value) {
			t.Fatalf("written %+v, read %+v, ours: %v", record, letter, ours)
		}
	})
}
