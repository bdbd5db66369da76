package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
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

// Log is the alert log.
type Log interface {
	// State returns a group's last entry (N is 0 where there is none) and the latest transition of each of its alerts.
	State(ctx context.Context, group string) (alert.Entry, []alert.Transition, error)
	// Append claims entry.N by compare-and-set and stores it whole; won is false where another holds that number.
	// After an error it is unknown whether the entry is stored: the engine asks State.
	Append(ctx context.Context, entry alert.Entry) (won bool, err error)
	// Groups names every group that has a ledger.
	Groups(ctx context.Context) ([]string, error)
}

// ErrTaken says that another process appended to a group's log: it leads, and the caller steps down.
var ErrTaken = errors.New("another process holds the alert log")

// Engine evaluates the groups of a set. Its fields are set before Open and not changed after.
type Engine struct {
	Set       *rules.Set
	Warehouse Warehouse
	Log       Log
	Clock     func() time.Time // Defaults to time.Now
	From      time.Time        // where a group without a ledger starts: its first tick comes after. Defaults to when it is opened
	Schedule  string           // replaces every group's schedule, in the group's time zone. Defaults to ""

	HoldoutShare float64           // 0..1 of accounts whose alerts are stored, not published. Defaults to 0
	Topics       map[string]string // default topic name -> configured name. Defaults to the default names
	Source       string            // ce_source of the alerts. Defaults to "aftershock"
	Writer       string            // names this process in the log: never the same twice, also after a restart
	Part         int               // changes that one entry holds at most. Defaults to 2,000
	Parallel     int               // rules of a group that are asked at once. Defaults to the number of CPUs

	// SetAside returns the accounts whose links are no longer brought up to date: their alerts hold. Defaults to none.
	SetAside func() map[string]bool
	// Overloaded reports whether an error of the warehouse means "not now" rather than "this query is at fault". Defaults to never.
	Overloaded func(error) bool

	mu      sync.Mutex
	retired map[string]int             // episodes that fingerprints had in other groups, where their rule stood before
	denied  map[string]map[string]bool // feedback that is not answered -> the groups that it is not about
}

// Outage reports whether an error says that a server is away or has no room now, so that the same call may work later.
func (e *Engine) Outage(err error) bool {
	if e.Overloaded != nil && e.Overloaded(err) {
		return true
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// overloads is how often a server may answer a tick with "not now" before that counts as the fault of the rule that asked: its
// query may be what the server has no time or memory for.
const overloads = 8

// unreachable tells an outage from a query that is only too slow or asks for too much, which must not stop its group for ever.
// Where the warehouse answers nothing in time, or takes nothing, the append fails too and the tick is repeated.
func (e *Engine) unreachable(l *Ledger, err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || !e.Outage(err) {
		return false
	}
	if e.Overloaded == nil || !e.Overloaded(err) {
		return true
	}
	l.overload++
	return l.overload < overloads
}

// recovered turns a panic into the error of the function that defers it.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}

func (e *Engine) now() time.Time {
	if e.Clock != nil {
		return e.Clock()
	}
	return time.Now()
}

func (e *Engine) parallel() int {
	if e.Parallel > 0 {
		return e.Parallel
	}
	return runtime.GOMAXPROCS(0)
}

func (e *Engine) source() string {
	if e.Source != "" {
		return e.Source
	}
	return "aftershock"
}
