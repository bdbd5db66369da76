package warehouse

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/aftershock/aftershock/churn"
)

// events is a table of events, which consumers gather in batches.
type events[E any] struct {
	table[E]
	what  string // for errors
	stamp func(*E) *churn.Stamp
}

// eventBatch is a batch of events, as churn.Batch describes it.
type eventBatch[E any] struct {
	*batch[E]
	stamp   func(*E) *churn.Stamp
	known   *proto.ColDateTime64
	payload *proto.ColStr
	undated []int // rows that get their stamp when they are stored
}

func (t *events[E]) open() churn.Batch[E] {
	b := &eventBatch[E]{batch: t.batch(), stamp: t.stamp}
	b.known, b.payload = b.column("known_at").(*proto.ColDateTime64), b.column("payload").(*proto.ColStr)
	return b
}

func (b *eventBatch[E]) Add(event *E) {
	if b.stamp(event).KnownAt.IsZero() {
		b.undated = append(b.undated, b.rows)
	}
	b.batch.Add(event)
}

func (b *eventBatch[E]) Payload(i int) []byte { return b.payload.RowBytes(i) }

func (b *eventBatch[E]) Reset() {
	b.batch.Reset()
	b.undated = b.undated[:0]
}

// date stamps the events that have no KnownAt.
func (b *eventBatch[E]) date(known time.Time) {
	for _, row := range b.undated {
		b.known.Data[row] = proto.DateTime64(known.UnixMilli())
	}
}

// insertAll stores batches of open in one insert, all or nothing, and stamps the events that have no KnownAt.
func (t *events[E]) insertAll(ctx context.Context, w *Warehouse, token string, known time.Time, opened []churn.Batch[E]) error {
	rows := 0
	batches := make([]*batch[E], len(opened))
	for i, o := range opened {
		b := o.(*eventBatch[E])
		b.date(known)
		batches[i] = b.batch
		rows += b.rows
	}
	return t.insert(ctx, w, fmt.Sprintf("inserting %d %s", rows, t.what), token, batches...)
}

// insertValues is insertAll for a few events that are values.
func (t *events[E]) insertValues(ctx context.Context, w *Warehouse, token string, all []E) error {
	b := t.open()
	for i := range all {
		b.Add(&all[i])
	}
	return t.insertAll(ctx, w, token, w.clock(), []churn.Batch[E]{b})
}

// NewDealBatch makes an empty batch of deal_events.
func (w *Warehouse) NewDealBatch() churn.Batch[churn.DealEvent] { return dealEvents.open() }

// NewTicketBatch makes an empty batch of ticket_events.
func (w *Warehouse) NewTicketBatch() churn.Batch[churn.TicketEvent] { return ticketEvents.open() }

// InsertDeals stores batches of NewDealBatch in one insert, all or nothing, and stamps the events that have no KnownAt. The token
// makes a retry of the same insert store nothing twice.
func (w *Warehouse) InsertDeals(ctx context.Context, token string, known time.Time, batches []churn.Batch[churn.DealEvent]) error {
	return dealEvents.insertAll(ctx, w, token, known, batches)
}

// InsertTickets stores batches of NewTicketBatch, as InsertDeals does.
func (w *Warehouse) InsertTickets(ctx context.Context, token string, known time.Time, batches []churn.Batch[churn.TicketEvent]) error {
	return ticketEvents.insertAll(ctx, w, token, known, batches)
}

// StoreDeals is InsertDeals for a few events that are values.
func (w *Warehouse) StoreDeals(ctx context.Context, token string, events []churn.DealEvent) error {
	return dealEvents.insertValues(ctx, w, token, events)
}

// StoreTickets is InsertTickets for a few events that are values.
func (w *Warehouse) StoreTickets(ctx context.Context, token string, events []churn.TicketEvent) error {
	return ticketEvents.insertValues(ctx, w, token, events)
}

var dealEvents = events[churn.DealEvent]{
	what: "deals", stamp: func(e *churn.DealEvent) *churn.Stamp { return &e.Stamp },
	table: table[churn.DealEvent]{"deal_events", slices.Concat([]column[churn.DealEvent]{
		put("account_id", texts, func(e *churn.DealEvent) string { return e.AccountID }),
		put("deal_id", texts, func(e *churn.DealEvent) string { return e.DealID }),
		put("event_id", texts, func(e *churn.DealEvent) string { return e.EventID }),
		put("revision", int64s, func(e *churn.DealEvent) int64 { return e.Revision }),
		put("occurred_at", instants, func(e *churn.DealEvent) time.Time { return e.OccurredAt }),
		put("account_name", texts, func(e *churn.DealEvent) string { return e.AccountName }),
		put("segment", words, func(e *churn.DealEvent) string { return e.Segment }),
		put("contract_id", texts, func(e *churn.DealEvent) string { return e.ContractID }),
		put("renewal_of", texts, func(e *churn.DealEvent) string { return e.RenewalOf }),
		put("deal_type", words, func(e *churn.DealEvent) string { return string(e.Type) }),
		put("outcome", words, func(e *churn.DealEvent) string { return string(e.Outcome) }),
		put("currency", words, func(e *churn.DealEvent) string { return e.Currency }),
		put("signed_price", money, func(e *churn.DealEvent) churn.OptionalMoney { return e.SignedPrice }),
		put("list_price", money, func(e *churn.DealEvent) churn.OptionalMoney { return e.ListPrice }),
		put("anticipated_price", money, func(e *churn.DealEvent) churn.OptionalMoney { return e.Anticipated }),
		put("annual_value", money, func(e *churn.DealEvent) churn.OptionalMoney { return e.AnnualValue }),
		put("term_months", uint16s, func(e *churn.DealEvent) uint16 { return uint16(e.TermMonths) }),
		put("closed_at", instants, func(e *churn.DealEvent) time.Time { return e.ClosedAt }),
		put("ends_at", instants, func(e *churn.DealEvent) time.Time { return churn.ContractEnd(e.ClosedAt, e.EndsAt, e.TermMonths) }),
		put("ends_at_given", bools, func(e *churn.DealEvent) bool { return !e.EndsAt.IsZero() }),
		put("account_executive", texts, func(e *churn.DealEvent) string { return e.Owners.AccountExecutive }),
		put("account_manager", texts, func(e *churn.DealEvent) string { return e.Owners.AccountManager }),
		put("team", words, func(e *churn.DealEvent) string { return e.Owners.Team }),
		put("negotiation_known", bools, func(e *churn.DealEvent) bool { return e.Negotiation != nil }),
		put("hardness", floatsOrNull, func(e *churn.DealEvent) *float64 {
			if e.Hardness.Band == churn.BandUnknown {
				return nil
			}
			return &e.Hardness.Score
		}),
		put("band", words, func(e *churn.DealEvent) string { return string(e.Hardness.Band) }),
		put("coverage", floats, func(e *churn.DealEvent) float64 { return e.Hardness.Coverage }),
		putEach("components", words, contributions, func(c *churn.Contribution) string { return c.Component }),
		putEach("component_values", floats, contributions, func(c *churn.Contribution) float64 { return c.Value }),
		putEach("component_points", floats, contributions, func(c *churn.Contribution) float64 { return c.Points }),
		putEach("component_evidence", texts, contributions, func(c *churn.Contribution) string { return c.Evidence }),
		putEach("missing", words, func(e *churn.DealEvent) []string { return e.Hardness.Missing }, itself),
		put("discount_depth", floatsOrNull, func(e *churn.DealEvent) *float64 { return e.Hardness.DiscountDepth }),
		put("model_version", words, func(e *churn.DealEvent) string { return e.Hardness.ModelVersion }),
		put("source_system", words, func(e *churn.DealEvent) string { return e.Source.System }),
		put("source_url", texts, func(e *churn.DealEvent) string { return e.Source.URL }),
	}, stampColumns(func(e *churn.DealEvent) *churn.Stamp { return &e.Stamp }))},
}

var ticketEvents = events[churn.TicketEvent]{
	what: "tickets", stamp: func(e *churn.TicketEvent) *churn.Stamp { return &e.Stamp },
	table: table[churn.TicketEvent]{"ticket_events", slices.Concat([]column[churn.TicketEvent]{
		put("account_id", texts, func(e *churn.TicketEvent) string { return e.AccountID }),
		put("ticket_id", texts, func(e *churn.TicketEvent) string { return e.TicketID }),
		put("event_id", texts, func(e *churn.TicketEvent) string { return e.EventID }),
		put("revision", int64s, func(e *churn.TicketEvent) int64 { return e.Revision }),
		put("occurred_at", instants, func(e *churn.TicketEvent) time.Time { return e.OccurredAt }),
		put("contract_id", texts, func(e *churn.TicketEvent) string { return e.ContractID }),
		put("opened_at", instants, func(e *churn.TicketEvent) time.Time { return e.OpenedAt }),
		put("status", words, func(e *churn.TicketEvent) string { return e.Status }),
		put("priority", words, func(e *churn.TicketEvent) string { return e.Priority }),
		put("channel", words, func(e *churn.TicketEvent) string { return e.Channel }),
		put("subject", texts, func(e *churn.TicketEvent) string { return e.Subject }),
		putEach("tags", words, func(e *churn.TicketEvent) []string { return e.Tags }, itself),
		put("category", words, func(e *churn.TicketEvent) string { return e.Category }),
		put("satisfaction", floatsOrNull, func(e *churn.TicketEvent) *float64 { return e.Satisfaction }),
		put("outage_related", bools, func(e *churn.TicketEvent) bool { return e.OutageRelated }),
		put("vendor_error", bools, func(e *churn.TicketEvent) bool { return e.VendorError }),
		put("assignee", texts, func(e *churn.TicketEvent) string { return e.Assignee }),
		put("is_attempt", bools, func(e *churn.TicketEvent) bool { return len(e.Attempt.Findings) > 0 }),
		put("attempt_at", instants, func(e *churn.TicketEvent) time.Time {
			if len(e.Attempt.Findings) == 0 {
				return e.OpenedAt
			}
			return e.Attempt.At
		}),
		putEach("classes", words, findings, func(f *churn.Finding) string { return f.Class }),
		putEach("strengths", words, findings, func(f *churn.Finding) string { return string(f.Strength) }),
		putEach("confidences", floats, findings, func(f *churn.Finding) float64 { return f.Confidence }),
		putEach("quotes", texts, findings, func(f *churn.Finding) string { return f.Quote }),
		putEach("found_by", words, findings, func(f *churn.Finding) string { return f.Rule }),
		putEach("confirmatory", bools, findings, func(f *churn.Finding) bool { return f.Confirmatory }),
		put("model_version", words, func(e *churn.TicketEvent) string { return e.Attempt.ModelVersion }),
		put("source_system", words, func(e *churn.TicketEvent) string { return e.Source.System }),
		put("source_url", texts, func(e *churn.TicketEvent) string { return e.Source.URL }),
	}, stampColumns(func(e *churn.TicketEvent) *churn.Stamp { return &e.Stamp }))},
}

func contributions(e *churn.DealEvent) []churn.Contribution { return e.Hardness.Contributions }

func findings(e *churn.TicketEvent) []churn.Finding { return e.Attempt.Findings }

// stampColumns are the columns of what every event carries.
func stampColumns[E any](of func(*E) *churn.Stamp) []column[E] {
	return []column[E]{
		put("value_hash", hashes, func(e *E) [32]byte { return of(e).Hash }),
		put("known_at", instants, func(e *E) time.Time { return of(e).KnownAt }),
		put("known_at_claimed", instantsOrNull, func(e *E) time.Time { return of(e).Claimed }),
		put("topic", words, func(e *E) string { return of(e).Topic }),
		put("partition", int32s, func(e *E) int { return of(e).Partition }),
		put("offset", int64s, func(e *E) int64 { return of(e).Offset }),
		put("record_time", instants, func(e *E) time.Time { return of(e).Time }),
		put("payload", blobs, func(e *E) []byte { return of(e).Payload }),
	}
}
