package broker

import (
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Headers that we read.
const (
	headerSpecVersion = "ce_specversion"
	headerTime        = "ce_time"
	// HeaderKnownAt carries, in RFC 3339, when history became known; import and simulate write it.
	HeaderKnownAt = "aftershock-known-at"
)

// KnownAt is the header of a record whose fact became known at another instant than its record is stored: history.
func KnownAt(at time.Time) Header {
	return Header{Key: HeaderKnownAt, Value: []byte(at.UTC().Format(time.RFC3339Nano))}
}

// ReadHeaders returns the CloudEvents time and the time of knowing, each zero where no header gives it. Of a header that is
// there twice the last counts, as Kafka has it.
func ReadHeaders(headers []Header) (occurredAt, knownAt time.Time, rejection *churn.Rejection) {
	if len(headers) == 0 {
		return occurredAt, knownAt, nil
	}
	var ceTime, known *Header
	cloudEvent := false
	for i := range headers {
		switch headers[i].Key {
		case headerSpecVersion:
			cloudEvent = true
		case headerTime:
			ceTime = &headers[i]
		case HeaderKnownAt:
			known = &headers[i]
		}
	}
	if cloudEvent && ceTime != nil {
		if occurredAt, rejection = readInstant(ceTime); rejection != nil {
			return occurredAt, knownAt, rejection
		}
	}
	if known != nil {
		knownAt, rejection = readInstant(known)
	}
	return occurredAt, knownAt, rejection
}

func readInstant(header *Header) (time.Time, *churn.Rejection) {
	at, why := churn.ParseInstant(string(header.Value))
	if why != nil {
		return time.Time{}, &churn.Rejection{Code: churn.CodeBadHeader, Field: header.Key, Reason: why.Reason}
	}
	return at, nil
}
