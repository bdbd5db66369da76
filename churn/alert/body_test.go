package alert

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aftershock/aftershock/churn"
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
		x := Transition{ID: "t", Fingerprint: "f", Episode: 1, Sequence: 1, Kind: c.kind, State: c.state, AccountID: "A"}
		if err := Encode(&x, "topic", "source", Subject{Brief: brief}); err != nil {
			t.Fatal(err)
		}
		body, err := Decode(x.Value)
		if err != nil {
			t.Fatal(err)
		}
		if got := body.Brief != nil && body.Brief.Text == "read this"; got != c.want {
			t.Errorf("%s, %s: a brief: %v in %s", c.kind, c.state, got, x.Value)
		}
	}
}

// Whatever happens to an alert: what is written is read back whole, and would be written again with the same bytes.
func TestWhatIsEncodedIsDecoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.SampledFrom([]string{"<b>&\u2028", "\"\\", "\x00\x7f", "Zoë 漢 👩‍🚀"}))
		instant := rapid.Custom(func(t *rapid.T) time.Time {
			return rapid.OneOf(rapid.Just(time.Time{}), rapid.Custom(func(t *rapid.T) time.Time {
				zone := time.FixedZone("", 60*rapid.IntRange(-840, 840).Draw(t, "zone"))
				return time.UnixMilli(rapid.Int64Range(0, time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()).Draw(t, "ms")).In(zone)
			})).Draw(t, "instant")
		})
		texts := rapid.MapOf(text, text)
		list := rapid.SliceOf(text)
		number := rapid.Float64()
		x := Transition{
			ID: text.Draw(t, "id") + "i", Fingerprint: text.Draw(t, "fingerprint") + "f", Episode: rapid.IntRange(1, 1<<31-1).Draw(t, "episode"), Sequence: rapid.IntRange(1, 1<<31-1).Draw(t, "sequence"),
			Rule: text.Draw(t, "rule"), RuleVersion: text.Draw(t, "version"), State: rapid.SampledFrom([]State{Firing, Reminder, Acknowledged, Snoozed, Resolved}).Draw(t, "state"),
			Reason: text.Draw(t, "reason"), Severity: text.Draw(t, "severity"), Kind: rapid.SampledFrom([]string{"risk", KindHandoff}).Draw(t, "kind"), Arm: Treatment,
			At: instant.Draw(t, "at"), StartsAt: instant.Draw(t, "starts"), ResolvedAt: instant.Draw(t, "resolved"), HappenedAt: instant.Draw(t, "happened"),
			Late: rapid.Bool().Draw(t, "late"), AccountID: text.Draw(t, "account"), ContractID: text.Draw(t, "contract"), Labels: texts.Draw(t, "labels"), Annotations: texts.Draw(t, "annotations"),
			By: text.Draw(t, "by"), Why: text.Draw(t, "why"), Disposition: churn.DispositionTrue, SnoozedUntil: instant.Draw(t, "until"), Currency: text.Draw(t, "currency"),
		}
		if rapid.Bool().Draw(t, "at risk") {
			x.ValueAtRisk = churn.MoneyFromUnits(rapid.Int64Range(-1e18+1, 1e18-1).Draw(t, "units"))
		}
		s := Subject{Account: AccountBrief{AccountName: text.Draw(t, "name"), Owner: text.Draw(t, "owner")}}
		if rapid.Bool().Draw(t, "about a contract") {
			s.Contract = &ContractBrief{ContractID: x.ContractID, ClosedAt: instant.Draw(t, "closed"), ARR: text.Draw(t, "arr"), Band: churn.BandHard, Coverage: number.Draw(t, "coverage"),
				Contributions: []ContributionBrief{{Component: "tone", Points: number.Draw(t, "points"), Evidence: text.Draw(t, "evidence")}}, Missing: list.Draw(t, "missing")}
			if rapid.Bool().Draw(t, "scored") {
				score := number.Draw(t, "score")
				s.Contract.Hardness = &score
			}
			s.Evidence = []Evidence{{TicketID: text.Draw(t, "ticket"), Strength: churn.Weak, Quote: text.Draw(t, "quote"), LagDays: number.Draw(t, "lag"), At: instant.Draw(t, "said")}}
			s.Brief = &HandoffBrief{Text: text.Draw(t, "brief"), People: list.Draw(t, "people")}
		}
		if err := Encode(&x, "topic", "source", s); err != nil {
			t.Fatal(err)
		}
		a, err := Decode(x.Value)
		if err != nil {
			t.Fatalf("%v in %s", err, x.Value)
		}
		if again, err := a.bytes(); err != nil || !bytes.Equal(again, x.Value) {
			t.Errorf("read and written again, %v:\n%s\n%s", err, x.Value, again)
		}
		if a.TransitionID != x.ID || a.Fingerprint != x.Fingerprint || a.Order() != x.Order() || a.Status != x.State || a.Rule != x.Rule || !a.EvaluatedAt.Equal(x.At) ||
			(a.ResolvedAt == nil) != x.ResolvedAt.IsZero() || (a.Account == nil) != (x.AccountID == "") || (a.ValueAtRisk != nil) != x.ValueAtRisk.Known ||
			(a.Feedback != nil) != (x.By != "") || !maps.Equal(a.Annotations, x.Annotations) || (a.Brief != nil) != (s.Brief != nil && x.Kind == KindHandoff && x.State != Resolved) {
			t.Errorf("%+v is read as %+v", x, a)
		}
		if a.ValueAtRisk != nil {
			if back, err := churn.Money(a.ValueAtRisk.Amount); err != nil || back.Units() != x.ValueAtRisk.Units() {
				t.Errorf("%v at risk are read as %s, %v", x.ValueAtRisk, a.ValueAtRisk.Amount, err)
			}
		}
	})
}

func TestDecodeLivesThroughAdditionsOnly(t *testing.T) {
	const least = `{"schema_version": 1, "transition_id": "t", "fingerprint": "f", "episode": 1, "sequence": 2, "status": "firing"`
	for value, want := range map[string]string{
		least + `}`: "",
		least + `, "mood": {"of": ["the", "client"]}, "account": {"account_id": "A", "size": 3}}`: "",
		strings.Replace(least, "firing", "escalated", 1) + `}`:                                    "", // a status of a later build
		least + `} {}`:                           "invalid character",
		``:                                       "unexpected end",
		`null`:                                   "schema_version is 0",
		`[]`:                                     "cannot unmarshal",
		`{}`:                                     "schema_version is 0",
		least + `, "evaluated_at": "yesterday"}`: "parsing time",
		strings.Replace(least, "1", "2", 1) + `}`:                          "schema_version is 2, and this build reads 1",
		strings.Replace(least, `"t"`, `""`, 1) + `}`:                       "transition_id, fingerprint and status are required",
		strings.Replace(least, `"f"`, `null`, 1) + `}`:                     "are required",
		strings.Replace(least, `"firing"`, `""`, 1) + `}`:                  "are required",
		strings.Replace(least, `"episode": 1`, `"episode": 0`, 1) + `}`:    "episode 0 and sequence 2",
		strings.Replace(least, `"sequence": 2`, `"sequence": -2`, 1) + `}`: "sequence -2",
	} {
		a, err := Decode([]byte(value))
		if want == "" && (err != nil || a.Fingerprint != "f" || a.Order() != Order{Episode: 1, Sequence: 2}) {
			t.Errorf("%s: %+v, %v", value, a, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want) || a.Fingerprint != "") {
			t.Errorf("%s: %v, want %q", value, err, want)
		}
	}
}
