package simulate

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Truth lines, told apart by their type. Times are RFC 3339; a time is absent where the thing did not happen before To.

type accountTruth struct {
	Type      string     `json:"type"` // account
	AccountID string     `json:"account_id"`
	Segment   string     `json:"segment"`
	Team      string     `json:"team"`
	Prospect  bool       `json:"prospect,omitempty"` // never became a client
	Group     string     `json:"group,omitempty"`    // soft, firm, hard: how its first contract was negotiated
	Hazard    float64    `json:"hazard,omitempty"`   // of losing the first contract, a year
	Contracts []string   `json:"contracts"`          // as its source names them, in the order in which they began
	JoinedAt  time.Time  `json:"joined_at"`
	ChurnedAt *time.Time `json:"churned_at,omitempty"` // the last of its contracts was lost
	Deals     int        `json:"deals"`
	Tickets   int        `json:"tickets"`
	Attempts  int        `json:"attempts"`
}

type dealTruth struct {
	Type       string         `json:"type"` // deal
	DealID     string         `json:"deal_id"`
	AccountID  string         `json:"account_id"`
	ContractID string         `json:"contract_id"`
	DealType   churn.DealType `json:"deal_type"`
	Outcome    churn.Outcome  `json:"outcome"`
	ClosedAt   time.Time      `json:"closed_at"`
	Group      string         `json:"group"`             // soft, firm, hard: as it was negotiated
	Intensity  float64        `json:"intensity"`         // 0..1, what the group is cut from
	Hazard     float64        `json:"hazard,omitempty"`  // of loss, a year; of won new and renewal deals
	LostAt     *time.Time     `json:"lost_at,omitempty"` // churned_at of the contract that this deal began
	EndsAt     *time.Time     `json:"ends_at,omitempty"` // as agreed
	OverAt     *time.Time     `json:"over_at,omitempty"` // renewed or lost: the end of exposure to the hazard
	Attempts   int            `json:"attempts,omitempty"`
	Late       bool           `json:"late,omitempty"`
	Mistake    string         `json:"mistake,omitempty"` // of the first event, corrected later
}

type ticketTruth struct {
	Type       string     `json:"type"` // ticket
	TicketID   string     `json:"ticket_id"`
	AccountID  string     `json:"account_id"`
	OpenedAt   time.Time  `json:"opened_at"`
	AttemptAt  *time.Time `json:"attempt_at,omitempty"` // when its classified words were said: in a comment where later than opened_at
	Topic      string     `json:"topic"`
	Classes    []string   `json:"classes"`           // that the text was written for; empty: no attempt
	DealID     string     `json:"deal_id,omitempty"` // whose contract the attempt reopens
	ContractID string     `json:"contract_id,omitempty"`
	Names      string     `json:"names"` // which contract the ticket names: its own, foreign or none
	Late       bool       `json:"late,omitempty"`
	Mistake    string     `json:"mistake,omitempty"`
}

// recordTruth is a record known in [From, To) that is more than the first event about a fact.
type recordTruth struct {
	Type      string     `json:"type"` // record
	EventID   string     `json:"event_id"`
	Kind      Kind       `json:"kind"`
	AccountID string     `json:"account_id"`
	KnownAt   time.Time  `json:"known_at"`
	Form      string     `json:"form"` // correction; duplicate with the same bytes or altered; broken
	Broken    churn.Code `json:"broken,omitempty"`
}

// Summary is the last line of the truth. Records are those known in [From, To); what else is counted happened before To.
type Summary struct {
	Type        string             `json:"type"` // summary
	Seed        uint64             `json:"seed"`
	HazardRatio float64            `json:"hazard_ratio"`
	From        time.Time          `json:"from"`
	To          time.Time          `json:"to"`
	Accounts    int                `json:"accounts"`
	Deals       int                `json:"deals"`
	Tickets     int                `json:"tickets"`
	Attempts    int                `json:"attempts"`
	Lost        int                `json:"lost"` // contracts
	Classes     map[string]int     `json:"classes"`
	Groups      map[string]int     `json:"groups"`         // of won new and renewal deals
	Churned     map[string]int     `json:"churned"`        // those of them that were lost
	Exposure    map[string]float64 `json:"exposure_years"` // of them to the hazard: churned over exposure estimates it
	Late        int                `json:"late"`           // facts
	Corrected   int                `json:"corrected"`
	Records     int                `json:"records"`
	Duplicates  int                `json:"duplicates"`
	Corrections int                `json:"corrections"`
	Broken      map[churn.Code]int `json:"broken"`
}

// Truth is what really happened in a world before To.
type Truth struct {
	config Config
	plan   schedule
}

// Truth works out what really happened.
func (s *Simulation) Truth() Truth { return Truth{s.config, s.config.schedule(s.config.To)} }

// WriteTruth writes the truth without keeping it.
func (s *Simulation) WriteTruth(w io.Writer) error { return s.Truth().Write(w) }

// Summary counts what happened.
func (t Truth) Summary() Summary {
	sum, _ := t.each(func(any) error { return nil }) // only the visit can fail
	return sum
}

// Write writes JSON lines: each account followed by its deals and tickets, then each record that is a correction, a
// duplicate or broken, and a Summary at the end.
func (t Truth) Write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	sum, err := t.each(lines.Encode)
	if err == nil {
		err = lines.Encode(sum)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("writing the truth: %w", err)
	}
	return nil
}

// each visits every line but the summary, which it returns.
func (t Truth) each(visit func(line any) error) (Summary, error) {
	c, plan := &t.config, &t.plan
	sum := Summary{Type: "summary", Seed: c.Seed, HazardRatio: c.HazardRatio, From: c.From, To: c.To, Classes: map[string]int{},
		Groups: map[string]int{}, Churned: map[string]int{}, Exposure: map[string]float64{}, Broken: map[churn.Code]int{}}
	for i := range plan.lives {
		for _, line := range c.truth(&plan.lives[i], &sum) {
			if err := visit(line); err != nil {
				return sum, err
			}
		}
	}
	var codes rotation
	for _, x := range plan.shipments {
		sum.Records++
		if x.form == first {
			continue
		}
		l := &plan.lives[x.account]
		line := recordTruth{Type: "record", EventID: eventID(l, plan.number(x), x), Kind: plan.kind(x), AccountID: l.id(), KnownAt: x.knownAt(), Form: x.form.String()}
		switch x.form {
		case repeated, altered:
			sum.Duplicates++
		case correction:
			sum.Corrections++
		case broken:
			line.Broken = codes.next(line.Kind)
			sum.Broken[line.Broken]++
		}
		if err := visit(line); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// truth returns the lines about one account and counts them.
func (c *Config) truth(l *life, sum *Summary) []any {
	a := accountTruth{Type: "account", AccountID: l.id(), Segment: segments[l.segment], Team: teamNames[l.team], Prospect: l.prospect,
		JoinedAt: l.joined, ChurnedAt: encodeTime(l.churnedAt), Deals: len(l.deals), Tickets: len(l.tickets), Contracts: []string{}}
	attempts := map[int]int{} // by deal
	lines := []any{nil}
	for i := range l.tickets {
		t := &l.tickets[i]
		if t.topic.attempt() {
			a.Attempts++
			attempts[t.about]++
		}
	}
	for i := range l.deals {
		d := &l.deals[i]
		j := c.travel(Deal, l.index, d.n)
		line := dealTruth{Type: "deal", DealID: l.dealID(d.n), AccountID: a.AccountID, ContractID: l.contractID(d.contract), DealType: d.typ,
			Outcome: d.outcome, ClosedAt: d.closedAt, Group: d.group.String(), Intensity: d.hardness, Hazard: d.hazard,
			LostAt: encodeTime(d.lostAt), Attempts: attempts[i], Late: j.late, Mistake: j.mistake.String()}
		if d.base() {
			line.EndsAt = encodeTime(d.endsAt)
			if a.Group == "" {
				a.Group, a.Hazard = line.Group, d.hazard
			}
			if !slices.Contains(a.Contracts, line.ContractID) {
				a.Contracts = append(a.Contracts, line.ContractID)
			}
			sum.Groups[line.Group]++
			sum.Exposure[line.Group] += churn.Earlier(d.overAt, c.To).Sub(d.closedAt).Hours() / year.Hours()
			if d.overAt.Before(c.To) {
				line.OverAt = encodeTime(d.overAt)
			}
		}
		if !d.lostAt.IsZero() {
			sum.Lost++
			sum.Churned[line.Group]++
		}
		sum.count(j)
		lines = append(lines, line)
	}
	for i := range l.tickets {
		t := &l.tickets[i]
		j := c.travel(Ticket, l.index, t.n)
		line := ticketTruth{Type: "ticket", TicketID: l.ticketID(t.n), AccountID: a.AccountID, OpenedAt: t.openedAt, Topic: t.topic.String(),
			Classes: t.classes(), Names: "its own", Late: j.late, Mistake: j.mistake.String()}
		switch t.contract {
		case noContract:
			line.Names = "none"
		case foreignContract:
			line.Names = "foreign"
		}
		if t.about >= 0 {
			line.AttemptAt = encodeTime(c.attemptAt(l, t))
			d := &l.deals[t.about]
			line.DealID, line.ContractID = l.dealID(d.n), l.contractID(d.contract)
		}
		for _, class := range line.Classes {
			sum.Classes[class]++
		}
		sum.count(j)
		lines = append(lines, line)
	}
	lines[0] = a
	sum.Accounts++
	sum.Deals += a.Deals
	sum.Tickets += a.Tickets
	sum.Attempts += a.Attempts
	return lines
}

func (s *Summary) count(j journey) {
	if j.late {
		s.Late++
	}
	if j.mistake != noMistake {
		s.Corrected++
	}
}

// ReadTerms reads the terms of contracts, and what really became of them, from what Write wrote.
func ReadTerms(r io.Reader) ([]churn.Term, error) {
	var terms []churn.Term
	last := map[string]int{} // the term that a contract is in, by account and contract
	lines := json.NewDecoder(r)
	for n := 1; ; n++ {
		var line json.RawMessage
		var kind struct{ Type string }
		var d dealTruth
		err := lines.Decode(&line)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = json.Unmarshal(line, &kind)
		}
		if err == nil && kind.Type == "deal" {
			err = json.Unmarshal(line, &d)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if d.Type != "deal" || d.Outcome != churn.Won {
			continue
		}
		key := d.AccountID + "\x00" + d.ContractID
		if i, held := last[key]; held && d.DealType == churn.DealDowngrade {
			if t := &terms[i]; t.DowngradedAt.IsZero() || d.ClosedAt.Before(t.DowngradedAt) {
				t.DowngradedAt = d.ClosedAt
			}
		}
		if !d.DealType.Base() {
			continue
		}
		if d.EndsAt == nil {
			return nil, fmt.Errorf("line %d: deal %s says no ends_at: is it of an older version? try aftershock simulate --truth", n, d.DealID)
		}
		t := churn.Term{AccountID: d.AccountID, ContractID: d.ContractID, DealID: d.DealID, ClosedAt: d.ClosedAt, EndsAt: *d.EndsAt, Fate: churn.Open}
		switch {
		case d.LostAt != nil:
			t.Fate, t.OverAt = churn.Churned, *d.LostAt
		case d.OverAt != nil:
			t.Fate, t.OverAt = churn.Renewed, *d.OverAt
		}
		last[key] = len(terms)
		terms = append(terms, t)
	}
	if len(terms) == 0 {
		return nil, errors.New("no term of a contract stands in it: it is not what aftershock simulate --truth writes")
	}
	return terms, nil
}

// base reports whether the deal begins a time of exposure to the hazard of loss.
func (d *deal) base() bool { return d.outcome == churn.Won && d.typ.Base() }

func (t *ticket) classes() []string {
	all := []string{}
	for _, k := range []topic{t.topic, t.second} {
		if k != noTopic && k.attempt() {
			all = append(all, k.String())
		}
	}
	return all
}

// TermsIn reads what really became of contracts out of a file that WriteTruth wrote.
func TermsIn(path string) ([]churn.Term, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the truth: %w", err)
	}
	defer f.Close()
	terms, err := ReadTerms(f)
	if err != nil {
		return nil, fmt.Errorf("reading the truth %s: %w", path, err)
	}
	return terms, nil
}
