package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/attempts"
)

// The records are what the pipeline would accept, of the size that the benchmark claims, and the same each time.
func TestRecords(t *testing.T) {
	const n = 2000
	classifier, found := attempts.Default(), 0
	for i := range n {
		if _, why := churn.DecodeDeal(record(partDeals, i), time.Time{}); why != nil {
			t.Fatal(why)
		}
		ticket, why := churn.DecodeTicket(record(partTickets, i), time.Time{})
		if why != nil {
			t.Fatal(why)
		}
		isAttempt := len(classifier.Classify(&ticket).Findings) > 0
		if isAttempt != (i%attemptEvery == 0) {
			t.Errorf("ticket %d is an attempt: %t\n%s", i, isAttempt, record(partTickets, i))
		}
		if isAttempt {
			found++
		}
	}
	if found != n/attemptEvery {
		t.Errorf("%d of %d tickets are attempts, not %d", found, n, n/attemptEvery)
	}
	for kind, want := range map[string]int{partDeals: 280, partTickets: 1200} {
		if got := averageBytes(kind); got < want*95/100 || got > want*105/100 {
			t.Errorf("%s have %d bytes on average, not about %d", kind, got, want)
		}
		if !bytes.Equal(record(kind, 7), record(kind, 7)) {
			t.Errorf("%s differ from call to call", kind)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := readOptions([]string{"-history", "1e6, 20000000", "-only", "upkeep"})
	if err != nil || len(o.history) != 2 || o.history[0] != 1_000_000 || o.history[1] != 20_000_000 || len(o.only) != 1 {
		t.Errorf("read as %+v, %v", o, err)
	}
	for _, bad := range []string{"-history=many", "-history=1e3", "-history=100001", "-history=", "-rounds=0", "-deals=0", "-only=rule", "stray"} {
		if _, err := readOptions([]string{bad}); err == nil || !strings.Contains(err.Error(), "try") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestSpread(t *testing.T) {
	if got := spread([]float64{3, 1, 2, 10}, "%.1f"); got != "median 2.5 (least 1.0, most 10.0, 4 rounds)" {
		t.Error(got)
	}
}
