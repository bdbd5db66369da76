package demo

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/dial"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/simulate"
)

// step is how often the live demo moves on and repaints.
const step = time.Second

// pulse is what the live demo measures between two paints.
type pulse struct {
	sent int // records in the last step
	lag  int64
}

// live goes on after the history in time lapse: records arrive as their time comes, consumers read them, ticks are evaluated.
func (d *Demo) live(ctx context.Context, s *simulate.Simulation) error {
	return d.pipeline.Lapse(ctx, func(ctx context.Context, to pipeline.MoveOn) error { return d.lapse(ctx, s, to) })
}

func (d *Demo) lapse(ctx context.Context, s *simulate.Simulation, to pipeline.MoveOn) error {
	next, stop := iter.Pull(s.Live(d.history.At))
	defer stop()
	p := broker.NewProducer(d.pipeline.Kafka)
	defer p.Close()
	record, more := next()
	for ctx.Err() == nil {
		now := d.clock().Add(time.Duration(float64(step) * float64(24*time.Hour) / float64(d.Day)))
		d.now.Store(now.UnixMilli())
		before := p.Sent()
		for ; more && !record.KnownAt.After(now); record, more = next() {
			if err := p.Add(ctx, TopicOf(record, d.pipeline.Kafka.Topics()), record.Key, record.Value, record.KnownAt); err != nil {
				return stopped(ctx, err)
			}
		}
		if err := p.Flush(ctx); err != nil {
			return stopped(ctx, err)
		}
		lag, err := to(ctx, now)
		if err != nil {
			return stopped(ctx, err)
		}
		beat := &pulse{sent: p.Sent() - before, lag: lag}
		if err := d.show(ctx, beat); err != nil {
			return stopped(ctx, err)
		}
		_ = dial.Sleep(ctx, step)
	}
	return nil
}

// stopped drops the errors that only say that the user ended the demo.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
