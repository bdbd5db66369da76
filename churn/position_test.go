package churn

import "testing"

func TestPositionPath(t *testing.T) {
	p := Position{Topic: "deals.closed", Partition: 3, Offset: 1 << 40}
	if read, err := ParsePosition(p.Path()); err != nil || read != p {
		t.Errorf("%s is read as %+v, %v", p.Path(), read, err)
	}
	for _, text := range []string{"", "deals", "deals/0", "deals/0/", "/0/1", "deals/-1/1", "deals/0/-1", "deals/0/1/2", "deals/x/1", "deals/0/9223372036854775808", "deals/2147483648/0", "deals/ 1/2"} {
		if p, err := ParsePosition(text); err == nil {
			t.Errorf("%q is read as %+v", text, p)
		}
	}
}
