package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
)

// Warehouse answers rules.
type Warehouse interface {
	// Rows runs a rule's query as known at an instant.
	Rows(ctx context.Context, query string, at time.Time) ([]alert.Row, error)
	// Subjects tells what an alert says about the contracts it concerns; a key without ContractID is an account.
	Subjects(ctx context.Context, at time.Time, keys []churn.ContractKey) (map[churn.ContractKey]alert.Subject, error)
}

// Log is the alert log, which is the engine's only state.
type Log interface {
	// State returns a group's last entry (N is 0 where there is none) and the latest transition of each of its alerts.
	State(ctx context.Context, group string) (alert.Entry, []alert.Transition, error)
	// Append claims entry.N by compare-and-set and stores it whole; won is false where another holds that number.
	// After an error it is unknown whether the entry is stored: the engine asks State.
	Append(ctx context.Context, entry alert.Entry) (won bool, err error)
}

// Groups is what a Log may also tell: every group that has a ledger. Where it does, the alerts of groups that are gone
// resolve, and a rule that moved to another group goes on counting its episodes.
type Groups interface {
	Groups(ctx context.Context) ([]string, error)
}

// Feedback is what a Log may also tell: what people did with alerts that no entry holds yet, in the order of knowing.
type Feedback interface {
	Unapplied(ctx context.Context) ([]churn.FeedbackEvent, error)
}

// Settle waits until all that was known by `at` is visible and brings the links up to date. The status is TickRun, or
// TickIncomplete with the reason. The engine never calls it twice at once.
type Settle func(ctx context.Context, at time.Time) (status alert.TickStatus, reason string, err error)

// ErrTaken says that another process appended to a group's log: it is the holder, and the caller steps down.
var ErrTaken = errors.New("another process holds the alert log")

// Observe is told what happened, for metrics. Nil hooks are not called; each may be called from several goroutines.
type Observe struct {
	Tick       func(group string, status alert.TickStatus, took, lag time.Duration) // lag: from the tick to the end of its evaluation
	Rule       func(group string, run alert.Run)
	Transition func(t alert.Transition)
	Retry      func(group string, err error) // an attempt at a tick failed and will be repeated
}

// Engine evaluates the groups of a set. Its fields are set before Run or RunUntil and not changed after.
type Engine struct {
	Set       *rules.Set
	Warehouse Warehouse
	Log       Log
	Settle    Settle // Defaults to: everything is visible
	// SettleFeedback waits until the feedback that was known at an instant is visible. The engine never calls it, nor Settle, twice
	// at once. Defaults to: everything is visible.
	SettleFeedback func(ctx context.Context, by time.Time) error
	Clock          func() time.Time // Defaults to time.Now
	Since          time.Time        // when somebody began to evaluate: ticks due before were unattended. Defaults to when Run begins
	From           time.Time        // where a group without a ledger starts: its first tick comes after. Defaults to now
	Schedule       string           // replaces every group's schedule, in the group's time zone. Defaults to ""

	// TellAll tells people of every tick, also of those that nobody attended: where time is simulated.
	TellAll bool
	// HearEvery is how often feedback is looked for between ticks. Defaults to 250ms.
	HearEvery time.Duration

	HoldoutShare float64           // 0..1 of accounts whose alerts are stored, not published. Defaults to 0
	Topics       map[string]string // default topic name -> configured name. Defaults to the default names
	Source       string            // ce_source of the alerts. Defaults to "aftershock"
	Writer       string            // names this process in the log: never the same twice, also after a restart
	Parallel     int               // rules of a group that are asked at once. Defaults to the number of CPUs
	Logger       *slog.Logger      // Defaults to slog.Default
	Observe      Observe

	// Outage reports whether an error of the warehouse or the log means "wait and try again" rather than "this query is
	// at fault". Network errors, closed connections and deadlines do in any case. Defaults to none besides them.
	Outage func(error) bool

	settling sync.Mutex
	retired  map[string]int
}
