package deadletter

import (
	"bytes"
	"strings"
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
		headers := headersWith(k1, v1, k2, v2, k3, v3, k4, v4, k5, v5)
		record := broker.Record{Value: value, Headers: headers}
		if letter, ours := parse(&record); ours && (letter.Code == "" || letter.Topic == "") {
			t.Fatalf("%+v", letter)
		}
		record.Position = churn.Position{Topic: "deals.closed", Partition: 3, Offset: offset, Time: time.UnixMilli(offset & (1<<40 - 1)).UTC()}
		why := churn.Rejection{Code: churn.CodeBadHeader, Field: k1, Reason: v1}
		message := Message(&record, why, time.UnixMilli(1).UTC())
		written := broker.Record{Key: message.Key, Value: message.Value}
		for _, h := range message.Headers {
			written.Headers = append(written.Headers, broker.Header{Key: h.Key, Value: h.Value})
		}
		letter, ours := parse(&written)
		if !ours || letter.Topic != record.Topic || letter.Partition != 3 || letter.Offset != offset || !letter.Time.Equal(record.Time) ||
			letter.Code != why.Code || !bytes.Equal(letter.Value, value) {
			t.Fatalf("written %+v, read %+v, ours: %v", record, letter, ours)
		}
	})
}

func FuzzReadHeaders(f *testing.F) {
	f.Add("ce_specversion", "1.0", "ce_time", "2026-03-01T12:00:00Z")
	f.Add("aftershock-known-at", "2026-03-01T12:00:00Z", "", "")
	f.Add("ce_specversion", "\xff", "aftershock-known-at", "9999-12-31T23:59:60Z")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		headers := headersWith(k1, v1, k2, v2)
		occurredAt, knownAt, rejection := broker.ReadHeaders(headers)
		if rejection != nil {
			if rejection.Code != churn.CodeBadHeader {
				t.Errorf("code %s", rejection.Code)
			}
			letter := Message(&broker.Record{Headers: headers}, *rejection, time.Unix(0, 0))
			for _, h := range headers {
				kept := false
				for _, l := range letter.Headers {
					kept = kept || l.Key == h.Key && string(l.Value) == string(h.Value)
				}
				if !kept && !strings.HasPrefix(h.Key, "aftershock-") {
					t.Errorf("header %q is lost", h.Key)
				}
			}
			return
		}
		for _, at := range []time.Time{occurredAt, knownAt} {
			if !at.IsZero() && (at.Year() < 1970 || at.Year() > 2200 || at.Location() != time.UTC || at.Nanosecond()%1e6 != 0) {
				t.Errorf("%s is not a UTC millisecond of 1970..2200", at)
			}
		}
	})
}

func TestReplayedDeadLettersSayTheirReasonOnce(t *testing.T) {
	record := broker.Record{Headers: headersWith("trace", "1", HeaderCode, "bad_money", broker.HeaderKnownAt, "2026-01-01T00:00:00Z")}
	letter := Message(&record, churn.Rejection{Code: churn.CodeBadTime}, time.Unix(0, 0))
	got := map[string][]string{}
	for _, h := range letter.Headers {
		got[h.Key] = append(got[h.Key], string(h.Value))
	}
	if len(got[HeaderCode]) != 1 || got[HeaderCode][0] != "bad_time" || len(got["trace"]) != 1 || len(got[broker.HeaderKnownAt]) != 1 {
		t.Errorf("headers %v", got)
	}
}

// A broken record that a replay of an older build sent names the first one, though no replay noted it.
func TestDeadLetterNamesTheFirst(t *testing.T) {
	record := broker.Record{Position: churn.Position{Topic: "deals.closed", Offset: 9},
		Headers: []broker.Header{{Key: HeaderReplayOf, Value: []byte("deals.closed/3/7")}}}
	row := Rejected(&record, churn.Rejection{Code: churn.CodeMalformedJSON}, "deals", time.Unix(5, 0))
	if row.ReplayOf != "deals.closed/3/7" || !row.KnownAt.Equal(time.Unix(5, 0)) {
		t.Errorf("%+v", row)
	}
	record.Headers[0].Value = []byte("somebody else's")
	if row := Rejected(&record, churn.Rejection{Code: churn.CodeMalformedJSON}, "deals", time.Unix(5, 0)); row.ReplayOf != "" {
		t.Errorf("%+v", row)
	}
}

func headersWith(pairs ...string) (headers []broker.Header) {
	for i := 0; i < len(pairs); i += 2 {
		headers = append(headers, broker.Header{Key: pairs[i], Value: []byte(pairs[i+1])})
	}
	return headers
}
