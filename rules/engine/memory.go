package engine

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/aftershock/aftershock/churn/alert"
)

// MemoryLog is an alert log that ends with the process: for rule tests and for trying rules on history.
type MemoryLog struct {
	mu      sync.Mutex
	entries map[string][]alert.Entry
	Light   bool // keeps no bytes of what would be published
}

// State implements Log.
func (m *MemoryLog) State(_ context.Context, group string) (alert.Entry, []alert.Transition, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var last alert.Entry
	latest := map[string]alert.Transition{}
	for _, last = range m.entries[group] {
		for _, t := range last.Transitions {
			latest[t.Fingerprint] = t
		}
	}
	out := make([]alert.Transition, 0, len(latest))
	for _, fingerprint := range slices.Sorted(maps.Keys(latest)) {
		out = append(out, latest[fingerprint])
	}
	return last, out, nil
}

// Append implements Log.
func (m *MemoryLog) Append(_ context.Context, entry alert.Entry) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if entry.N != int64(len(m.entries[entry.Group]))+1 {
		return false, nil
	}
	if m.Light {
		entry.Transitions = slices.Clone(entry.Transitions)
		for i := range entry.Transitions {
			entry.Transitions[i].Headers, entry.Transitions[i].Value = nil, nil
		}
	}
	if m.entries == nil {
		m.entries = map[string][]alert.Entry{}
	}
	m.entries[entry.Group] = append(m.entries[entry.Group], entry)
	return true, nil
}

// Groups tells which groups have a ledger.
func (m *MemoryLog) Groups(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.entries)), nil
}

// Entries returns a group's ledger.
func (m *MemoryLog) Entries(group string) []alert.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.entries[group])
}
