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
		if parameters["links"], err = native(newLinkBlock(), rows); err != nil {
			return err
		}
		written, err = u.write(together, "upkeep_links", parameters)
		return err
	})
	g.Go(func() (err error) {
		parameters := s.parameters()
		if parameters["unmatched"], err = native(newUnmatchedBlock(), unmatched); err != nil {
			return err
		}
		return u.renewed(together, "upkeep_unmatched", parameters)
	})
	return written, g.Wait()
}

func (u *Upkeep) deals(ctx context.Context, s step) (map[string][]links.DealVersion, error) {
	deals := map[string][]links.DealVersion{}
	return deals, u.read(ctx, "deals_to_link", s.parameters(), func(scan func(...any) error) error {
		var d links.DealVersion
		var account, dealType, outcome string
		if err := scan(&account, &d.From, &d.To, &d.DealID, &d.ContractID, &d.RenewalOf, &dealType, &outcome, &d.ClosedAt, &d.EndsAt); err != nil {
			return err
		}
		d.Type, d.Outcome = churn.DealType(dealType), churn.Outcome(outcome)
		deals[account] = append(deals[account], d)
		return nil
	})
}

func (u *Upkeep) attempts(ctx context.Context, s step) (map[string][]links.AttemptVersion, error) {
	attempts := map[string][]links.AttemptVersion{}
	return attempts, u.read(ctx, "attempts_to_link", s.parameters(), func(scan func(...any) error) error {
		var a links.AttemptVersion
		var account string
		err := scan(&account, &a.From, &a.To, &a.TicketID, &a.ContractID, &a.At)
		attempts[account] = append(attempts[account], a)
		return err
	})
}

func newLinkBlock() *block[linked] {
	type L = linked
	b := &block[L]{}
	b.text("account_id", func(l *L) string { return l.account })
	b.text("contract_id", func(l *L) string { return l.ContractID })
	b.text("ticket_id", func(l *L) string { return l.TicketID })
	b.time("known_from", func(l *L) time.Time { return l.From })
	b.time("known_to", func(l *L) time.Time { return l.To })
	b.text("deal_id", func(l *L) string { return l.DealID })
	b.time("attempt_at", func(l *L) time.Time { return l.AttemptAt })
	b.float("lag_days", func(l *L) float64 { return l.LagDays() })
	b.text("basis", func(l *L) string { return string(l.Basis) })
	b.time("attempt_from", func(l *L) time.Time { return l.attemptFrom })
	return b
}

func newUnmatchedBlock() *block[unlinked] {
	type U = unlinked
	b := &block[U]{}
	b.text("account_id", func(l *U) string { return l.account })
	b.text("ticket_id", func(l *U) string { return l.TicketID })
	b.time("known_from", func(l *U) time.Time { return l.From })
	b.time("known_to", func(l *U) time.Time { return l.To })
	b.text("contract_id", func(l *U) string { return l.ContractID })
	b.time("attempt_at", func(l *U) time.Time { return l.AttemptAt })
	b.text("reason", func(l *U) string { return string(l.Why) })
	return b
}

func newArrivedBlock() *block[id] {
	b := &block[id]{}
	b.text("id", func(i *id) string { return i.id })
	b.text("kind", func(i *id) string { return i.kind })
	b.text("account_id", func(i *id) string { return i.account })
	return b
}

// native writes rows in ClickHouse's own format, as text that travels as a parameter.
func native[E any](b *block[E], rows []E) (string, error) {
	for i := range rows {
		b.Add(&rows[i])
	}
	var buffer proto.Buffer
	if err := (proto.Block{Columns: len(b.input), Rows: b.rows}).EncodeRawBlock(&buffer, 0, b.input); err != nil {
		return "", fmt.Errorf("encoding %d rows: %w", b.rows, err)
	}
	return base64.StdEncoding.EncodeToString(buffer.Buf), nil
}
