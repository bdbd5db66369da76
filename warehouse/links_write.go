package warehouse

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
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

type inForce struct {
	links.InForce
	account string
}

// found is how attempts and contracts of a step's accounts hang together.
type found struct {
	accounts  []string  // sorted; without those that are set aside
	aside     []aside   // accounts that are too large
	inForce   []inForce // of accounts where an attempt reopens whatever was in force
	links     []linked
	unmatched []unlinked
}

// link writes the links that follow from a step's deals and attempts, and returns how many rows that were. When contracts were in
// force comes first: views read it with the links.
func (l *Links) link(ctx context.Context, s step) (written int, err error) {
	f, err := l.linkAccounts(ctx, s)
	if err != nil {
		return 0, err
	}
	if err := l.setAside(ctx, s, f.aside); err != nil {
		return 0, err
	}
	if accounts := f.placed(s); len(accounts) > 0 {
		if _, err := writeParts(ctx, l, "upkeep_in_force", &inForceRows, f.inForce, s, accounts); err != nil {
			return 0, err
		}
	}
	if written, err = writeParts(ctx, l, "upkeep_links", &linkRows, f.links, s, f.accounts); err != nil {
		return written, err
	}
	_, err = writeParts(ctx, l, "upkeep_unmatched", &unmatchedRows, f.unmatched, s, f.accounts)
	return written, err
}

// placed returns the accounts of which it is written anew when contracts were in force: those where that matters, and those whose
// attempts were all looked at, where it may no longer.
func (f *found) placed(s step) []string {
	accounts := slices.DeleteFunc(slices.Clone(s.whole), func(account string) bool {
		_, linked := slices.BinarySearch(f.accounts, account)
		return !linked
	})
	for _, in := range f.inForce {
		accounts = append(accounts, in.account)
	}
	slices.Sort(accounts)
	return slices.Compact(accounts)
}

// linkAccounts reads a step's deals and attempts and links them, account by account.
func (l *Links) linkAccounts(ctx context.Context, s step) (f found, err error) {
	var deals map[string][]links.DealVersion
	var attempts map[string][]links.AttemptVersion
	g, together := errgroup.WithContext(ctx)
	g.Go(func() (err error) { deals, err = ofAccounts(together, l, "deals_to_link", dealToLink, s); return err })
	g.Go(func() (err error) {
		attempts, err = ofAccounts(together, l, "attempts_to_link", attemptToLink, s)
		return err
	})
	g.Go(func() (err error) {
		f.aside, err = find(together, l, "large_accounts", largeAccount, l.bounded(s))
		return err
	})
	if err := g.Wait(); err != nil {
		return f, fmt.Errorf("reading what to link: %w", err)
	}
	for _, account := range s.accounts {
		if err := ctx.Err(); err != nil {
			return f, err
		}
		versions := attempts[account]
		if slices.ContainsFunc(f.aside, func(a aside) bool { return a.account == account }) {
			continue
		}
		f.accounts = append(f.accounts, account)
		all := links.LinkAccount(deals[account], versions)
		for _, link := range all.Links {
			f.links = append(f.links, linked{link, account, versions[link.Attempt].From})
		}
		if slices.ContainsFunc(all.Links, func(l links.Link) bool { return l.Basis == links.ByAccount }) {
			for _, in := range all.InForce {
				f.inForce = append(f.inForce, inForce{in, account})
			}
		}
		for _, attempt := range all.Unmatched {
			f.unmatched = append(f.unmatched, unlinked{attempt, account})
		}
	}
	return f, nil
}

// rowKey is where a row stands among those of its table: parts are cut between ids of accounts.
type rowKey struct {
	account, id string // of a ticket, or of a contract
	contract    string
	since, from time.Time
}

func (k rowKey) compare(o rowKey) int {
	return cmp.Or(cmp.Compare(k.account, o.account), cmp.Compare(k.id, o.id), cmp.Compare(k.contract, o.contract),
		k.since.Compare(o.since), k.from.Compare(o.from))
}

func (r inForce) key() rowKey {
	return rowKey{account: r.account, id: r.ContractID, since: r.Since, from: r.From}
}
func (r linked) key() rowKey {
	return rowKey{account: r.account, id: r.TicketID, contract: r.ContractID, from: r.From}
}
func (r unlinked) key() rowKey { return rowKey{account: r.account, id: r.TicketID, from: r.From} }

// rowsPerPart bounds one writing statement: a large account is written in parts.
const rowsPerPart = 20_000

// writeParts writes the rows of some accounts in parts, one after the other: each statement compares what it is sent with what is
// stored of them between two ids. Sorted, the same rows are the same bytes in every run.
func writeParts[R interface{ key() rowKey }](ctx context.Context, l *Links, name string, t *table[R], rows []R, s step, accounts []string) (written int, err error) {
	slices.SortFunc(rows, func(a, b R) int { return a.key().compare(b.key()) })
	var after, upto rowKey
	for last := false; !last; after = upto {
		n := min(len(rows), rowsPerPart)
		for ; n > 0; n++ { // rows of one id stay together
			upto = rows[n-1].key()
			if n == len(rows) || rows[n].key().account != upto.account || rows[n].key().id != upto.id {
				break
			}
		}
		sent, err := t.native(rows[:n])
		if err != nil {
			return written, err
		}
		rows, last = rows[n:], n == len(rows)
		err = l.write(ctx, name, &written, s.parameters, clickhouse.Parameters{
			"accounts": stringArray(accounts), t.name: sent, "last": strconv.FormatBool(last),
			"after_account": after.account, "after_id": after.id, "upto_account": upto.account, "upto_id": upto.id,
		})
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func ofAccounts[X any](ctx context.Context, l *Links, name string, columns []column[ofAccount[X]], s step) (map[string][]X, error) {
	found, err := find(ctx, l, name, columns, l.bounded(s))
	of := map[string][]X{}
	for _, f := range found {
		of[f.account] = append(of[f.account], f.is)
	}
	return of, err
}

// bounded are the parameters of a step with the bounds of an account.
func (l *Links) bounded(s step) clickhouse.Parameters {
	p := maps.Clone(s.parameters)
	p["most_deals"], p["most_attempts"] = strconv.Itoa(l.warehouse.config.MaxAccountDeals), strconv.Itoa(l.warehouse.config.MaxAccountAttempts)
	return p
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
	inForceRows = table[inForce]{"in_force", []column[inForce]{
		put("account_id", texts, func(r *inForce) string { return r.account }),
		put("contract_id", texts, func(r *inForce) string { return r.ContractID }),
		put("since", instants, func(r *inForce) time.Time { return r.Since }),
		put("known_from", instants, func(r *inForce) time.Time { return r.From }),
		put("known_to", instants, func(r *inForce) time.Time { return r.To }),
		put("till", instants, func(r *inForce) time.Time { return r.Till }),
		put("deal_id", texts, func(r *inForce) string { return r.DealID }),
		put("closed_at", instants, func(r *inForce) time.Time { return r.ClosedAt }),
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
