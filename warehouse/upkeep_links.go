package warehouse

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"
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
func (u *Upkeep) link(ctx context.Context, s step) (written int, err error) {
	var deals map[string][]links.DealVersion
	var attempts map[string][]links.AttemptVersion
	g, together := errgroup.WithContext(ctx)
	g.Go(func() (err error) { deals, err = u.deals(together, s); return err })
	g.Go(func() (err error) { attempts, err = u.attempts(together, s); return err })
	if err := g.Wait(); err != nil {
		return 0, fmt.Errorf("reading what to link: %w", err)
	}
	var rows []linked
	var unmatched []unlinked
	for account, versions := range attempts {
		found, left := links.LinkAccount(deals[account], versions)
		for _, l := range found {
			rows = append(rows, linked{l, account, versions[l.Attempt].From})
		}
		for _, l := range left {
			unmatched = append(unmatched, unlinked{l, account})
		}
	}
	// Sorted rows make the same bytes at every run.
	slices.SortFunc(rows, func(a, b linked) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.ContractID, b.ContractID), cmp.Compare(a.TicketID, b.TicketID), a.From.Compare(b.From))
	})
	slices.SortFunc(unmatched, func(a, b unlinked) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.TicketID, b.TicketID), a.From.Compare(b.From))
	})
	g, together = errgroup.WithContext(ctx)
	g.Go(func() error {
		parameters := s.parameters()
		if parameters["links"], err = linkRows.native(rows); err != nil {
			return err
		}
		written, err = u.write(together, "upkeep_links", parameters)
		return err
	})
	g.Go(func() (err error) {
		parameters := s.parameters()
		if parameters["unmatched"], err = unmatchedRows.native(unmatched); err != nil {
			return err
		}
		return u.renewed(together, "upkeep_unmatched", parameters)
	})
	return written, g.Wait()
}

func (u *Upkeep) deals(ctx context.Context, s step) (map[string][]links.DealVersion, error) {
	deals := map[string][]links.DealVersion{}
	return deals, readRow(ctx, u, "deals_to_link", s.parameters(), dealToLink, func(d *ofAccount[links.DealVersion]) error {
		deals[d.account] = append(deals[d.account], d.is)
		return nil
	})
}

func (u *Upkeep) attempts(ctx context.Context, s step) (map[string][]links.AttemptVersion, error) {
	attempts := map[string][]links.AttemptVersion{}
	return attempts, readRow(ctx, u, "attempts_to_link", s.parameters(), attemptToLink, func(a *ofAccount[links.AttemptVersion]) error {
		attempts[a.account] = append(attempts[a.account], a.is)
		return nil
	})
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

// The rows that links travel in, as the statements' files declare them. No table holds them.
var (
	linkRows = table[linked]{"links", []column[linked]{
		put("account_id", texts, func(l *linked) string { return l.account }),
		put("contract_id", texts, func(l *linked) string { return l.ContractID }),
		put("ticket_id", texts, func(l *linked) string { return l.TicketID }),
		put("known_from", instants, func(l *linked) time.Time { return l.From }),
		put("known_to", instants, func(l *linked) time.Time { return l.To }),
		put("deal_id", texts, func(l *linked) string { return l.DealID }),
		put("attempt_at", instants, func(l *linked) time.Time { return l.AttemptAt }),
		put("lag_days", floats, func(l *linked) float64 { return l.LagDays() }),
		put("basis", texts, func(l *linked) links.Basis { return l.Basis }),
		put("attempt_from", instants, func(l *linked) time.Time { return l.attemptFrom }),
	}}
	unmatchedRows = table[unlinked]{"unmatched", []column[unlinked]{
		put("account_id", texts, func(l *unlinked) string { return l.account }),
		put("ticket_id", texts, func(l *unlinked) string { return l.TicketID }),
		put("known_from", instants, func(l *unlinked) time.Time { return l.From }),
		put("known_to", instants, func(l *unlinked) time.Time { return l.To }),
		put("contract_id", texts, func(l *unlinked) string { return l.ContractID }),
		put("attempt_at", instants, func(l *unlinked) time.Time { return l.AttemptAt }),
		put("reason", texts, func(l *unlinked) links.WhyUnmatched { return l.Why }),
	}}
	arrivedRows = table[id]{"arrived", []column[id]{
		put("id", texts, func(i *id) string { return i.id }),
		put("kind", texts, func(i *id) string { return i.kind }),
		put("account_id", texts, func(i *id) string { return i.account }),
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
