package broker_test

import (
	"testing"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

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
