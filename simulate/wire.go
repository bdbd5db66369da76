package simulate

import (
	"encoding/json"
	"hash/fnv"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// The wire structs follow deploy/schemas, field by field; a nil pointer is a field that the source did not send.

type wireDeal struct {
	SchemaVersion int              `json:"schema_version,omitempty"`
	EventID       string           `json:"event_id"`
	Revision      int64            `json:"revision,omitempty"`
	OccurredAt    *time.Time       `json:"occurred_at,omitempty"`
	DealID        string           `json:"deal_id"`
	AccountID     string           `json:"account_id"`
	AccountName   string           `json:"account_name,omitempty"`
	Segment       string           `json:"segment,omitempty"`
	ContractID    string           `json:"contract_id,omitempty"`
	RenewalOf     string           `json:"renewal_of,omitempty"`
	Type          churn.DealType   `json:"deal_type,omitempty"`
	Outcome       churn.Outcome    `json:"outcome,omitempty"`
	Currency      string           `json:"currency,omitempty"`
	SignedPrice   *wireMoney       `json:"signed_price,omitempty"`
	ListPrice     *wireMoney       `json:"list_price,omitempty"`
	Anticipated   *wireMoney       `json:"anticipated_price,omitempty"`
	AnnualValue   *wireMoney       `json:"annual_value,omitempty"`
	TermMonths    int              `json:"term_months,omitempty"`
	ClosedAt      time.Time        `json:"closed_at"`
	EndsAt        *time.Time       `json:"ends_at,omitempty"`
	Owners        *wireOwners      `json:"owners,omitempty"`
	Negotiation   *wireNegotiation `json:"negotiation,omitempty"`
	Source        *wireSource      `json:"source,omitempty"`
}

type wireOwners struct {
	AccountExecutive string `json:"account_executive,omitempty"`
	AccountManager   string `json:"account_manager,omitempty"`
	Team             string `json:"team,omitempty"`
}

type wireSource struct {
	System string `json:"system,omitempty"`
	URL    string `json:"url,omitempty"`
}

type wireNegotiation struct {
	OpenedAt           *time.Time        `json:"opened_at,omitempty"`
	Rounds             *int              `json:"rounds,omitempty"`
	ClientConcessions  *[]wireConcession `json:"client_concessions,omitempty"`
	VendorConcessions  *[]wireConcession `json:"vendor_concessions,omitempty"`
	Ultimatums         *int              `json:"ultimatums,omitempty"`
	DeadlinePressure   *bool             `json:"deadline_pressure,omitempty"`
	Escalations        *int              `json:"escalations,omitempty"`
	Tone               *float64          `json:"tone,omitempty"`
	UnresolvedRequests *[]string         `json:"unresolved_requests,omitempty"`
	CommonGround       *[]string         `json:"common_ground,omitempty"`
	Messages           []wireMessage     `json:"messages,omitempty"`
}

type wireConcession struct {
	Term  string     `json:"term,omitempty"`
	Value *wireMoney `json:"value,omitempty"`
}

type wireMessage struct {
	At   *time.Time  `json:"at,omitempty"`
	From churn.Party `json:"from,omitempty"`
	Text string      `json:"text"`
}

type wireTicket struct {
	SchemaVersion int           `json:"schema_version,omitempty"`
	EventID       string        `json:"event_id"`
	Revision      int64         `json:"revision,omitempty"`
	OccurredAt    *time.Time    `json:"occurred_at,omitempty"`
	TicketID      string        `json:"ticket_id"`
	AccountID     string        `json:"account_id"`
	ContractID    string        `json:"contract_id,omitempty"`
	OpenedAt      time.Time     `json:"opened_at"`
	Status        string        `json:"status,omitempty"`
	Priority      string        `json:"priority,omitempty"`
	Channel       string        `json:"channel,omitempty"`
	Subject       string        `json:"subject,omitempty"`
	Body          string        `json:"body,omitempty"`
	Comments      []wireMessage `json:"comments,omitempty"`
	Tags          []string      `json:"tags,omitempty"`
	Category      string        `json:"category,omitempty"`
	Satisfaction  *float64      `json:"satisfaction,omitempty"`
	OutageRelated bool          `json:"outage_related,omitempty"`
	VendorError   bool          `json:"vendor_error,omitempty"`
	Assignee      string        `json:"assignee,omitempty"`
	Source        *wireSource   `json:"source,omitempty"`
}

// wireMoney is an amount as a JSON number or as a decimal string: sources do both.
type wireMoney struct {
	amount string
	number bool
}

func (m wireMoney) MarshalJSON() ([]byte, error) {
	if m.number {
		return []byte(m.amount), nil
	}
	return json.Marshal(m.amount)
}

// encodeDeal writes a deal as its source would. Which of the forms that the schema allows it takes (numbers or strings,
// defaults written or left out) follows from the event_id, so that the same event is always the same bytes.
func encodeDeal(d churn.DealClosed) []byte {
	style := styleOf(d.EventID)
	money := func(m churn.OptionalMoney) *wireMoney { return encodeMoney(m, style.numbers) }
	w := wireDeal{
		SchemaVersion: style.schemaVersion, EventID: d.EventID, Revision: d.Revision, DealID: d.DealID, AccountID: d.AccountID,
		AccountName: d.AccountName, Segment: d.Segment, ContractID: d.ContractID, RenewalOf: d.RenewalOf, Type: d.Type, Outcome: d.Outcome,
		Currency: d.Currency, SignedPrice: money(d.SignedPrice), ListPrice: money(d.ListPrice), Anticipated: money(d.Anticipated),
		AnnualValue: money(d.AnnualValue), TermMonths: d.TermMonths, ClosedAt: d.ClosedAt.UTC(), EndsAt: encodeTime(d.EndsAt),
	}
	if d.ContractID == d.DealID {
		w.ContractID = ""
	}
	if style.terse && d.Type == churn.DealNew {
		w.Type = ""
	}
	if style.terse && d.Outcome == churn.Won {
		w.Outcome = ""
	}
	if !style.terse || !d.OccurredAt.Equal(d.ClosedAt) {
		w.OccurredAt = encodeTime(d.OccurredAt)
	}
	if d.Owners != (churn.Owners{}) {
		w.Owners = (*wireOwners)(&d.Owners)
	}
	if d.Source != (churn.Source{}) {
		w.Source = (*wireSource)(&d.Source)
	}
	if n := d.Negotiation; n != nil {
		w.Negotiation = &wireNegotiation{
			OpenedAt: encodeTime(n.OpenedAt), Rounds: n.Rounds, Ultimatums: n.Ultimatums, DeadlinePressure: n.DeadlinePressure,
			Escalations: n.Escalations, Tone: n.Tone, UnresolvedRequests: n.UnresolvedRequests, CommonGround: n.CommonGround,
			ClientConcessions: encodeConcessions(n.ClientConcessions, style.numbers),
			VendorConcessions: encodeConcessions(n.VendorConcessions, style.numbers),
			Messages:          encodeMessages(n.Messages),
		}
	}
	return mustJSON(w)
}

func encodeTicket(t churn.SupportTicket) []byte {
	style := styleOf(t.EventID)
	w := wireTicket{
		SchemaVersion: style.schemaVersion, EventID: t.EventID, Revision: t.Revision, TicketID: t.TicketID, AccountID: t.AccountID,
		ContractID: t.ContractID, OpenedAt: t.OpenedAt.UTC(), Status: t.Status, Priority: t.Priority, Channel: t.Channel,
		Subject: t.Subject, Body: t.Body, Comments: encodeMessages(t.Comments), Tags: t.Tags, Category: t.Category,
		Satisfaction: t.Satisfaction, OutageRelated: t.OutageRelated, VendorError: t.VendorError, Assignee: t.Assignee,
	}
	if !style.terse || !t.OccurredAt.Equal(t.OpenedAt) {
		w.OccurredAt = encodeTime(t.OccurredAt)
	}
	if t.Source != (churn.Source{}) {
		w.Source = (*wireSource)(&t.Source)
	}
	return mustJSON(w)
}

type style struct {
	numbers, terse bool
	schemaVersion  int
}

func styleOf(eventID string) style {
	h := fnv.New32a()
	h.Write([]byte(eventID))
	bits := h.Sum32()
	s := style{numbers: bits&1 == 0, terse: bits&2 == 0}
	if bits&4 == 0 {
		s.schemaVersion = churn.SchemaVersion
	}
	return s
}

func encodeTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func encodeMoney(m churn.OptionalMoney, number bool) *wireMoney {
	if !m.Known {
		return nil
	}
	return &wireMoney{m.String(), number}
}

func encodeConcessions(all *[]churn.Concession, number bool) *[]wireConcession {
	if all == nil {
		return nil
	}
	out := make([]wireConcession, len(*all))
	for i, c := range *all {
		out[i] = wireConcession{c.Term, encodeMoney(c.Value, number)}
	}
	return &out
}

func encodeMessages(all []churn.Message) []wireMessage {
	out := make([]wireMessage, len(all))
	for i, m := range all {
		out[i] = wireMessage{encodeTime(m.At), m.From, m.Text}
	}
	return out
}

func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("simulate: " + err.Error()) // plain structs of strings and finite numbers
	}
	return raw
}
