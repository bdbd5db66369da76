package warehouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"golang.org/x/sync/errgroup"

	"github.com/aftershock/aftershock/churn"
)

// Upkeep brings deals, attempts and links up to date for the accounts that events arrived for. There is one writer: the
// holder of the control partition. Its cost follows the accounts touched and their events, never the rest of the history.
type Upkeep struct {
	warehouse *Warehouse
	writer    string
	version   uint64                         // the greatest that any upkeep used, finished or not
	done      map[churn.TopicPartition]int64 // first offset not yet taken in
}

// UpkeepResult says what one call did.
type UpkeepResult struct {
	Arrived  int // distinct deals and tickets
	Accounts int
	Links    int // link versions of those accounts
}

// Bounds of one pass, which bound memory: a pass that has more to do is followed by another.
const (
	offsetsPerPass  = 200_000
	accountsPerPass = 2_000
)

// ErrAnotherWriter says that another process brought links up to date meanwhile: this one is not the holder any more.
var ErrAnotherWriter = errors.New("another process is keeping the links of this warehouse")

// OpenUpkeep goes on where the last upkeep ended, whoever wrote it.
func (w *Warehouse) OpenUpkeep(ctx context.Context, writer string) (*Upkeep, error) {
	u := &Upkeep{warehouse: w, writer: writer, done: map[churn.TopicPartition]int64{}}
	none := clickhouse.WithParameters(nil)
	err := w.each(ctx, "greatest_version", none, func(scan func(...any) error) error { return scan(&u.version) })
	if err != nil {
		return nil, fmt.Errorf("reading how far upkeep has come: %w", err)
	}
	err = w.each(ctx, "last_upkeep", none, func(scan func(...any) error) error {
		var topics []string
		var partitions []int32
		var offsets []int64
		if err := scan(&topics, &partitions, &offsets); err != nil {
			return err
		}
		for i := range topics {
			u.done[churn.TopicPartition{Topic: topics[i], Partition: int(partitions[i])}] = offsets[i]
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading how far upkeep has come: %w", err)
	}
	return u, nil
}

// id is a deal or ticket that arrived, on the account that it arrived for.
type id struct{ kind, id, account string }

// To takes in everything that arrived below the given offsets (the committed ones: all below is visible). Calls wait for
// one another.
func (u *Upkeep) To(ctx context.Context, committed map[churn.TopicPartition]int64) (UpkeepResult, error) {
	u.warehouse.keeping.Lock()
	defer u.warehouse.keeping.Unlock()
	var total UpkeepResult
	for {
		next := maps.Clone(u.done)
		behind := false
		for tp, end := range committed {
			if from := u.done[tp]; end > from {
				next[tp] = min(end, from+offsetsPerPass)
				behind = true
			}
		}
		if !behind {
			return total, nil
		}
		r, err := u.pass(ctx, next)
		if err != nil {
			return total, fmt.Errorf("bringing links up to date: %w", err)
		}
		total.Arrived += r.Arrived
		total.Accounts += r.Accounts
		total.Links += r.Links
	}
}

func (u *Upkeep) pass(ctx context.Context, next map[churn.TopicPartition]int64) (UpkeepResult, error) {
	started := u.warehouse.clock()
	u.version++ // also where the pass fails: its rows must not be mistaken for those of the next
	version := u.version
	arrived, err := u.arrived(ctx, next)
	if err != nil {
		return UpkeepResult{}, err
	}
	r := UpkeepResult{Arrived: len(arrived)}
	if len(arrived) > 0 {
		touched, err := u.touched(ctx, arrived)
		if err != nil {
			return r, err
		}
		r.Accounts = len(touched)
		// gofail: var upkeepBeforeRows struct{}
		for accounts := range slices.Chunk(touched, accountsPerPass) {
			links, err := u.renew(ctx, version, accounts)
			if err != nil {
				return r, err
			}
			r.Links += links
		}
	}
	// gofail: var upkeepAfterRows struct{}
	if err := u.record(ctx, version, started, next, r.Accounts); err != nil {
		return r, err
	}
	u.done = next
	return r, nil
}

// arrived lists the ids between what is done and next.
func (u *Upkeep) arrived(ctx context.Context, next map[churn.TopicPartition]int64) ([]id, error) {
	seen := map[id]struct{}{}
	for tp, to := range next {
		from := u.done[tp]
		if from >= to {
			continue
		}
		parameters := clickhouse.Parameters{
			"topic": tp.Topic, "partition": strconv.Itoa(tp.Partition),
			"from": strconv.FormatInt(from, 10), "to": strconv.FormatInt(to, 10),
		}
		err := u.warehouse.each(ctx, "arrived", clickhouse.WithParameters(parameters), func(scan func(...any) error) error {
			var i id
			if err := scan(&i.kind, &i.id, &i.account); err != nil {
				return err
			}
			seen[i] = struct{}{}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading what arrived in %s/%d: %w", tp.Topic, tp.Partition, err)
		}
	}
	return slices.Collect(maps.Keys(seen)), nil
}

// touched finds every account that the ids were ever on, and notes the ids that were on several.
func (u *Upkeep) touched(ctx context.Context, arrived []id) ([]string, error) {
	table, err := ext.NewTable("arrived", ext.Column("kind", "String"), ext.Column("id", "String"), ext.Column("account_id", "String"))
	if err != nil {
		return nil, err
	}
	for _, i := range arrived {
		if err := table.Append(i.kind, i.id, i.account); err != nil {
			return nil, err
		}
	}
	w := u.warehouse
	if err := w.exec(ctx, "note_ids", clickhouse.WithExternalTable(table)); err != nil {
		return nil, fmt.Errorf("noting the accounts of %d ids: %w", len(arrived), err)
	}
	accounts := map[string]struct{}{}
	var moved []id
	err = w.each(ctx, "accounts_of_ids", clickhouse.WithExternalTable(table), func(scan func(...any) error) error {
		var i id
		var of []string
		if err := scan(&i.kind, &i.id, &of); err != nil {
			return err
		}
		for _, account := range of {
			accounts[account] = struct{}{}
			if len(of) > 1 {
				moved = append(moved, id{i.kind, i.id, account})
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("finding the accounts of %d ids: %w", len(arrived), err)
	}
	err = w.insert(ctx, "noting ids that moved between accounts", "insert_moved", "", len(moved), []any{
		column(moved, func(i *id) string { return i.account }),
		column(moved, func(i *id) string { return i.kind }),
		column(moved, func(i *id) string { return i.id }),
	})
	return slices.Sorted(maps.Keys(accounts)), err
}

// renew writes new versions of the deals, attempts and links of some accounts, and takes away what is no longer so.
func (u *Upkeep) renew(ctx context.Context, version uint64, accounts []string) (links int, err error) {
	w := u.warehouse
	touched, err := accountTable("touched", accounts)
	if err != nil {
		return 0, err
	}
	readable := slices.Clone(accounts)
	err = w.each(ctx, "accounts_sharing", clickhouse.WithExternalTable(touched), func(scan func(...any) error) error {
		var account string
		err := scan(&account)
		readable = append(readable, account)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("finding accounts that share a deal or ticket: %w", err)
	}
	slices.Sort(readable)
	readable = slices.Compact(readable)
	if err := u.together(ctx, version, accounts, readable, "upkeep_deals", "upkeep_attempts"); err != nil {
		return 0, err
	}
	// What is gone goes before links are read from what is left.
	if err := u.together(ctx, version, accounts, nil, "drop_deal_versions", "drop_attempt_versions"); err != nil {
		return 0, err
	}
	// gofail: var upkeepBeforeLinks struct{}
	if links, err = u.link(ctx, version, touched); err != nil {
		return 0, err
	}
	return links, u.together(ctx, version, accounts, nil, "drop_link_versions", "drop_unmatched_versions")
}

// together runs statements that do not touch one another's tables at once. Each sends the accounts in tables of its own.
func (u *Upkeep) together(ctx context.Context, version uint64, accounts, readable []string, steps ...string) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, step := range steps {
		g.Go(func() error {
			touched, err := accountTable("touched", accounts)
			if err != nil {
				return err
			}
			read, err := accountTable("readable", readable)
			if err != nil {
				return err
			}
			parameters := clickhouse.WithParameters(clickhouse.Parameters{"version": strconv.FormatUint(version, 10)})
			if err := u.warehouse.exec(ctx, step, clickhouse.WithExternalTable(touched, read), parameters); err != nil {
				return fmt.Errorf("%s of %d accounts: %w", step, len(accounts), err)
			}
			return nil
		})
	}
	return g.Wait()
}

func accountTable(name string, accounts []string) (*ext.Table, error) {
	table, err := ext.NewTable(name, ext.Column("account_id", "String"))
	if err != nil {
		return nil, err
	}
	for _, account := range accounts {
		if err := table.Append(account); err != nil {
			return nil, err
		}
	}
	return table, nil
}

// attempt is an attempt version with what links repeat of it, so that rules need not join.
type attempt struct {
	churn.AttemptVersion
	account      string
	classes      []string
	strengths    []string
	confidences  []float64
	quotes       []string
	confirmatory []bool
}

type linked struct {
	churn.Link
	*attempt
}

type unlinked struct {
	churn.Unmatched
	account string
}

// link reads the versions of the touched accounts and writes the links that follow from them.
func (u *Upkeep) link(ctx context.Context, version uint64, touched *ext.Table) (int, error) {
	deals, err := u.deals(ctx, touched)
	if err != nil {
		return 0, fmt.Errorf("reading the deals to link: %w", err)
	}
	attempts, err := u.attempts(ctx, touched)
	if err != nil {
		return 0, fmt.Errorf("reading the attempts to link: %w", err)
	}
	var links []linked
	var unmatched []unlinked
	for account, of := range attempts {
		versions := make([]churn.AttemptVersion, len(of))
		for i, a := range of {
			versions[i] = a.AttemptVersion
		}
		found, left := churn.LinkAccount(deals[account], versions)
		for _, l := range found {
			links = append(links, linked{l, of[l.Attempt]})
		}
		for _, l := range left {
			unmatched = append(unmatched, unlinked{l, account})
		}
	}
	// Sorted input makes smaller parts and the same bytes at every run.
	slices.SortFunc(links, func(a, b linked) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.Link.ContractID, b.Link.ContractID), cmp.Compare(a.Link.TicketID, b.Link.TicketID))
	})
	err = u.warehouse.insert(ctx, "writing links", "insert_links", "", len(links), linkColumns(links, version))
	if err != nil {
		return 0, err
	}
	return len(links), u.warehouse.insert(ctx, "writing unmatched attempts", "insert_unmatched", "", len(unmatched), unmatchedColumns(unmatched, version))
}

func (u *Upkeep) deals(ctx context.Context, touched *ext.Table) (map[string][]churn.DealVersion, error) {
	deals := map[string][]churn.DealVersion{}
	return deals, u.warehouse.each(ctx, "deals_to_link", clickhouse.WithExternalTable(touched), func(scan func(...any) error) error {
		var d churn.DealVersion
		var account, dealType, outcome string
		if err := scan(&account, &d.From, &d.To, &d.DealID, &d.ContractID, &d.RenewalOf, &dealType, &outcome, &d.ClosedAt, &d.EndsAt); err != nil {
			return err
		}
		d.Type, d.Outcome = churn.DealType(dealType), churn.Outcome(outcome)
		deals[account] = append(deals[account], d)
		return nil
	})
}

func (u *Upkeep) attempts(ctx context.Context, touched *ext.Table) (map[string][]*attempt, error) {
	attempts := map[string][]*attempt{}
	return attempts, u.warehouse.each(ctx, "attempts_to_link", clickhouse.WithExternalTable(touched), func(scan func(...any) error) error {
		var a attempt
		err := scan(&a.account, &a.From, &a.To, &a.TicketID, &a.ContractID, &a.At, &a.classes, &a.strengths, &a.confidences, &a.quotes, &a.confirmatory)
		attempts[a.account] = append(attempts[a.account], &a)
		return err
	})
}

func linkColumns(links []linked, version uint64) []any {
	return []any{
		column(links, func(l *linked) string { return l.account }),
		column(links, func(l *linked) string { return l.Link.ContractID }),
		column(links, func(l *linked) string { return l.Link.TicketID }),
		column(links, func(l *linked) time.Time { return l.Link.From }),
		column(links, func(l *linked) time.Time { return l.Link.To }),
		column(links, func(l *linked) string { return l.DealID }),
		column(links, func(l *linked) time.Time { return l.AttemptAt }),
		column(links, func(l *linked) float64 { return l.LagDays() }),
		column(links, func(l *linked) string { return string(l.Basis) }),
		column(links, func(l *linked) []string { return l.classes }),
		column(links, func(l *linked) []string { return l.strengths }),
		column(links, func(l *linked) []float64 { return l.confidences }),
		column(links, func(l *linked) []string { return l.quotes }),
		column(links, func(l *linked) []bool { return l.confirmatory }),
		column(links, func(*linked) uint64 { return version }),
		make([]uint8, len(links)),
	}
}

func unmatchedColumns(unmatched []unlinked, version uint64) []any {
	return []any{
		column(unmatched, func(l *unlinked) string { return l.account }),
		column(unmatched, func(l *unlinked) string { return l.TicketID }),
		column(unmatched, func(l *unlinked) time.Time { return l.From }),
		column(unmatched, func(l *unlinked) time.Time { return l.To }),
		column(unmatched, func(l *unlinked) string { return l.ContractID }),
		column(unmatched, func(l *unlinked) time.Time { return l.AttemptAt }),
		column(unmatched, func(l *unlinked) string { return string(l.Why) }),
		column(unmatched, func(*unlinked) uint64 { return version }),
		make([]uint8, len(unmatched)),
	}
}

// record notes how far upkeep has come, and checks that no other process noted the same version first.
func (u *Upkeep) record(ctx context.Context, version uint64, started time.Time, next map[churn.TopicPartition]int64, accounts int) error {
	var topics []string
	var partitions []int32
	var offsets []int64
	for tp, offset := range next {
		topics = append(topics, tp.Topic)
		partitions = append(partitions, int32(tp.Partition))
		offsets = append(offsets, offset)
	}
	w := u.warehouse
	err := w.insert(ctx, "noting how far upkeep has come", "insert_upkeep", fmt.Sprintf("upkeep/%d", version), 1, []any{
		[]uint64{version}, []string{u.writer}, []time.Time{started}, []time.Time{w.clock()},
		[][]string{topics}, [][]int32{partitions}, [][]int64{offsets}, []uint64{uint64(accounts)},
	})
	if err != nil {
		return err
	}
	winner := ""
	parameters := clickhouse.WithParameters(clickhouse.Parameters{"version": strconv.FormatUint(version, 10)})
	err = w.each(ctx, "upkeep_writer", parameters, func(scan func(...any) error) error { return scan(&winner) })
	if err == nil && winner != u.writer {
		return fmt.Errorf("%w: upkeep %d was written by %s", ErrAnotherWriter, version, winner)
	}
	return err
}
