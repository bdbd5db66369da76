package past

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
)

var dawn = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// paper is a scratch warehouse whose rows are the accounts of the tickets stored so far.
type paper struct {
	stored []rules.TestEvent
	parts  []int
	resets int
}

func (p *paper) Reset(context.Context) error { p.stored = nil; p.resets++; return nil }

func (p *paper) Store(_ context.Context, events []rules.TestEvent) error {
	p.stored, p.parts = append(p.stored, events...), append(p.parts, len(events))
	return nil
}

func (p *paper) Rows(_ context.Context, query string, at time.Time) ([]alert.Row, error) {
	var rows []alert.Row
	for _, e := range p.stored {
		if query == e.Kind && at.Before(e.KnownAt.Add(24*time.Hour)) {
			_, account, _ := strings.Cut(string(e.Value), `"account_id":"`)
			account, _, _ = strings.Cut(account, `"`)
			rows = append(rows, alert.Row{"account_id": account, "arr": churn.MustMoney("12.50"), "reporting_currency": "USD"})
		}
	}
	return rows, nil
}

func (p *paper) Subjects(context.Context, time.Time, []churn.ContractKey) (map[churn.ContractKey]alert.Subject, error) {
	return nil, nil
}

const paperRules = `groups:
  - name: g
    schedule: "0 6 * * *"
    eval_delay: 5m
    rules:
      - {alert: T, query: ticket, identity: [account_id], value_at_risk: arr, annotations: {summary: "{{ .account_id }} wrote"}}
      - {alert: D, query: deal, identity: [account_id], for: 1h}
`

func runPaper(t *testing.T, tests string, more ...string) (TestReport, *paper) {
	t.Helper()
	fsys := fstest.MapFS{"r.yaml": {Data: []byte(paperRules)}, "r.test.yaml": {Data: []byte(tests)}}
	for i := 0; i < len(more); i += 2 {
		fsys[more[i]] = &fstest.MapFile{Data: []byte(more[i+1])}
	}
	files, err := rules.LoadTests(fsys)
	if err != nil {
		t.Fatal(err)
	}
	p := &paper{}
	report, err := RunTests(t.Context(), files, p)
	if err != nil {
		t.Fatal(err)
	}
	return report, p
}

func TestRunTestsPasses(t *testing.T) {
	report, p := runPaper(t, `tests:
  - name: one ticket
    events:
      - file: more.jsonl
      - ticket: {ticket_id: T1, account_id: A, opened_at: 2026-01-01T10:00:00Z, satisfaction: 0.10, tags: [a, true, null]}
      - ticket: {ticket_id: T2, account_id: B, opened_at: 2026-01-01T10:00:00Z}
        known_at: 2026-01-03
    instants:
      - at: 2026-01-01T09:00:00Z
        alerts: []
      - at: 2026-01-01T11:00:00Z
        alerts:
          - {rule: T, identity: {account_id: A}, value_at_risk: "12.5000", currency: USD, annotations: {summary: A wrote}}
        silent: [{rule: T, identity: {account_id: B}}]
      - at: 2026-01-03
        alerts:
          - {rule: T, identity: {account_id: A}, status: resolved}
          - {rule: T, identity: {account_id: B}}
`, "more.jsonl", `{"ticket": {"ticket_id": "T0", "account_id": "Z", "opened_at": "2020-01-01T00:00:00Z"}}`+"\n\n")
	if !report.Passed() {
		var b strings.Builder
		_ = report.Write(&b)
		t.Fatal(b.String())
	}
	if p.resets != 1 || len(p.parts) != 3 {
		t.Error("events are stored when they become known:", p.parts)
	}
	want := `{"ticket_id":"T1","account_id":"A","opened_at":"2026-01-01T10:00:00Z","satisfaction":0.10,"tags":["a",true,null],"event_id":"ticket-2"}`
	if got := string(p.stored[1].Value); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRunTestsShowsTheDifference(t *testing.T) {
	report, _ := runPaper(t, `tests:
  - name: all wrong
    events:
      - ticket: {ticket_id: T1, account_id: A, opened_at: 2026-01-01T10:00:00Z}
      - ticket: {ticket_id: T2, account_id: B, opened_at: 2026-01-01T10:00:00Z}
      - deal: {deal_id: D1, account_id: A, closed_at: 2026-01-01T10:00:00Z}
    instants:
      - at: 2026-01-01T11:00:00Z
        alerts:
          - {rule: T, identity: {account_id: A}, status: resolved, value_at_risk: "13", annotations: {summary: A called}}
          - {rule: T, identity: {account_id: C}}
        silent: [{rule: T, identity: {account_id: B}}]
        no_data: [T]
`)
	var b strings.Builder
	if err := report.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `FAIL  r.test.yaml:2: all wrong
        at 2026-01-01T11:00:00Z: T {account_id=A} differs (line 10):
          status
            - expected: resolved
            + got:      firing
          value_at_risk
            - expected: 13
            + got:      12.5
          annotations.summary
            - expected: A called
            + got:      A wrote
        at 2026-01-01T11:00:00Z: expected but missing (line 11): T firing {account_id=C}
        at 2026-01-01T11:00:00Z: not expected: T firing (condition_met) {account_id=B} B wrote
        at 2026-01-01T11:00:00Z: not expected: D pending (waiting_for) {account_id=A}
        at 2026-01-01T11:00:00Z: must be silent (line 12): T {account_id=B}
        at 2026-01-01T11:00:00Z: no data differs:
          rules
            - expected: T
            + got:
note  no test makes T reach: condition_cleared
note  no test makes D reach: condition_met, condition_cleared, condition_not_held
0 of 1 tests passed
`
	if report.Passed() || b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
}

// A story in which a source falls silent holds its alerts; whoever did not mean that is told.
func TestAFailureSaysThatASourceWasSilent(t *testing.T) {
	held := []alert.Transition{{Rule: "R", State: alert.Firing, Identity: map[string]string{"account_id": "A"}}}
	silent := []alert.Run{{Rule: "R", Status: alert.RunNoData, Error: "deals have been silent for 17 days"}}
	out := strings.Join(compare(rules.TestInstant{At: dawn}, held, silent), "\n")
	if !strings.Contains(out, "not expected: R firing") || !strings.Contains(out, "R had no data here, so its alerts hold though their rows are gone: deals have been silent for 17 days") {
		t.Error(out)
	}
	if out := compare(rules.TestInstant{At: dawn, SaysNoData: true, NoData: []string{"R"}}, nil, silent); len(out) > 0 {
		t.Errorf("who meant it is told: %s", out)
	}
}
