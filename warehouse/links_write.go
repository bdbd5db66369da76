package warehouse

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/errgroup"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/links"
)

type linked struct {
	links.Link
	account     string
	attemptFrom time.Time // of the version that it came from
}

type unlinked struct {
	links.Unmatched
	account string
}

// link writes the links that follow from a step's deals and attempts, and returns how many rows that were.
func (l *Links) link(ctx context.Context, s step) (written int, err error) {
	var deals map[string][]links.DealVersion
	var attempts map[string][]links.AttemptVersion
	g, together := errgroup.WithContext(ctx)
	g.Go(func() (err error) { deals, err = ofAccounts(together, l, "deals_to_link", dealToLink, s); return err })
	g.Go(func() (err error) {
		attempts, err = ofAccounts(together, l, "attempts_to_link", attemptToLink, s)
		return err
	})
	if err := g.Wait(); err != nil {
		return 0, fmt.Errorf("reading what to link: %w", err)
	}
	var rows []linked
	var unmatched []unlinked
	for account, versions := range attempts {
		found, left := links.LinkAccount(deals[account], versions)
		for _, link := range found {
			rows = append(rows, linked{link, account, versions[link.Attempt].From})
		}
		for _, attempt := range left {
			unmatched = append(unmatched, unlinked{attempt, account})
		}
	}
	// Sorted, the same rows are the same bytes in every run.
	slices.SortFunc(rows, func(a, b linked) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.ContractID, b.ContractID), cmp.Compare(a.TicketID, b.TicketID), a.From.Compare(b.From))
	})
	slices.SortFunc(unmatched, func(a, b unlinked) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.TicketID, b.TicketID), a.From.Compare(b.From))
	})
	g, together = errgroup.WithContext(ctx)
	g.Go(func() error {
		sent, err := linkRows.native(rows)
		if err != nil {
			return err
		}
		return l.write(together, "upkeep_links", &written, s.parameters, clickhouse.Parameters{"links": sent})
	})
	g.Go(func() error {
		sent, err := unmatchedRows.native(unmatched)
		if err != nil {
			return err
		}
		return l.write(together, "upkeep_unmatched", nil, s.parameters, clickhouse.Parameters{"unmatched": sent})
	})
	err = g.Wait()
	return written, err
}

func ofAccounts[X any](ctx context.Context, l *Links, name string, columns []column[ofAccount[X]], s step) (map[string][]X, error) {
	found, err := find(ctx, l, name, columns, s.parameters)
	of := map[string][]X{}
	for _, f := range found {
		of[f.account] = append(of[f.account], f.is)
	}
	return of, err
}

// ofAccount is something of one account.
type ofAccount[X any] struct {
	account string
	is      X
}

var dealToLink = []column[ofAccount[links.DealVersion]]{
	get("account_id", texts, func(d *ofAccount[links.DealVersion]) *string { return &d.account }),
	get("known_from", instants, func(d *ofAccount[links.DealVersion]) *time.Time { return &d.is.From }),
	get("known_to", instants, func(d *ofAccount[links.DealVersion]) *time.Time { return &d.is.To }),
	get("deal_id", texts, func(d *ofAccount[links.DealVersion]) *string { return &d.is.DealID }),
	get("contract_id", texts, func(d *ofAccount[links.DealVersion]) *string { return &d.is.ContractID }),
	get("renewal_of", texts, func(d *ofAccount[links.DealVersion]) *string { return &d.is.RenewalOf }),
	get("deal_type", words, func(d *ofAccount[links.DealVersion]) *churn.DealType { return &d.is.Type }),
	get("outcome", words, func(d *ofAccount[links.DealVersion]) *churn.Outcome { return &d.is.Outcome }),
	get("closed_at", instants, func(d *ofAccount[links.DealVersion]) *time.Time { return &d.is.ClosedAt }),
	get("ends_at", instants, func(d *ofAccount[links.DealVersion]) *time.Time { return &d.is.EndsAt }),
}

var attemptToLink = []column[ofAccount[links.AttemptVersion]]{
	get("account_id", texts, func(a *ofAccount[links.AttemptVersion]) *string { return &a.account }),
	get("known_from", instants, func(a *ofAccount[links.AttemptVersion]) *time.Time { return &a.is.From }),
	get("known_to", instants, func(a *ofAccount[links.AttemptVersion]) *time.Time { return &a.is.To }),
	get("ticket_id", texts, func(a *ofAccount[links.AttemptVersion]) *string { return &a.is.TicketID }),
	get("contract_id", texts, func(a *ofAccount[links.AttemptVersion]) *string { return &a.is.ContractID }),
	get("attempt_at", instants, func(a *ofAccount[links.AttemptVersion]) *time.Time { return &a.is.At }),
}

// Rows that are sent as parameters of statements, whose files declare the same columns. No table holds them.
var (
	linkRows = table[linked]{"links", []column[linked]{
		put("account_id", texts, func(r *linked) string { return r.account }),
		put("contract_id", texts, func(r *linked) string { return r.ContractID }),
		put("ticket_id", texts, func(r *linked) string { return r.TicketID }),
		put("known_from", instants, func(r *linked) time.Time { return r.From }),
		put("known_to", instants, func(r *linked) time.Time { return r.To }),
		put("deal_id", texts, func(r *linked) string { return r.DealID }),
		put("attempt_at", instants, func(r *linked) time.Time { return r.AttemptAt }),
		put("lag_days", floats, func(r *linked) float64 { return r.LagDays() }),
		put("basis", texts, func(r *linked) links.Basis { return r.Basis }),
		put("attempt_from", instants, func(r *linked) time.Time { return r.attemptFrom }),
	}}
	unmatchedRows = table[unlinked]{"unmatched", []column[unlinked]{
		put("account_id", texts, func(r *unlinked) string { return r.account }),
		put("ticket_id", texts, func(r *unlinked) string { return r.TicketID }),
		put("known_from", instants, func(r *unlinked) time.Time { return r.From }),
		put("known_to", instants, func(r *unlinked) time.Time { return r.To }),
		put("contract_id", texts, func(r *unlinked) string { return r.ContractID }),
		put("attempt_at", instants, func(r *unlinked) time.Time { return r.AttemptAt }),
		put("reason", texts, func(r *unlinked) links.WhyUnmatched { return r.Why }),
	}}
	arrivedRows = table[id]{"arrived", []column[id]{
		both("id", texts, func(i *id) *string { return &i.id }),
		both("kind", texts, func(i *id) *string { return &i.kind }),
		both("account_id", texts, func(i *id) *string { return &i.account }),
	}}
)

// native writes rows in ClickHouse's own format, as text that travels as a parameter.
func (t *table[R]) native(rows []R) (string, error) {
	b := t.batch()
	for i := range rows {
		b.Add(&rows[i])
	}
	var buffer proto.Buffer
	if err := (proto.Block{Columns: len(b.input), Rows: b.rows}).EncodeRawBlock(&buffer, 0, b.input); err != nil {
		return "", fmt.Errorf("encoding %d rows: %w", b.rows, err)
	}
	return base64.StdEncoding.EncodeToString(buffer.Buf), nil
}
