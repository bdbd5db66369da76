package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"
)

// namedSteps are the places in the replicas' code at which they can be stopped exactly.
var namedSteps = []string{
	"consumersBeforeInsert", "consumersAfterInsert", "consumersBeforeDeadLetters", "consumersAfterDeadLetters",
	"consumersBeforeCommit", "consumersAfterCommit",
	"upkeepBeforeClaim", "upkeepAfterClaim", "upkeepBeforeRows", "upkeepBeforeLinks", "upkeepAfterRows",
	"logBeforeClaim", "logAfterClaim", "publishBeforeWrite", "publishAfterWrite", "leaderTakesOver",
}

// takeoverSteps only come when a leader has gone.
var takeoverSteps = []string{"leaderTakesOver", "upkeepBeforeClaim", "upkeepAfterClaim"}

// fault is one thing that goes wrong. It reports whether it took place: a step may not be reached in time.
type fault struct {
	kind string
	do   func(ctx context.Context) (bool, error)
}

// storm makes faults of all kinds in random order. Two lanes run at once, one for replicas and one for servers and networks, so that
// a server may be away while a replica dies.
type storm struct {
	*house
	random *rand.Rand
	guest  *replica // joins and leaves

	mu   sync.Mutex
	made map[string]int
	log  func(format string, args ...any)
}

func (s *storm) count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, made := range s.made {
		n += made
	}
	return n
}

// rage makes faults at an even pace, so that there are so many after so long, and goes on as long as the caller wants.
func (s *storm) rage(ctx context.Context, faults int, within time.Duration, goOn func() bool) error {
	lanes := [][]fault{s.replicaFaults(), s.serverFaults()}
	var deals [2]func() fault
	for i, lane := range lanes {
		deals[i] = dealer(rand.New(rand.NewPCG(s.random.Uint64(), uint64(i))), lane)
	}
	if faults == 0 {
		return nil
	}
	// Where faults take longer than their share, or the caller wants more of them, the pipeline may still draw breath in between:
	// one that never moves is in nobody's way.
	breath := within / time.Duration(2*faults)
	began := time.Now()
	var lanesUp sync.WaitGroup
	errs := make([]error, len(lanes))
	for i := range lanes {
		lanesUp.Go(func() {
			for made := 0; ctx.Err() == nil && errs[i] == nil; {
				// Each lane takes half of them.
				due := began.Add(time.Duration(float64(within) * float64(2*made+i) / float64(faults)))
				sleep(ctx, max(time.Until(due), breath))
				if s.count() >= faults && !goOn() {
					return
				}
				f := deals[i]()
				at := time.Now()
				happened, err := f.do(ctx)
				if happened {
					made++
					s.mu.Lock()
					s.made[f.kind]++
					s.mu.Unlock()
				}
				s.log("%s: happened: %v, took %s", f.kind, happened, time.Since(at).Round(100*time.Millisecond))
				if ctx.Err() == nil && err != nil {
					errs[i] = fmt.Errorf("%s: %w", f.kind, err)
				}
			}
		})
	}
	lanesUp.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// dealer deals faults like cards: each comes before any comes again.
func dealer(random *rand.Rand, faults []fault) func() fault {
	var deck []fault
	return func() fault {
		if len(deck) == 0 {
			deck = append(deck, faults...)
			random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		f := deck[0]
		deck = deck[1:]
		return f
	}
}

const stepPatience = 15 * time.Second

// replicaFaults kill and pause replicas, at random and at every named step, and make them leave and join.
func (s *storm) replicaFaults() []fault {
	var all []fault
	add := func(kind string, do func(context.Context) (bool, error)) { all = append(all, fault{kind, do}) }
	for _, step := range namedSteps {
		add("kill -9 at "+step, func(ctx context.Context) (bool, error) { return s.atStep(ctx, step, stepPatience, s.die) })
		add("paused at "+step, func(ctx context.Context) (bool, error) { return s.atStep(ctx, step, stepPatience, s.freeze) })
	}
	for range 3 {
		add("kill -9 at random", func(ctx context.Context) (bool, error) { return true, s.die(ctx, s.anyRunning()) })
		add("paused at random", func(ctx context.Context) (bool, error) { return true, s.freeze(ctx, s.anyRunning()) })
		add("leaves amid an insert", func(ctx context.Context) (bool, error) {
			return s.atStep(ctx, "consumersBeforeInsert", stepPatience, func(ctx context.Context, r *replica) error {
				if err := r.stop(time.Minute); err != nil {
					return err
				}
				return r.start()
			})
		})
		add("joins amid an insert", s.join)
	}
	return all
}

// serverFaults take servers and networks away.
func (s *storm) serverFaults() []fault {
	slowly := func(of func(*replica) *proxy) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			for _, r := range s.replicas {
				mend, err := of(r).slow(time.Duration(s.upTo(50, 800))*time.Millisecond, 50*time.Millisecond)
				if err != nil {
					return false, err
				}
				defer mend()
			}
			sleep(ctx, time.Duration(s.upTo(4, 10))*time.Second)
			return true, nil
		}
	}
	dropped := func(table string) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			var proxies []*proxy
			for _, r := range s.replicas {
				proxies = append(proxies, r.clickhouse)
			}
			return deafen(ctx, proxies, table, stepPatience, 2*time.Second), nil
		}
	}
	return []fault{
		{"broker stopped and started", func(ctx context.Context) (bool, error) {
			return true, s.broker.restart(ctx, s.broker.stop, time.Duration(s.upTo(0, 4))*time.Second)
		}},
		{"broker killed and started", func(ctx context.Context) (bool, error) {
			return true, s.broker.restart(ctx, s.broker.kill, time.Duration(s.upTo(0, 4))*time.Second)
		}},
		{"broker slow", slowly(func(r *replica) *proxy { return r.kafka })},
		{"broker cut off from a replica", func(ctx context.Context) (bool, error) {
			mend := s.anyRunning().kafka.cut()
			sleep(ctx, time.Duration(s.upTo(2, 9))*time.Second)
			mend()
			return true, nil
		}},
		{"ClickHouse killed and started", func(ctx context.Context) (bool, error) {
			return true, s.clickhouse.restart(ctx, s.clickhouse.kill, time.Duration(s.upTo(0, 5))*time.Second)
		}},
		{"ClickHouse paused", func(ctx context.Context) (bool, error) {
			s.clickhouse.pause(ctx, time.Duration(s.upTo(2, 8))*time.Second)
			return true, nil
		}},
		{"ClickHouse cut off from a replica", func(ctx context.Context) (bool, error) {
			mend := s.anyRunning().clickhouse.cut()
			sleep(ctx, time.Duration(s.upTo(2, 9))*time.Second)
			mend()
			return true, nil
		}},
		{"response of an insert dropped: deal_events", dropped("deal_events")},
		{"response of an insert dropped: ticket_events", dropped("ticket_events")},
		{"response of an insert dropped: alert_log", dropped("alert_log")},
	}
}

func (s *storm) upTo(least, most int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return least + s.random.IntN(most-least+1)
}

// anyRunning is one of the replicas that run, or should.
func (s *storm) anyRunning() *replica {
	for range 100 {
		if r := s.replicas[s.upTo(0, len(s.replicas)-1)]; r.running() {
			return r
		}
	}
	return s.replicas[0]
}

// die kills the replica and starts it again, soon or after the groups have noticed.
func (s *storm) die(ctx context.Context, r *replica) error {
	r.kill()
	sleep(ctx, time.Duration(s.upTo(0, 6))*time.Second)
	return r.start()
}

// freeze pauses the replica for longer than the groups wait for it, so that it wakes up with its work taken from it.
func (s *storm) freeze(ctx context.Context, r *replica) error {
	r.signal(syscall.SIGSTOP)
	sleep(ctx, pausedFor)
	r.signal(syscall.SIGCONT)
	return nil
}

// join starts the guest while another replica stores a batch; the next time the guest leaves likewise.
func (s *storm) join(ctx context.Context) (bool, error) {
	return s.atStep(ctx, "consumersBeforeInsert", stepPatience, func(context.Context, *replica) error {
		if s.guest.running() {
			return s.guest.stop(time.Minute)
		}
		return s.guest.start()
	})
}

// atStep arms the step in every replica that runs, waits for the first to arrive and stay there, and does something to it.
func (h *house) atStep(ctx context.Context, step string, patience time.Duration, do func(context.Context, *replica) error) (happened bool, err error) {
	armed := map[*replica]bool{}
	defer func() {
		for r := range armed {
			r.disarm(ctx, step)
		}
	}()
	if slices.Contains(takeoverSteps, step) && len(h.replicas) > 1 {
		patience += controlSessionTimeout
		defer h.provokeTakeover(ctx)()
	}
	var found *replica
	until(ctx, patience, func() bool {
		for _, r := range h.replicas {
			if !r.running() {
				delete(armed, r)
				continue
			}
			if !armed[r] {
				armed[r] = r.arm(ctx, step, pausedFor/2) == nil
			}
			if armed[r] && r.arrived(ctx, step) {
				found = r
				return true
			}
		}
		return false
	})
	if found == nil {
		return false, nil
	}
	for r := range armed {
		if r != found {
			r.disarm(ctx, step)
			delete(armed, r)
		}
	}
	return true, do(ctx, found)
}

// provokeTakeover cuts one replica after the other off from the broker, so that one of them takes over.
func (h *house) provokeTakeover(ctx context.Context) (end func()) {
	cutting, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		sleep(cutting, time.Second) // for the step to be armed
		for i := 0; cutting.Err() == nil; i++ {
			mend := h.replicas[i%len(h.replicas)].kafka.cut()
			sleep(cutting, controlSessionTimeout+time.Second)
			mend()
			sleep(cutting, time.Second)
		}
	})
	return func() { stop(); done.Wait() }
}
