package warehouse

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// A rule that is only too slow is ended, and is the rule's fault: to wait for a better moment, as for an overload, would stop
// its group for ever.
func TestASlowRuleIsEndedAndIsNoOverload(t *testing.T) {
	w := open(t)
	usual := ruleTimeout
	ruleTimeout = time.Second
	defer func() { ruleTimeout = usual }()
	_, err := w.Rows(t.Context(), "SELECT sleepEachRow(0.5) FROM numbers(20) SETTINGS max_block_size = 1", now())
	if !errors.Is(err, context.DeadlineExceeded) || Overloaded(err) {
		t.Errorf("a rule that takes too long: %v", err)
	}
}

// A rule that returns more rows than it may fails as a whole; its first rows would be an arbitrary part of what it means.
func TestARuleMayNotReturnTooManyRows(t *testing.T) {
	w := open(t)
	w.config.MaxRuleRows = 10
	if rows, err := w.Rows(t.Context(), "SELECT number FROM numbers(10)", now()); err != nil || len(rows) != 10 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	rows, err := w.Rows(t.Context(), "SELECT number FROM numbers(11)", now())
	if !errors.Is(err, ErrTooManyRows) || rows != nil || Overloaded(err) || !strings.Contains(err.Error(), "too_many_rows: the query returns more than 10") {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}
