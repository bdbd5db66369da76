package churn

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"
)

// fuzzDecoder holds a decoder to what must be true of any bytes.
func fuzzDecoder[E any](f *testing.F, kind string, decode func([]byte, time.Time) (E, error), sound func(*E) bool) {
	files, err := filepath.Glob(filepath.Join("testdata", "decode", kind, "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		value, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
	}
	transport := time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)
	codes := map[Code]bool{}
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(codes) == 0 {
			for _, code := range declaredCodes(t) {
				codes[code] = !slices.Contains(notDecoded[kind], code)
			}
		}
		given := bytes.Clone(value)
		event, err := decode(value, transport)
		if !bytes.Equal(value, given) {
			t.Fatalf("the value was changed to %q", value)
		}
		again, errAgain := decode(bytes.Clone(given), transport)
		if !reflect.DeepEqual(event, again) || !reflect.DeepEqual(err, errAgain) {
			t.Fatalf("%+v, %v; and the second time %+v, %v", event, err, again, errAgain)
		}
		if wrong := differ(value); wrong != "" {
			t.Fatal(wrong)
		}
		if err == nil {
			if !json.Valid(given) || !sound(&event) {
				t.Fatalf("accepted: %+v", event)
			}
			return
		}
		var rejection *Rejection
		if !errors.As(err, &rejection) || !codes[rejection.Code] || rejection.Reason == "" {
			t.Fatalf("%v is no rejection of this decoder", err)
		}
		if !reflect.ValueOf(event).IsZero() {
			t.Fatalf("refused, but an event came with it: %+v", event)
		}
	})
}

func within(times ...time.Time) bool {
	for _, t := range times {
		if !t.IsZero() && (t.Before(firstInstant) || !t.Before(endOfTime) || t.Location() != time.UTC || t.Nanosecond()%int(time.Millisecond) != 0) {
			return false
		}
	}
	return true
}

func FuzzDecodeDeal(f *testing.F) {
	fuzzDecoder(f, "deal", DecodeDeal, func(d *DealClosed) bool {
		return d.EventID != "" && d.DealID != "" && d.AccountID != "" && d.ContractID != "" && !d.ClosedAt.IsZero() && !d.OccurredAt.IsZero() &&
			within(d.ClosedAt, d.EndsAt, d.OccurredAt) && (d.EndsAt.IsZero() || d.EndsAt.After(d.ClosedAt)) &&
			(d.Outcome == Lost || d.Outcome == Won && d.SignedPrice.Known && KnownCurrency(d.Currency)) &&
			d.SignedPrice.Units() >= 0 && d.ListPrice.Units() >= 0 && d.Anticipated.Units() >= 0 && d.AnnualValue.Units() >= 0 &&
			d.TermMonths >= 0 && ContractEnd(d.ClosedAt, d.EndsAt, d.TermMonths).After(d.ClosedAt)
	})
}

func FuzzDecodeTicket(f *testing.F) {
	fuzzDecoder(f, "ticket", DecodeTicket, func(s *SupportTicket) bool {
		for _, m := range s.Comments {
			if !within(m.At) || m.From != "" && m.From != Client && m.From != Vendor {
				return false
			}
		}
		return s.EventID != "" && s.TicketID != "" && s.AccountID != "" && !s.OpenedAt.IsZero() && within(s.OpenedAt, s.OccurredAt)
	})
}
