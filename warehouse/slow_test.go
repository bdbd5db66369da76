package warehouse

import (
	"context"
	"errors"
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
