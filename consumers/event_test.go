package consumers

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

var plainEnrichment = Enrichment{
	Score:    func(*churn.DealClosed) churn.Hardness { return churn.Hardness{} },
	Classify: func(*churn.SupportTicket) churn.Classification { return churn.Classification{} },
}

func headersOf(pairs ...string) (headers []broker.Header) {
	for i := 0; i < len(pairs); i += 2 {
		headers = append(headers, broker.Header{Key: pairs[i], Value: []byte(pairs[i+1])})
	}
	return headers
}

func TestReadHeaders(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name       string
		headers    []broker.Header
		occurredAt time.Time
		knownAt    time.Time
		field      string // of the rejection
	}{
		{name: "none"},
		{name: "CloudEvents time", headers: headersOf("ce_specversion", "1.0", "ce_time", "2026-03-01T13:00:00+01:00"), occurredAt: noon},
		{name: "CloudEvents without time", headers: headersOf("ce_specversion", "1.0")},
		{name: "a time outside CloudEvents is nobody's business", headers: headersOf("ce_time", "soon")},
		{name: "unreadable CloudEvents time", headers: headersOf("ce_specversion", "1.0", "ce_time", "soon"), field: "ce_time"},
		{name: "empty CloudEvents time", headers: headersOf("ce_specversion", "1.0", "ce_time", ""), field: "ce_time"},
		{name: "CloudEvents time out of range", headers: headersOf("ce_specversion", "1.0", "ce_time", "2300-01-01T00:00:00Z"), field: "ce_time"},
		{name: "known at", headers: headersOf("aftershock-known-at", "2026-03-01T12:00:00Z"), knownAt: noon},
		{name: "known at keeps milliseconds", headers: headersOf("aftershock-known-at", "2026-03-01T12:00:00.0019Z"), knownAt: noon.Add(time.Millisecond)},
		{name: "unreadable known at", headers: headersOf("aftershock-known-at", "2026-03-01"), field: "aftershock-known-at"},
		{name: "the last of two counts", headers: headersOf("aftershock-known-at", "soon", "aftershock-known-at", "2026-03-01T12:00:00Z"), knownAt: noon},
		{name: "others", headers: headersOf("trace", "x", "content-type", "application/json")},
	} {
		t.Run(test.name, func(t *testing.T) {
			occurredAt, knownAt, rejection := broker.ReadHeaders(test.headers)
			if test.field != "" {
				if rejection == nil || rejection.Code != churn.CodeBadHeader || rejection.Field != test.field || rejection.Reason == "" {
					t.Fatalf("rejection %v", rejection)
				}
				return
			}
			if rejection != nil {
				t.Fatal(rejection)
			}
			if !occurredAt.Equal(test.occurredAt) || !knownAt.Equal(test.knownAt) {
				t.Errorf("occurred at %s, known at %s", occurredAt, knownAt)
			}
		})
	}
}

func FuzzReadHeaders(f *testing.F) {
	f.Add("ce_specversion", "1.0", "ce_time", "2026-03-01T12:00:00Z")
	f.Add("aftershock-known-at", "2026-03-01T12:00:00Z", "", "")
	f.Add("ce_specversion", "\xff", "aftershock-known-at", "9999-12-31T23:59:60Z")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		headers := headersOf(k1, v1, k2, v2)
		occurredAt, knownAt, rejection := broker.ReadHeaders(headers)
		if rejection != nil {
			if rejection.Code != churn.CodeBadHeader {
				t.Errorf("code %s", rejection.Code)
			}
			letter := deadLetter(&broker.Record{Headers: headers}, *rejection, time.Unix(0, 0))
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

func TestDealEventKeepsTheRecord(t *testing.T) {
	value := []byte(`{"event_id":"e","deal_id":"d","account_id":"a","closed_at":"2026-01-01T00:00:00Z","outcome":"lost"}`)
	record := &broker.Record{Position: churn.Position{Topic: "deals", Partition: 3, Offset: 7}, Value: value,
		Headers: headersOf("ce_specversion", "1.0", "ce_time", "2026-01-02T00:00:00Z")}
	event, rejection := plainEnrichment.DealEvent(record)
	if rejection != nil {
		t.Fatal(rejection)
	}
	if event.Position != record.Position || event.Hash != sha256.Sum256(value) || string(event.Payload) != string(value) {
		t.Errorf("the stamp is %+v", event.Stamp)
	}
	if !event.KnownAt.IsZero() || event.OccurredAt.Day() != 2 {
		t.Errorf("known at %s, occurred at %s", event.KnownAt, event.OccurredAt)
	}
	if _, rejection := plainEnrichment.TicketEvent(record); rejection == nil || rejection.Code != churn.CodeMissingField {
		t.Errorf("a deal read as a ticket: %v", rejection)
	}
}

func TestShorten(t *testing.T) {
	for _, test := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aäö", 2, "a"}, {"aäö", 3, "aä"}, {"a\xff", 10, "a\uFFFD"}, {"€€", 2, ""},
	} {
		if got := shorten(test.in, test.limit); got != test.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", test.in, test.limit, got, test.want)
		}
	}
}

func TestReplayedDeadLettersSayTheirReasonOnce(t *testing.T) {
	record := broker.Record{Headers: headersOf("trace", "1", HeaderCode, "bad_money", broker.HeaderKnownAt, "2026-01-01T00:00:00Z")}
	letter := deadLetter(&record, churn.Rejection{Code: churn.CodeBadTime}, time.Unix(0, 0))
	got := map[string][]string{}
	for _, h := range letter.Headers {
		got[h.Key] = append(got[h.Key], string(h.Value))
	}
	if len(got[HeaderCode]) != 1 || got[HeaderCode][0] != "bad_time" || len(got["trace"]) != 1 || len(got[broker.HeaderKnownAt]) != 1 {
		t.Errorf("headers %v", got)
	}
}
