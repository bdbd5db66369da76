package warehouse

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aftershock/aftershock/churn"
)

var errCut = errors.New("cut off")

// cutAt makes statements of a name fail: before the server sees them, or after it did them.
func cutAt(name string, after bool) func(string, func() error) error {
	return func(statement string, run func() error) error {
		if statement != name {
			return run()
		}
		if after {
			return errors.Join(run(), errCut)
		}
		return errCut
	}
}

// An update that dies anywhere leaves rows of a version that nobody noted. The next one must not mistake them for its own:
// they stand for what was known then. The same holds for one process that fails and tries again.
func TestADeadUpdateLeavesNothing(t *testing.T) {
	for _, statement := range []string{"note_ids", "upkeep_deals", "upkeep_attempts", "upkeep_links", "upkeep_unmatched", "record_upkeep"} {
		for _, after := range []bool{false, true} {
			for _, same := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, done: %t, same process: %t", statement, after, same), func(t *testing.T) {
					t.Parallel()
					w := open(t)
					f := newFeed(t, w)
					facts := parseFacts(t, `
						deal 2024-01-01 {"deal_id":"d","account_id":"a","closed_at":"2024-01-01"}
						ticket 2024-02-01 {"ticket_id":"t","account_id":"a","opened_at":"2024-02-01","category":"attempt"}
						ticket 2024-02-01 {"ticket_id":"u","account_id":"b","opened_at":"2024-02-01","category":"attempt"}`)
					f.store(facts...)
					u := f.openLinks()
					u.around = cutAt(statement, after)
					if _, err := u.Update(t.Context(), f.offsets); !errors.Is(err, errCut) {
						t.Fatal(err)
					}
					u.around = nil
					// Meanwhile it turns out that the tickets were none, and were known to be none from the start.
					corrections := parseFacts(t, `
						ticket 2024-02-01 {"event_id":"e4","ticket_id":"t","account_id":"a","opened_at":"2024-02-01","category":"question","revision":1}
						ticket 2024-02-01 {"event_id":"e5","ticket_id":"u","account_id":"b","opened_at":"2024-02-01","category":"question","revision":1}`)
					f.store(corrections...)
					if !same {
						u = f.openLinks()
					}
					f.takenBy(u)
					holdAgainstBruteForce(t, w, "", append(facts, corrections...))
				})
			}
		}
	}
}

// holdAgainstBruteForce compares every instant at which something became known.
func holdAgainstBruteForce(t testing.TB, w *Warehouse, prefix string, facts []fact) {
	t.Helper()
	brute := &bruteForce{}
	brute.add(t, facts)
	for at := range instantsOf(facts) {
		if diff := cmp.Diff(brute.rowsAt(at), storedRows(t, w, prefix, at)); diff != "" {
			t.Fatalf("rows as known at %s (-brute force +stored):\n%s", at, diff)
		}
	}
}

// instantsOf are the instants at which something became known, each once.
func instantsOf(facts []fact) map[time.Time]bool {
	instants := map[time.Time]bool{}
	for _, f := range facts {
		instants[f.knownAt] = true
	}
	return instants
}

// actor is a process that keeps links, stopped before each of its statements until it is told to go on.
type actor struct {
	w       *Warehouse
	links   *Links
	ready   chan statement
	ended   chan error // of the work under way
	working bool
}

type statement struct {
	name     string
	run, ran chan struct{}
}

// newActor has connections of its own, as another process would.
func newActor(t testing.TB, w *Warehouse) *actor {
	other, err := Open(w.config, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	return &actor{w: other, ready: make(chan statement), ended: make(chan error, 1)}
}

// begin makes the process the leader where it is not, and takes in what was stored until now.
func (a *actor) begin(ctx context.Context, name string, offsets map[churn.TopicPartition]int64) {
	a.working = true
	go func() {
		a.ended <- func() error {
			if a.links == nil {
				u := a.w.newLinks(name)
				u.around = a.around
				if err := u.open(ctx); err != nil {
					return err
				}
				a.links = u
			}
			_, err := a.links.Update(ctx, offsets)
			return err
		}()
	}()
}

func (a *actor) around(name string, run func() error) error {
	s := statement{name, make(chan struct{}), make(chan struct{})}
	a.ready <- s
	<-s.run
	defer close(s.ran)
	return run()
}

// advance lets one statement run to its end and returns its name; it is empty where the work ended instead.
func (a *actor) advance(t testing.TB) string {
	select {
	case s := <-a.ready:
		close(s.run)
		<-s.ran
		return s.name
	case err := <-a.ended:
		a.working = false
		if errors.Is(err, ErrAnotherWriter) {
			a.links = nil // it steps down
		} else if err != nil {
			t.Errorf("keeping links: %v", err)
		}
		return ""
	}
}

func (a *actor) finish(t testing.TB) {
	for a.working {
		a.advance(t)
	}
}

// A leader that is stopped before any of its statements, for so long that another one took over, and then goes on, changes
// nothing.
func TestAWokenLeaderChangesNothing(t *testing.T) {
	// What the first one finds is no longer so when the second looks, and was not so at any instant: its rows have keys that
	// the second never writes.
	before := parseFacts(t, `
		deal 2024-01-01 {"deal_id":"d","account_id":"a","closed_at":"2024-01-01"}
		deal 2024-01-01 {"event_id":"e2","deal_id":"moves","account_id":"a","closed_at":"2024-01-02"}
		ticket 2024-02-01 {"event_id":"e3","ticket_id":"t","account_id":"a","opened_at":"2024-02-01","category":"attempt"}
		ticket 2024-02-01 {"event_id":"e4","ticket_id":"u","account_id":"b","opened_at":"2024-02-01","category":"attempt"}`)
	meanwhile := parseFacts(t, `
		deal 2024-01-01 {"event_id":"e5","deal_id":"moves","account_id":"c","closed_at":"2024-01-02","revision":1}
		ticket 2024-02-01 {"event_id":"e6","ticket_id":"t","account_id":"a","opened_at":"2024-02-01","category":"question","revision":1}
		ticket 2024-02-01 {"event_id":"e7","ticket_id":"u","account_id":"b","opened_at":"2024-02-01","category":"question","revision":1}
		ticket 2024-02-02 {"event_id":"e8","ticket_id":"v","account_id":"a","opened_at":"2024-02-02","category":"attempt"}`)
	var names []string
	for stop := 0; ; stop++ {
		w, done := borrow(t)
		f := newFeed(t, w)
		f.store(before...)
		first, second := newActor(t, w), newActor(t, w)
		first.begin(t.Context(), "first", maps.Clone(f.offsets))
		for range stop {
			names = append(names, first.advance(t))
		}
		if !first.working {
			break
		}
		f.store(meanwhile...)
		second.begin(t.Context(), "second", maps.Clone(f.offsets))
		second.finish(t)
		if second.links == nil {
			t.Fatal("the second one is not the leader")
		}
		first.finish(t)
		if first.links != nil && first.links.epoch.number > second.links.epoch.number {
			// It had not claimed yet and did so now: it is the leader, and looks again as leaders do.
			first.begin(t.Context(), "first", maps.Clone(f.offsets))
			first.finish(t)
		}
		holdAgainstBruteForce(t, w, "", append(slices.Clone(before), meanwhile...))
		done()
	}
	for _, statement := range []string{"insert_claim", "note_ids", "upkeep_deals", "upkeep_attempts", "upkeep_links", "upkeep_unmatched", "record_upkeep"} {
		if !slices.Contains(names, statement) {
			t.Errorf("it was never stopped after %s", statement)
		}
	}
}

// Two processes believe that they are the leader, statement by statement in any order, while events arrive. When one of
// them has taken in all, what the other still does changes nothing.
func TestTwoLeaders(t *testing.T) {
	if err := flag.Set("rapid.checks", "60"); err != nil {
		t.Fatal(err)
	}
	w := open(t)
	f := newFeed(t, w)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		prefix := fmt.Sprintf("two%d", round)
		actors := []*actor{newActor(t, w), newActor(t, w)}
		known := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
		var all []fact
		arrive := func() {
			var batch []fact
			for range rapid.IntRange(1, 5).Draw(rt, "records") {
				// Few instants: what arrives later often takes the place of what was known at the same one.
				at := known.Add(time.Duration(rapid.IntRange(0, 2).Draw(rt, "hour")) * time.Hour)
				batch = append(batch, drawFact(rt, prefix, len(all)+len(batch), at))
			}
			all = append(all, batch...)
			f.store(batch...)
		}
		arrive()
		for range rapid.IntRange(0, 40).Draw(rt, "actions") {
			switch i := rapid.IntRange(0, 8).Draw(rt, "action"); {
			case i == 0:
				arrive()
			case i <= 2 && !actors[i-1].working:
				actors[i-1].begin(t.Context(), fmt.Sprint(i), maps.Clone(f.offsets))
			case actors[i%2].working:
				actors[i%2].advance(t)
			}
		}
		// One of them takes in all, the last to arrive too, while the other is stopped somewhere; then that one goes on.
		i := rapid.IntRange(0, 1).Draw(rt, "the last leader")
		last, woken := actors[i], actors[1-i]
		if !woken.working {
			woken.begin(t.Context(), "woken", maps.Clone(f.offsets))
		}
		until := rapid.SampledFrom([]string{"", "note_ids", "upkeep_attempts", "deals_to_link", "attempts_to_link", "upkeep_links"}).Draw(rt, "stopped after")
		for woken.working && woken.advance(t) != until {
		}
		arrive()
		for {
			last.finish(t)
			last.begin(t.Context(), "last", maps.Clone(f.offsets))
			last.finish(t)
			if last.links != nil {
				break
			}
		}
		woken.finish(t)
		if woken.links != nil && last.links.epoch.number < woken.links.epoch.number {
			// It claimed when it went on, so it is the leader now, and must have left things as they were.
			woken.begin(t.Context(), "woken", maps.Clone(f.offsets))
			woken.finish(t)
		}
		holdAgainstBruteForce(t, w, prefix+"-", all)
	})
}

// A statement that is still running at the server when another claims is waited for.
func TestAClaimWaitsForStatementsUnderWay(t *testing.T) {
	w := open(t)
	first, err := w.OpenLinks(t.Context(), "first")
	if err != nil {
		t.Fatal(err)
	}
	running := make(chan error, 1)
	id := fmt.Sprintf("%s%d/slow", first.prefix(), first.epoch.number)
	ctx := withQueryID(t.Context(), id)
	go func() {
		running <- w.conn.Exec(ctx, "SELECT sleepEachRow(0.5) FROM numbers(4) SETTINGS max_block_size = 1 FORMAT Null")
	}()
	for seen := uint64(0); seen == 0; {
		if err := w.conn.QueryRow(t.Context(), "SELECT count() FROM system.processes WHERE query_id = '"+id+"'").Scan(&seen); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.OpenLinks(t.Context(), "second"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-running:
		if err != nil {
			t.Fatal(err)
		}
	default:
		// The driver may hear of the end a moment after the server says that nothing runs.
		var left uint64
		if err := w.conn.QueryRow(t.Context(), "SELECT count() FROM system.processes WHERE query_id = '"+id+"'").Scan(&left); err != nil || left > 0 {
			t.Errorf("the second one began while a statement of the first was running: %v", err)
		}
		<-running
	}
}
