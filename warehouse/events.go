package warehouse

import (
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/aftershock/aftershock/churn"
)

// NewDealBlock makes an empty block of deal_events.
func (w *Warehouse) NewDealBlock() churn.Batch[churn.DealEvent] { return newDealBlock() }

// NewTicketBlock makes an empty block of ticket_events.
func (w *Warehouse) NewTicketBlock() churn.Batch[churn.TicketEvent] { return newTicketBlock() }

// newDealBlock has the columns of insert_deals.sql.
func newDealBlock() *block[churn.DealEvent] {
	type D = churn.DealEvent
	type C = churn.Contribution
	b := &block[D]{}
	b.text("account_id", func(e *D) string { return e.AccountID })
	b.text("deal_id", func(e *D) string { return e.DealID })
	b.text("event_id", func(e *D) string { return e.EventID })
	b.int64("revision", func(e *D) int64 { return e.Revision })
	b.time("occurred_at", func(e *D) time.Time { return e.OccurredAt })
	b.text("account_name", func(e *D) string { return e.AccountName })
	b.word("segment", func(e *D) string { return e.Segment })
	b.text("contract_id", func(e *D) string { return e.ContractID })
	b.text("renewal_of", func(e *D) string { return e.RenewalOf })
	b.word("deal_type", func(e *D) string { return string(e.Type) })
	b.word("outcome", func(e *D) string { return string(e.Outcome) })
	b.word("currency", func(e *D) string { return e.Currency })
	b.money("signed_price", func(e *D) churn.OptionalMoney { return e.SignedPrice })
	b.money("list_price", func(e *D) churn.OptionalMoney { return e.ListPrice })
	b.money("anticipated_price", func(e *D) churn.OptionalMoney { return e.Anticipated })
	b.money("annual_value", func(e *D) churn.OptionalMoney { return e.AnnualValue })
	b.uint16("term_months", func(e *D) uint16 { return uint16(e.TermMonths) })
	b.time("closed_at", func(e *D) time.Time { return e.ClosedAt })
	b.time("ends_at", func(e *D) time.Time { return churn.ContractEnd(e.ClosedAt, e.EndsAt, e.TermMonths) })
	b.bool("ends_at_given", func(e *D) bool { return !e.EndsAt.IsZero() })
	b.text("account_executive", func(e *D) string { return e.Owners.AccountExecutive })
	b.text("account_manager", func(e *D) string { return e.Owners.AccountManager })
	b.word("team", func(e *D) string { return e.Owners.Team })
	b.bool("negotiation_known", func(e *D) bool { return e.Negotiation != nil })
	b.maybeFloat("hardness", func(e *D) *float64 {
		if e.Hardness.Band == churn.BandUnknown {
			return nil
		}
		return &e.Hardness.Score
	})
	b.word("band", func(e *D) string { return string(e.Hardness.Band) })
	b.float("coverage", func(e *D) float64 { return e.Hardness.Coverage })
	contributions := func(e *D) []C { return e.Hardness.Contributions }
	several(b, "components", newWords(), contributions, func(c *C) string { return c.Component })
	several(b, "component_values", new(proto.ColFloat64), contributions, func(c *C) float64 { return c.Value })
	several(b, "component_points", new(proto.ColFloat64), contributions, func(c *C) float64 { return c.Points })
	several(b, "component_evidence", new(proto.ColStr), contributions, func(c *C) string { return c.Evidence })
	several(b, "missing", newWords(), func(e *D) []string { return e.Hardness.Missing }, itself)
	b.maybeFloat("discount_depth", func(e *D) *float64 { return e.Hardness.DiscountDepth })
	b.word("model_version", func(e *D) string { return e.Hardness.ModelVersion })
	b.word("source_system", func(e *D) string { return e.Source.System })
	b.text("source_url", func(e *D) string { return e.Source.URL })
	b.stamp(func(e *D) *churn.Stamp { return &e.Stamp })
	return b
}

// newTicketBlock has the columns of insert_tickets.sql.
func newTicketBlock() *block[churn.TicketEvent] {
	type T = churn.TicketEvent
	type F = churn.Finding
	b := &block[T]{}
	b.text("account_id", func(e *T) string { return e.AccountID })
	b.text("ticket_id", func(e *T) string { return e.TicketID })
	b.text("event_id", func(e *T) string { return e.EventID })
	b.int64("revision", func(e *T) int64 { return e.Revision })
	b.time("occurred_at", func(e *T) time.Time { return e.OccurredAt })
	b.text("contract_id", func(e *T) string { return e.ContractID })
	b.time("opened_at", func(e *T) time.Time { return e.OpenedAt })
	b.word("status", func(e *T) string { return e.Status })
	b.word("priority", func(e *T) string { return e.Priority })
	b.word("channel", func(e *T) string { return e.Channel })
	b.text("subject", func(e *T) string { return e.Subject })
	several(b, "tags", newWords(), func(e *T) []string { return e.Tags }, itself)
	b.word("category", func(e *T) string { return e.Category })
	b.maybeFloat("satisfaction", func(e *T) *float64 { return e.Satisfaction })
	b.bool("outage_related", func(e *T) bool { return e.OutageRelated })
	b.bool("vendor_error", func(e *T) bool { return e.VendorError })
	b.text("assignee", func(e *T) string { return e.Assignee })
	b.bool("is_attempt", func(e *T) bool { return len(e.Attempt.Findings) > 0 })
	b.time("attempt_at", func(e *T) time.Time {
		if len(e.Attempt.Findings) == 0 {
			return e.OpenedAt
		}
		return e.Attempt.At
	})
	findings := func(e *T) []F { return e.Attempt.Findings }
	several(b, "classes", newWords(), findings, func(f *F) string { return f.Class })
	several(b, "strengths", newWords(), findings, func(f *F) string { return string(f.Strength) })
	several(b, "confidences", new(proto.ColFloat64), findings, func(f *F) float64 { return f.Confidence })
	several(b, "quotes", new(proto.ColStr), findings, func(f *F) string { return f.Quote })
	several(b, "found_by", newWords(), findings, func(f *F) string { return f.Rule })
	several(b, "confirmatory", new(proto.ColBool), findings, func(f *F) bool { return f.Confirmatory })
	b.word("model_version", func(e *T) string { return e.Attempt.ModelVersion })
	b.word("source_system", func(e *T) string { return e.Source.System })
	b.text("source_url", func(e *T) string { return e.Source.URL })
	b.stamp(func(e *T) *churn.Stamp { return &e.Stamp })
	return b
}

func itself(s *string) string { return *s }
