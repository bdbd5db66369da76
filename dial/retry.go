package dial

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Pause is the pauses between attempts at something that is away. Each is twice as long as the one before, from First up to
// Longest; of each, chance takes up to a half, so that many who failed together do not knock together. It is for one goroutine.
type Pause struct {
	First, Longest time.Duration

	next time.Duration
}

// Next returns how long to pause now.
func (p *Pause) Next() time.Duration {
	whole := p.whole()
	p.next = min(2*whole, p.Longest)
	return whole/2 + rand.N(whole/2+1)
}

// AtLongest reports whether the next pause is as long as pauses get.
func (p *Pause) AtLongest() bool { return p.whole() == p.Longest }

func (p *Pause) whole() time.Duration {
	if p.next == 0 {
		return min(p.First, p.Longest)
	}
	return p.next
}

// Reset makes the next pause the first one again: an attempt succeeded.
func (p *Pause) Reset() { p.next = 0 }

// Wait pauses. Where the context ends first, it returns the context's error.
func (p *Pause) Wait(ctx context.Context) error { return Sleep(ctx, p.Next()) }

// Sleep pauses for a while. Where the context ends first, it returns the context's error.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Failure is an attempt that failed.
type Failure struct {
	Attempt   int // 1 is the first
	Err       error
	Wait      time.Duration // until the next attempt, if there is one
	AtLongest bool          // pauses grow no more
}

// Retry makes attempts until one succeeds. After each failure it asks whether to go on, which is the place to log and to count;
// where the answer is no, it returns that failure's error. When the context ends, the attempt under way is the last: its error is
// returned beside the context's. The attempt watches a context of its own, which may outlive this one.
func Retry(ctx context.Context, pause Pause, attempt func() error, again func(Failure) bool) error {
	for n := 1; ; n++ {
		err := attempt()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		failure := Failure{Attempt: n, Err: err, AtLongest: pause.AtLongest(), Wait: pause.Next()}
		if !again(failure) {
			return err
		}
		if ended := Sleep(ctx, failure.Wait); ended != nil {
			return errors.Join(ended, err)
		}
	}
}
