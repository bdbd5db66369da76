package simulate

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
)

func TestEveryBreakageIsRefusedAsItSays(t *testing.T) {
	good := map[Kind][]byte{}
	for r := range world(t, nil).Records() {
		if r.Broken == "" && good[r.Kind] == nil {
			good[r.Kind] = r.Value
		}
	}
	for kind, codes := range map[Kind][]churn.Code{Deal: dealBreakages, Ticket: ticketBreakages} {
		for _, code := range append([]churn.Code{churn.CodeTextTooLong}, codes...) {
			for turn := range 12 {
				value := breakValue(kind, good[kind], code, turn)
				var refused *churn.Rejection
				if err := decode(Record{Kind: kind, Value: value}); !errors.As(err, &refused) || refused.Code != code {
					t.Errorf("%s, %s, turn %d: %v\n%.300s", kind, code, turn, err, value)
				}
			}
		}
	}
}

// said is what records have in common that these tests read.
type said struct {
	DealID     string    `json:"deal_id"`
	TicketID   string    `json:"ticket_id"`
	AccountID  string    `json:"account_id"`
	Revision   int64     `json:"revision"`
	OccurredAt time.Time `json:"occurred_at"`
	OpenedAt   time.Time `json:"opened_at"`
	ClosedAt   time.Time `json:"closed_at"`
	Signed     any       `json:"signed_price"`
	Body       string    `json:"body"`
}

func read(t *testing.T, r Record) (v said) {
	t.Helper()
	if err := json.Unmarshal(r.Value, &v); err != nil {
		t.Fatalf("%s: %v", r.EventID, err)
	}
	if v.OccurredAt.IsZero() {
		v.OccurredAt = v.ClosedAt
		if r.Kind == Ticket {
			v.OccurredAt = v.OpenedAt
		}
	}
	return v
}

func TestLateRecordsAreDaysLate(t *testing.T) {
	late := 0
	for r := range world(t, nil).Records() {
		if r.Broken != "" || r.Duplicate {
			continue
		}
		delay := r.KnownAt.Sub(read(t, r).OccurredAt)
		if r.Late && (delay < day || delay > 31*day) || !r.Late && (delay < 0 || delay > 2*time.Hour) {
			t.Fatalf("%s is known %s after it occurred, late: %v", r.EventID, delay, r.Late)
		}
		late += one(r.Late)
	}
	if late == 0 {
		t.Error("nothing is late")
	}
}

func TestCorrectionsChangeWhatTheySay(t *testing.T) {
	firsts := map[string]said{}
	changed := map[string]int{}
	for r := range world(t, func(c *Config) { c.CorrectedShare = 0.3 }).Records() {
		if r.Broken != "" {
			continue
		}
		now := read(t, r)
		id := now.DealID + now.TicketID
		before, known := firsts[id]
		if !r.Correction {
			if now.Revision != 0 {
				t.Fatalf("%s has revision %d and is no correction", r.EventID, now.Revision)
			}
			firsts[id] = now
			continue
		}
		if !known || now.Revision <= before.Revision {
			t.Fatalf("%s: revision %d after %d", r.EventID, now.Revision, before.Revision)
		}
		changed["account"] += one(now.AccountID != before.AccountID)
		changed["amount"] += one(now.Signed != before.Signed)
		changed["date"] += one(!now.ClosedAt.Equal(before.ClosedAt))
		changed["text"] += one(now.Body != before.Body)
	}
	for _, what := range []string{"account", "amount", "date", "text"} {
		if changed[what] == 0 {
			t.Errorf("no correction of %s: %v", what, changed)
		}
	}
}

// The lines about records must be those that Records gives, and the summary must count the lines.
func TestTruthAgreesWithRecords(t *testing.T) {
	s := world(t, func(c *Config) { c.BrokenShare = 0.03 })
	var out bytes.Buffer
	if err := s.Truth().Write(&out); err != nil {
		t.Fatal(err)
	}
	type key struct {
		event, form string
		code        churn.Code
		at          time.Time
	}
	lines := map[key]int{}
	accounts := map[string]int{}
	var sum Summary
	for line := range strings.Lines(out.String()) {
		var v struct {
			recordTruth
			Group     string   `json:"group"`
			Prospect  bool     `json:"prospect"`
			Contracts []string `json:"contracts"`
		}
		if strings.Contains(line, `"type":"summary"`) {
			if err := json.Unmarshal([]byte(line), &sum); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		switch v.Type {
		case "account":
			accounts[v.AccountID]++
			if v.Prospect != (v.Group == "") || v.Prospect != (len(v.Contracts) == 0) {
				t.Errorf("a client has a group and contracts, a prospect has none: %s", line)
			}
		case "record":
			lines[key{v.EventID, v.Form, v.Broken, v.KnownAt}]++
		}
	}
	if sum.Type != "summary" || len(accounts) != sum.Accounts || sum.Accounts != s.config.Accounts {
		t.Fatalf("%d accounts, the summary says %+v", len(accounts), sum)
	}
	special, codes := 0, map[churn.Code]int{}
	for r := range s.Records() {
		forms := []string{"correction"}
		switch {
		case r.Broken != "":
			forms = []string{"broken"}
			codes[r.Broken]++
		case r.Duplicate:
			forms = []string{"duplicate", "altered"}
		case !r.Correction:
			continue
		}
		special++
		found := 0
		for _, form := range forms {
			found += lines[key{r.EventID, form, r.Broken, r.KnownAt}]
		}
		if found != 1 {
			t.Errorf("%d lines about %s (%s)", found, r.EventID, r.Broken)
		}
	}
	if special != len(lines) {
		t.Errorf("%d lines about %d records", len(lines), special)
	}
	for code, n := range codes {
		if sum.Broken[code] != n {
			t.Errorf("%s: the summary says %d of %d", code, sum.Broken[code], n)
		}
	}
	churned, groups := 0, 0
	for g, n := range sum.Groups {
		groups += n
		churned += sum.Churned[g]
		if n == 0 || sum.Churned[g] == 0 || sum.Exposure[g] <= 0 {
			t.Errorf("group %s is empty: %+v", g, sum)
		}
	}
	if churned != sum.Lost || groups == 0 {
		t.Errorf("%d churned by group, %d in all", churned, sum.Lost)
	}
}

func TestSomeAttemptsAreMadeInComments(t *testing.T) {
	c := world(t, func(c *Config) { c.AttemptRate = 3 }).config
	attempts, later := 0, 0
	for i := range c.Accounts {
		l := c.live(i, c.To)
		for n := range l.tickets {
			x := &l.tickets[n]
			if !x.topic.attempt() {
				continue
			}
			attempts++
			at := c.attemptAt(&l, x)
			if at.Equal(x.openedAt) {
				continue
			}
			later++
			comment := c.ticketFact(&l, x, x.topic).Comments[attemptComment]
			if comment.From != churn.Client || !comment.At.Equal(at) || c.toldAt(&l, x).Before(at) {
				t.Fatalf("ticket %s: the attempt at %s does not stand in %+v", l.ticketID(x.n), at, comment)
			}
		}
	}
	if share := float64(later) / float64(attempts); share < 0.05 || share > 0.2 {
		t.Errorf("%d of %d attempts stand in comments", later, attempts)
	}
}
