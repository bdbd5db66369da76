package warehouse

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/errgroup"

	"github.com/aftershock/aftershock/churn"
)

// Links keeps the versions of deals, attempts and links up to date with what arrived. There is one writer at a time: whoever claimed
// last (docs/adr/0010). What a deal or attempt was, and when, is computed from its own events, and links from the deals and attempts of
// their account; only rows that differ are written. The cost grows with what arrived and the accounts it touches, never with the history.
type Links struct {
	warehouse *Warehouse
	writer    string
	epoch     epoch
	pass      uint32 // within the epoch
	done      map[churn.TopicPartition]taken
	aside     atomic.Pointer[map[string]bool] // accounts that are too large; replaced and never changed
	updating  sync.Mutex
	around    func(name string, statement func() error) error // nil outside tests
}

// taken is how far a partition has been taken in.
type taken struct {
	below int64  // first offset not yet taken in
	tail  uint64 // what arrived at the last offsets below
}

// LinksResult is what one Update did.
type LinksResult struct {
	Arrived  int // distinct deals and tickets
	Accounts int // accounts that deals or attempts among them were ever on
	Links    int // rows of links that were written or taken away
	SetAside int // accounts that are set aside now
	// Rewound are the partitions that were taken in again from the start: their topic was recreated, or the consumers' offsets were
	// set back.
	Rewound []churn.TopicPartition
}

func (r *LinksResult) add(s LinksResult) {
	r.Arrived += s.Arrived
	r.Accounts += s.Accounts
	r.Links += s.Links
	r.Rewound = append(r.Rewound, s.Rewound...)
}

// Bounds of one pass and of one of its steps, which bound memory: what has more to do goes on with another.
const (
	offsetsPerPass  = 100_000 // over all partitions
	idsPerStep      = 10_000
	accountsPerStep = 2_000
)

// tailLength is how many offsets below the end are compared to tell a topic from an earlier one of the same name.
const tailLength = 16

// ErrAnotherWriter says that another process claimed the links: this one is no longer the leader.
var ErrAnotherWriter = errors.New("another process is keeping the links of this warehouse")

// OpenLinks claims the links for this writer and continues where the last update ended, whoever made it. From then on no earlier
// Links writes anything.
func (w *Warehouse) OpenLinks(ctx context.Context, writer string) (*Links, error) {
	l := w.newLinks(writer)
	return l, l.open(ctx)
}

func (w *Warehouse) newLinks(writer string) *Links {
	return &Links{warehouse: w, writer: writer, epoch: epoch{claimant: rand.Text(), over: true}}
}

// open claims an epoch, then reads how far the last one got: in this order, for until the claim another process may still write.
func (l *Links) open(ctx context.Context) error {
	if err := l.claim(ctx); err != nil {
		return fmt.Errorf("claiming the links: %w", err)
	}
	l.pass, l.done = 0, map[churn.TopicPartition]taken{}
	if err := l.openAside(ctx); err != nil {
		l.epoch.over = true
		return err
	}
	var topics []string
	var partitions []int32
	var offsets []int64
	var tails []uint64
	if err := l.one(ctx, "last_upkeep", nil, &topics, &partitions, &offsets, &tails); err != nil {
		l.epoch.over = true
		return fmt.Errorf("reading how far the links are up to date: %w", err)
	}
	for i := range topics {
		l.done[churn.TopicPartition{Topic: topics[i], Partition: int(partitions[i])}] = taken{offsets[i], tails[i]}
	}
	return nil
}

// span is a range of offsets of one partition.
type span struct{ from, to int64 }

// Update takes in everything that arrived below the given offsets (the committed ones: everything below them is visible). Calls wait
// for one another, and the offsets of a later call must not be older: a smaller one means that the topic was recreated.
func (l *Links) Update(ctx context.Context, committed map[churn.TopicPartition]int64) (total LinksResult, err error) {
	l.updating.Lock()
	defer l.updating.Unlock()
	defer func() { total.SetAside = len(l.SetAside()) }()
	// After a failure a statement may still be running: a new epoch waits for it to end.
	if l.epoch.over {
		if err := l.open(ctx); err != nil {
			return total, err
		}
	}
	share := max(offsetsPerPass/int64(max(len(committed), 1)), 1)
	for {
		spans, next := map[churn.TopicPartition]span{}, maps.Clone(l.done)
		for tp, end := range committed {
			switch was := l.done[tp]; {
			case end < was.below:
				spans[tp], next[tp] = span{was.below, math.MaxInt64}, taken{}
			case end > was.below:
				to := min(end, was.below+share)
				spans[tp], next[tp] = span{was.below, to}, taken{below: to}
			}
		}
		if len(spans) == 0 {
			return total, nil
		}
		r, err := l.take(ctx, spans, next)
		if err != nil {
			// Whoever comes next repeats all of it, under another version.
			l.epoch.over = true
			return total, fmt.Errorf("bringing links up to date: %w", err)
		}
		l.done = next
		total.add(r)
	}
}

// take takes in what arrived in the spans, and records how far that is.
func (l *Links) take(ctx context.Context, spans map[churn.TopicPartition]span, next map[churn.TopicPartition]taken) (r LinksResult, err error) {
	started := l.warehouse.clock()
	l.pass++
	arrivals, err := l.look(ctx, spans, next)
	if err != nil {
		return r, err
	}
	seen := map[id]struct{}{}
	for _, a := range arrivals {
		if next[a.in] = (taken{next[a.in].below, a.tail}); a.anew {
			r.Rewound = append(r.Rewound, a.in)
			next[a.in] = taken{}
		}
		for _, i := range a.ids {
			seen[i] = struct{}{}
		}
	}
	arrived := slices.SortedFunc(maps.Keys(seen), func(a, b id) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.kind, b.kind), cmp.Compare(a.account, b.account))
	})
	r.Arrived = len(arrived)
	touched, err := l.touched(ctx, arrived)
	if err != nil {
		return r, err
	}
	accounts := map[string]struct{}{}
	// gofail: var upkeepBeforeRows struct{}
	for step := range steps(touched) {
		written, err := l.renew(ctx, step)
		if err != nil {
			return r, err
		}
		r.Links += written
		for _, account := range step.accounts {
			accounts[account] = struct{}{}
		}
	}
	r.Accounts = len(accounts)
	// gofail: var upkeepAfterRows struct{}
	return r, l.record(ctx, started, next, r.Accounts)
}

// id is a deal or ticket that arrived, on the account that it arrived for.
type id struct{ id, kind, account string }

// arrival is what is found in one partition.
type arrival struct {
	in   churn.TopicPartition
	ids  []id
	tail uint64 // of what is taken in now
	anew bool   // the topic was recreated or the offsets set back: what was taken in before is not what lies there
}

// look reads what the spans hold, several partitions at once, and checks whether the last offsets that were taken in still hold the
// same records.
func (l *Links) look(ctx context.Context, spans map[churn.TopicPartition]span, next map[churn.TopicPartition]taken) ([]arrival, error) {
	arrivals := make([]arrival, 0, len(spans))
	for tp := range spans {
		arrivals = append(arrivals, arrival{in: tp})
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i := range arrivals {
		g.Go(func() (err error) {
			a := &arrivals[i]
			was, to, s := l.done[a.in], next[a.in], spans[a.in]
			before := uint64(0)
			err = l.one(ctx, "arrivals_tail", clickhouse.Parameters{
				"topic": a.in.Topic, "partition": strconv.Itoa(a.in.Partition),
				"first": decimalOf(was.below), "second": decimalOf(to.below), "length": decimalOf(tailLength),
			}, &before, &a.tail)
			if err == nil {
				a.ids, err = find(ctx, l, "arrived", arrivedRows.columns, clickhouse.Parameters{
					"topic": a.in.Topic, "partition": strconv.Itoa(a.in.Partition), "from": decimalOf(s.from), "to": decimalOf(s.to),
				})
			}
			if err != nil {
				return fmt.Errorf("reading what arrived in %s: %w", a.in, err)
			}
			a.anew = to.below < was.below || before != was.tail
			return nil
		})
	}
	return arrivals, g.Wait()
}

func decimalOf(n int64) string { return strconv.FormatInt(n, 10) }

// wanted is a deal, or a ticket that ever was an attempt, with every account that it was ever on.
type wanted struct {
	id       string
	isDeal   bool
	accounts []string
}

var accountsOfID = []column[wanted]{
	get("is_deal", bools, func(w *wanted) *bool { return &w.isDeal }),
	get("id", texts, func(w *wanted) *string { return &w.id }),
	getEach("accounts", texts, func(w *wanted) *[]string { return &w.accounts }, theSame),
}

// touched notes the accounts of what arrived, and finds all that it was ever on.
func (l *Links) touched(ctx context.Context, arrived []id) ([]wanted, error) {
	var touched []wanted
	for some := range slices.Chunk(arrived, idsPerStep) {
		noted, err := arrivedRows.native(some)
		if err != nil {
			return nil, err
		}
		if err := l.write(ctx, "note_ids", nil, clickhouse.Parameters{"arrived": noted}); err != nil {
			return nil, fmt.Errorf("noting the accounts of %d ids: %w", len(some), err)
		}
	}
	for some := range slices.Chunk(slices.CompactFunc(slices.Clone(arrived), func(a, b id) bool { return a.id == b.id }), idsPerStep) {
		ids := make([]string, len(some))
		for i := range some {
			ids[i] = some[i].id
		}
		found, err := find(ctx, l, "accounts_of_ids", accountsOfID, clickhouse.Parameters{"ids": stringArray(ids)})
		if err != nil {
			return nil, fmt.Errorf("finding the accounts of %d ids: %w", len(some), err)
		}
		touched = append(touched, found...)
	}
	return touched, nil
}

// step is a part of what was touched.
type step struct {
	accounts   []string
	whole      []string // of the accounts, those whose deals arrived: all their attempts are linked anew
	deals      []string
	tickets    []string
	parameters clickhouse.Parameters
}

// steps cuts what was touched into parts, accounts together where they can be. An id stays whole with all its accounts.
func steps(touched []wanted) func(yield func(step) bool) {
	for i := range touched {
		slices.Sort(touched[i].accounts)
	}
	slices.SortFunc(touched, func(a, b wanted) int {
		return cmp.Or(cmp.Compare(a.accounts[0], b.accounts[0]), cmp.Compare(a.id, b.id))
	})
	return func(yield func(step) bool) {
		var s step
		accounts, whole := map[string]struct{}{}, map[string]struct{}{}
		flush := func() bool {
			s.accounts, s.whole = slices.Sorted(maps.Keys(accounts)), slices.Sorted(maps.Keys(whole))
			s.parameters = clickhouse.Parameters{
				"accounts": stringArray(s.accounts), "whole": stringArray(s.whole),
				"deals": stringArray(s.deals), "tickets": stringArray(s.tickets),
			}
			ready := s
			s = step{}
			clear(accounts)
			clear(whole)
			return len(ready.accounts) == 0 || yield(ready)
		}
		for _, w := range touched {
			for _, account := range w.accounts {
				accounts[account] = struct{}{}
				if w.isDeal {
					whole[account] = struct{}{}
				}
			}
			if w.isDeal {
				s.deals = append(s.deals, w.id)
			} else {
				s.tickets = append(s.tickets, w.id)
			}
			if (len(accounts) >= accountsPerStep || len(s.deals)+len(s.tickets) >= idsPerStep) && !flush() {
				return
			}
		}
		flush()
	}
}

// renew brings a step's deals and attempts up to date, then the links that follow from them.
func (l *Links) renew(ctx context.Context, s step) (links int, err error) {
	l.warehouse.keeping.Lock()
	defer l.warehouse.keeping.Unlock()
	g, together := errgroup.WithContext(ctx)
	if len(s.deals) > 0 {
		g.Go(func() error { return l.write(together, "upkeep_deals", nil, s.parameters) })
	}
	if len(s.tickets) > 0 {
		g.Go(func() error { return l.write(together, "upkeep_attempts", nil, s.parameters) })
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	// gofail: var upkeepBeforeLinks struct{}
	return l.link(ctx, s)
}

// record notes how far the links are up to date.
func (l *Links) record(ctx context.Context, started time.Time, next map[churn.TopicPartition]taken, accounts int) error {
	var topics []string
	var partitions, offsets []int64
	var tails []uint64
	for tp, t := range next {
		topics = append(topics, tp.Topic)
		partitions = append(partitions, int64(tp.Partition))
		offsets = append(offsets, t.below)
		tails = append(tails, t.tail)
	}
	return l.write(ctx, "record_upkeep", nil, clickhouse.Parameters{
		"writer": l.writer, "started": timeParameter(started), "finished": timeParameter(l.warehouse.clock()),
		"topics": stringArray(topics), "partitions": int64Array(partitions), "offsets": int64Array(offsets), "tails": uint64Array(tails),
		"accounts": strconv.Itoa(accounts),
	})
}
