package alert

import "testing"

func TestStates(t *testing.T) {
	for state, c := range map[State][2]bool{ // published, open
		Firing: {true, true}, Reminder: {true, true}, Acknowledged: {true, true}, Snoozed: {true, true}, Resolved: {true, false},
		Pending: {}, NoData: {}, QueryError: {}, "": {}, "other": {},
	} {
		if state.Published() != c[0] || state.Open() != c[1] {
			t.Errorf("%q: published %v, open %v", state, state.Published(), state.Open())
		}
	}
}
