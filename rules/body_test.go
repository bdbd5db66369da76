package rules

import (
	"encoding/json"
	"testing"

	"github.com/aftershock/aftershock/churn"
)

func TestOnlyAnOpenHandoffCarriesTheBrief(t *testing.T) {
	brief := &churn.HandoffBrief{Text: "read this"}
	for _, c := range []struct {
		kind  string
		state churn.State
		want  bool
	}{
		{KindHandoff, churn.Firing, true},
		{KindHandoff, churn.Reminder, true},
		{KindHandoff, churn.Acknowledged, true},
		{KindHandoff, churn.Resolved, false}, // it is over: nobody needs to read it
		{"risk", churn.Firing, false},
	} {
		x := churn.Transition{Kind: c.kind, State: c.state, AccountID: "A"}
		if err := dress(&x, "topic", "source", churn.Subject{Brief: brief}); err != nil {
			t.Fatal(err)
		}
		var body struct{ Brief *churn.HandoffBrief }
		if err := json.Unmarshal(x.Value, &body); err != nil {
			t.Fatal(err)
		}
		if got := body.Brief != nil && body.Brief.Text == "read this"; got != c.want {
			t.Errorf("%s, %s: a brief: %v in %s", c.kind, c.state, got, x.Value)
		}
	}
}
