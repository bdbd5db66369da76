package alert

import (
	"encoding/json"
	"testing"
)

func TestOnlyAnOpenHandoffCarriesTheBrief(t *testing.T) {
	brief := &HandoffBrief{Text: "read this"}
	for _, c := range []struct {
		kind  string
		state State
		want  bool
	}{
		{KindHandoff, Firing, true},
		{KindHandoff, Reminder, true},
		{KindHandoff, Acknowledged, true},
		{KindHandoff, Resolved, false}, // it is over: nobody needs to read it
		{"risk", Firing, false},
	} {
		x := Transition{Kind: c.kind, State: c.state, AccountID: "A"}
		if err := Encode(&x, "topic", "source", Subject{Brief: brief}); err != nil {
			t.Fatal(err)
		}
		var body struct{ Brief *HandoffBrief }
		if err := json.Unmarshal(x.Value, &body); err != nil {
			t.Fatal(err)
		}
		if got := body.Brief != nil && body.Brief.Text == "read this"; got != c.want {
			t.Errorf("%s, %s: a brief: %v in %s", c.kind, c.state, got, x.Value)
		}
	}
}
