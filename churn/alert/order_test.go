package alert

import (
	"slices"
	"testing"
)

func TestOrder(t *testing.T) {
	at := func(episode, sequence int) Order {
		t := Transition{Episode: episode, Sequence: sequence}
		return t.Order()
	}
	rising := []Order{{}, at(1, 1), at(1, 1).Tombstoned(), at(1, 2), at(1, 10), at(1, 10).Tombstoned(), at(2, 1), at(2, 1).Tombstoned(), at(10, 1)}
	for i, o := range rising {
		for j, p := range rising {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := o.Compare(p); got != want || (got == 0) != (o == p) {
				t.Errorf("%+v to %+v: %d, want %d", o, p, got, want)
			}
		}
		if o.Valid() != (i > 0) {
			t.Errorf("%+v is valid: %v", o, o.Valid())
		}
		if o.Tombstoned().Tombstoned() != o.Tombstoned() {
			t.Errorf("%+v has two tombstones", o)
		}
	}
	mixed := slices.Clone(rising)
	slices.Reverse(mixed)
	if slices.SortFunc(mixed, Order.Compare); !slices.Equal(mixed, rising) {
		t.Errorf("sorted: %+v", mixed)
	}
	for _, o := range []Order{at(0, 1), at(1, 0), at(-1, 1), at(1, -1)} {
		if o.Valid() {
			t.Errorf("%+v is valid", o)
		}
	}
}
