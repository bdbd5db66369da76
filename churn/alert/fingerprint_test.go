package alert

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestFingerprint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		identity := rapid.MapOfN(rapid.StringN(0, 3, -1), rapid.StringN(0, 3, -1), 0, 12).Draw(t, "identity")
		rule := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "rule")
		want := Fingerprint(rule, identity)
		for range 3 { // a map's order is another each time
			again := map[string]string{}
			for k, v := range identity {
				again[k] = v
			}
			if Fingerprint(rule, again) != want {
				t.Fatalf("%q has several fingerprints", identity)
			}
		}
		if Fingerprint(rule+"x", identity) == want {
			t.Error("another rule has the same fingerprint")
		}
		for k, v := range identity {
			identity[k] = v + "x"
			if Fingerprint(rule, identity) == want {
				t.Errorf("another %q has the same fingerprint", k)
			}
			identity[k] = v
		}
		identity["a longer name"] = ""
		if Fingerprint(rule, identity) == want {
			t.Error("another column has the same fingerprint")
		}
	})
	if Fingerprint("r", nil) != Fingerprint("r", map[string]string{}) || Fingerprint("r", map[string]string{"a": "b"}) == Fingerprint("r", map[string]string{"b": "a"}) {
		t.Error("names and values are confused")
	}
}

func TestTransitionID(t *testing.T) {
	seen := map[string]string{}
	for _, f := range []string{"", "1", "11"} {
		for episode := range 13 {
			for sequence := range 13 {
				id, what := TransitionID(f, episode, sequence), fmt.Sprint(f, "/", episode, "/", sequence)
				if other, twice := seen[id]; twice {
					t.Errorf("%s and %s have the same id", what, other)
				}
				seen[id] = what
			}
		}
	}
}

// Ids are stored and published: they must be the same in every later version.
func TestIdsStay(t *testing.T) {
	for got, want := range map[string]string{
		Fingerprint("EarlyRenegotiation", map[string]string{"account_id": "A-17", "contract_id": "C-900"}): "ed8ac704bdbb1f0ac79526eaadf2193f",
		TransitionID("f", 1, 2): "ea0e92a233b91beab020640c88bb6f8d",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
