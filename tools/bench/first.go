package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// partFirst measures the first tick over many hard deals, each of which has an alert.
const (
	partFirst  = "first"
	firstDeals = 30_000
	firstTicks = "*/20 * * * * *"
)

func (s *servers) first(ctx context.Context) error {
	p, stop, err := s.start(ctx, partFirst, s.clickhouse, "AFTERSHOCK_EVALUATE_RULES=", "AFTERSHOCK_EVALUATE_SCHEDULE="+firstTicks)
	if stop != nil {
		defer stop()
	}
	if err != nil {
		return err
	}
	w := s.writer()
	defer w.Close()
	began, r := time.Now(), rand.New(rand.NewPCG(9, 9))
	records := make([]keyed, 0, firstDeals)
	for i := range firstDeals {
		id := fmt.Sprintf("first-%05d", i)
		records = append(records, keyed{true, id, contract(r, id, id+"-C", began.Add(-time.Duration(r.IntN(9*24))*time.Hour), true)})
	}
	if err := p.produceAt(ctx, w, records, 1e6); err != nil {
		return err
	}
	if err := s.takenIn(ctx, p, len(records), 5*time.Minute); err != nil {
		return err
	}
	time.Sleep(90 * time.Second)
	fmt.Printf("\nfirst ticks over %d hard deals\n", firstDeals)
	return s.reportTicks(ctx, p, began)
}
