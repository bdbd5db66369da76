package churn

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestOrderComparesByRevisionTimeIDAndHash(t *testing.T) {
	early, late := instant("2026-01-01T00:00:00Z"), instant("2026-01-01T00:00:00.001Z")
	ascending := []Order{ // each is decided by one field against all the later ones
		{-1, late, "z", [32]byte{9}}, {0, early, "z", [32]byte{9}}, {0, late, "", [32]byte{9}}, {0, late, "a", [32]byte{9}}, {0, late, "b", [32]byte{0, 1}}, {0, late, "b", [32]byte{1}}, {1, early, "", [32]byte{}},
	}
	for i, a := range ascending {
		for j, b := range ascending {
			if want := min(max(i-j, -1), 1); a.Compare(b) != want {
				t.Errorf("%d and %d: %d, want %d", i, j, a.Compare(b), want)
			}
		}
	}
	here := Order{OccurredAt: early.In(time.FixedZone("", 7200))}
	if here.Compare(Order{OccurredAt: early}) != 0 {
		t.Error("one instant in two zones differs")
	}
	d := DealEvent{DealClosed: DealClosed{Revision: 1, OccurredAt: early, EventID: "e"}, Stamp: Stamp{Hash: [32]byte{7}}}
	s := TicketEvent{SupportTicket: SupportTicket{Revision: 1, OccurredAt: early, EventID: "e"}, Stamp: Stamp{Hash: [32]byte{7}}}
	if want := (Order{1, early, "e", [32]byte{7}}); d.Order() != want || s.Order() != want {
		t.Errorf("%+v, %+v", d.Order(), s.Order())
	}
}

// Order is total: antisymmetric, transitive, and equal only for the same, so any arrival order has one greatest.
func TestOrderIsTotal(t *testing.T) {
	few := rapid.Custom(func(t *rapid.T) Order {
		return Order{rapid.Int64Range(-1, 1).Draw(t, "revision"), time.UnixMilli(rapid.Int64Range(0, 2).Draw(t, "at")).UTC(), rapid.SampledFrom([]string{"", "a", "ab"}).Draw(t, "id"), [32]byte{31: byte(rapid.IntRange(0, 1).Draw(t, "hash"))}}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := few.Draw(t, "a"), few.Draw(t, "b"), few.Draw(t, "c")
		if a.Compare(b) != -b.Compare(a) || (a.Compare(b) == 0) != (a == b) {
			t.Errorf("%v and %v: %d, %d", a, b, a.Compare(b), b.Compare(a))
		}
		if a.Compare(b) <= 0 && b.Compare(c) <= 0 && a.Compare(c) > 0 {
			t.Errorf("%v, %v, %v", a, b, c)
		}
		events := rapid.SliceOfN(few, 1, 8).Draw(t, "events")
		arrival := rapid.Permutation(events).Draw(t, "arrival")
		if slices.MaxFunc(events, Order.Compare) != slices.MaxFunc(arrival, Order.Compare) {
			t.Errorf("the present depends on the arrival: %v", events)
		}
	})
}

func TestHashIsUnambiguous(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{nil, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"abc", ""}, {"", "abc"}, {"a", "b", "c"}, {"c", "b", "a"}, {"a\x00b"}, {"a", "\x00b"}, {strings.Repeat("a", 256)},
		{"\x01\x00\x00\x00\x00\x00\x00\x00a"}, {"\xff"}, {"\ufffd"}} {
		d := Hash(parts...)
		if len(d) != 32 || strings.Trim(d, "0123456789abcdef") != "" {
			t.Errorf("%q: %s", parts, d)
		}
		if other, twice := seen[d]; twice {
			t.Errorf("%q and %q have the same hash", parts, other)
		}
		seen[d] = parts
	}
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringOfN(rapid.RuneFrom([]rune("a\x00\x01")), 0, 3, -1)
		a, b := rapid.SliceOfN(part, 0, 4).Draw(t, "a"), rapid.SliceOfN(part, 0, 4).Draw(t, "b")
		if (Hash(a...) == Hash(b...)) != slices.Equal(a, b) {
			t.Errorf("%q and %q", a, b)
		}
	})
	// What is made of it is stored and published: it must be the same in every later version.
	if got, want := Hash("a", "b"), "cf6ab613e3942391f88ed698557e1680"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
