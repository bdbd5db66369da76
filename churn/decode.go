package churn

import (
	"math"
	"time"
)

// DecodeDeal reads one DealClosed v1 and validates it. occurredAt is the time that the transport gave (CloudEvents),
// zero where it gave none. The error is always a *Rejection. Unknown fields are ignored. The texts of the deal are parts of the
// value, which must not be changed while the deal is in use.
func DecodeDeal(value []byte, occurredAt time.Time) (DealClosed, error) {
	s := newScanner(value)
	d := DealClosed{SchemaVersion: SchemaVersion, Type: DealNew, Outcome: Won}
	s.object(func(key string) {
		switch key {
		case "schema_version":
			s.schemaVersion(key)
		case "event_id":
			d.EventID = s.name(key)
		case "revision":
			d.Revision, _ = s.integer(key, math.MinInt64, math.MaxInt64)
		case "occurred_at":
			d.OccurredAt = s.instant(key)
		case "deal_id":
			d.DealID = s.name(key)
		case "account_id":
			d.AccountID = s.name(key)
		case "account_name":
			d.AccountName = s.name(key)
		case "segment":
			d.Segment = s.name(key)
		case "contract_id":
			d.ContractID = s.name(key)
		case "renewal_of":
			d.RenewalOf = s.name(key)
		case "deal_type":
			if v := s.oneOf(key, string(DealNew), string(DealRenewal), string(DealExpansion), string(DealDowngrade)); v != "" {
				d.Type = DealType(v)
			}
		case "outcome":
			if v := s.oneOf(key, string(Won), string(Lost)); v != "" {
				d.Outcome = Outcome(v)
			}
		case "currency":
			d.Currency = s.currency(key)
		case "signed_price":
			d.SignedPrice = s.money(key)
		case "list_price":
			d.ListPrice = s.money(key)
		case "anticipated_price":
			d.Anticipated = s.money(key)
		case "annual_value":
			d.AnnualValue = s.money(key)
		case "term_months":
			d.TermMonths = s.months(key)
		case "closed_at":
			d.ClosedAt = s.instant(key)
		case "ends_at":
			d.EndsAt = s.instant(key)
		case "owners":
			d.Owners = s.owners(key)
		case "negotiation":
			d.Negotiation = s.negotiation(key)
		case "source":
			d.Source = s.source(key)
		default:
			s.skip()
		}
	})
	s.end()
	s.completeDeal(&d)
	if s.err != nil {
		return DealClosed{}, s.err
	}
	if d.ContractID == "" {
		d.ContractID = d.DealID
	}
	d.OccurredAt = firstKnown(d.OccurredAt, occurredAt, d.ClosedAt)
	return d, nil
}

func (s *scanner) currency(field string) string {
	code := s.name(field)
	if code != "" && !KnownCurrency(code) {
		s.fail(CodeBadValue, field, "%s is not a currency of ISO 4217", shortQuote(code))
	}
	return code
}

func (s *scanner) months(field string) int {
	months, _ := s.integer(field, 1, 1200)
	return int(months)
}

// completeDeal fails a deal that lacks what it needs, or whose fields contradict one another.
func (s *scanner) completeDeal(d *DealClosed) {
	s.require("event_id", d.EventID == "")
	s.require("deal_id", d.DealID == "")
	s.require("account_id", d.AccountID == "")
	s.require("closed_at", d.ClosedAt.IsZero())
	if d.Outcome == Won {
		s.require("currency", d.Currency == "")
		s.require("signed_price", !d.SignedPrice.Known)
	}
	if !d.EndsAt.IsZero() && !d.EndsAt.After(d.ClosedAt) {
		s.fail(CodeBadInterval, "ends_at", "%s is not after closed_at %s", d.EndsAt.Format(time.RFC3339), d.ClosedAt.Format(time.RFC3339))
	}
}

// DecodeTicket reads one SupportTicket v1 and validates it, as DecodeDeal does for deals.
func DecodeTicket(value []byte, occurredAt time.Time) (SupportTicket, error) {
	s := newScanner(value)
	t := SupportTicket{SchemaVersion: SchemaVersion}
	s.object(func(key string) {
		switch key {
		case "schema_version":
			s.schemaVersion(key)
		case "event_id":
			t.EventID = s.name(key)
		case "revision":
			t.Revision, _ = s.integer(key, math.MinInt64, math.MaxInt64)
		case "occurred_at":
			t.OccurredAt = s.instant(key)
		case "ticket_id":
			t.TicketID = s.name(key)
		case "account_id":
			t.AccountID = s.name(key)
		case "contract_id":
			t.ContractID = s.name(key)
		case "opened_at":
			t.OpenedAt = s.instant(key)
		case "status":
			t.Status = s.name(key)
		case "priority":
			t.Priority = s.name(key)
		case "channel":
			t.Channel = s.name(key)
		case "subject":
			t.Subject = s.text(key)
		case "body":
			t.Body = s.text(key)
		case "comments":
			t.Comments = s.messages(key)
		case "tags":
			if tags := s.texts(key); tags != nil {
				t.Tags = *tags
			}
		case "category":
			t.Category = s.name(key)
		case "satisfaction":
			t.Satisfaction = s.number(key, -math.MaxFloat64, math.MaxFloat64)
		case "outage_related":
			t.OutageRelated = s.truth(key)
		case "vendor_error":
			t.VendorError = s.truth(key)
		case "assignee":
			t.Assignee = s.name(key)
		case "source":
			t.Source = s.source(key)
		default:
			s.skip()
		}
	})
	s.end()
	s.require("event_id", t.EventID == "")
	s.require("ticket_id", t.TicketID == "")
	s.require("account_id", t.AccountID == "")
	s.require("opened_at", t.OpenedAt.IsZero())
	if s.err != nil {
		return SupportTicket{}, s.err
	}
	t.OccurredAt = firstKnown(t.OccurredAt, occurredAt, t.OpenedAt)
	return t, nil
}

func firstKnown(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t.UTC().Truncate(time.Millisecond)
		}
	}
	return time.Time{}
}

func (s *scanner) require(field string, absent bool) {
	if absent {
		s.fail(CodeMissingField, field, "is required")
	}
}

func (s *scanner) truth(field string) bool {
	v := s.boolean(field)
	return v != nil && *v
}

func (s *scanner) schemaVersion(field string) {
	if v, given := s.integer(field, math.MinInt64, math.MaxInt64); given && v != SchemaVersion {
		s.fail(CodeUnsupportedSchema, field, "%d is not known to this build, which reads %d", v, SchemaVersion)
	}
}

// fields reads an optional object under a field's name and reports whether there was one.
func (s *scanner) fields(field string, visit func(key string)) bool {
	if s.null() || !s.is(field, "an object", "{") {
		return false
	}
	s.in(field, func() { s.object(visit) })
	return true
}

// list reads an optional list under a field's name and reports whether there was one.
func (s *scanner) list(field string, visit func(i int)) bool {
	if s.null() || !s.is(field, "a list", "[") {
		return false
	}
	s.array(visit)
	return true
}

func (s *scanner) owners(field string) (o Owners) {
	s.fields(field, func(key string) {
		switch key {
		case "account_executive":
			o.AccountExecutive = s.name(key)
		case "account_manager":
			o.AccountManager = s.name(key)
		case "team":
			o.Team = s.name(key)
		default:
			s.skip()
		}
	})
	return o
}

func (s *scanner) source(field string) (src Source) {
	s.fields(field, func(key string) {
		switch key {
		case "system":
			src.System = s.name(key)
		case "url":
			src.URL = s.text(key)
		default:
			s.skip()
		}
	})
	return src
}

func (s *scanner) negotiation(field string) *Negotiation {
	var n Negotiation
	given := s.fields(field, func(key string) {
		switch key {
		case "opened_at":
			n.OpenedAt = s.instant(key)
		case "rounds":
			n.Rounds = s.count(key)
		case "client_concessions":
			n.ClientConcessions = s.concessions(key)
		case "vendor_concessions":
			n.VendorConcessions = s.concessions(key)
		case "ultimatums":
			n.Ultimatums = s.count(key)
		case "deadline_pressure":
			n.DeadlinePressure = s.boolean(key)
		case "escalations":
			n.Escalations = s.count(key)
		case "tone":
			n.Tone = s.number(key, -1, 1)
		case "unresolved_requests":
			n.UnresolvedRequests = s.texts(key)
		case "common_ground":
			n.CommonGround = s.texts(key)
		case "messages":
			n.Messages = s.messages(key)
		default:
			s.skip()
		}
	})
	if !given {
		return nil
	}
	return &n
}

func (s *scanner) concessions(field string) *[]Concession {
	all := []Concession{}
	given := s.list(field, func(int) {
		var c Concession
		given := s.fields(field, func(key string) {
			switch key {
			case "term":
				c.Term = s.text(key)
			case "value":
				c.Value = s.money(key)
			default:
				s.skip()
			}
		})
		if given { // a null is no concession
			all = append(all, c)
		}
	})
	if !given {
		return nil
	}
	return &all
}

func (s *scanner) texts(field string) *[]string {
	all := []string{}
	given := s.list(field, func(int) {
		if s.is(field, "a list of strings", `"`) {
			all = append(all, s.text(field))
		}
	})
	if !given {
		return nil
	}
	return &all
}

func (s *scanner) messages(field string) []Message {
	var all []Message
	s.list(field, func(int) {
		var m Message
		given := s.fields(field, func(key string) {
			switch key {
			case "at":
				m.At = s.instant(key)
			case "from":
				m.From = Party(s.oneOf(key, string(Client), string(Vendor)))
			case "text":
				m.Text = s.text(key)
			default:
				s.skip()
			}
		})
		if given {
			all = append(all, m)
		}
	})
	return all
}
