package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/consumers"
)

// Election elects one leader among any number of processes: the one to which the control group assigns the only partition of the
// control topic. It has nothing to do with the broker that leads a partition.
type Election struct {
	Config consumers.Config
	Kafka  *broker.Connection
	Log    *slog.Logger // slog.Default() where nil
}

// Lead takes part in the election until the context ends, and runs the function whenever this process becomes the leader. The
// function's context ends when the generation does; Lead waits for it to return, and only then can another generation begin
// here. It must return promptly: no heartbeat is sent meanwhile. Lead returns the function's error, if it returns one while it
// still leads; a nil return while it leads ends Lead too.
//
// A process that was paused may run on for a moment after another became the leader: what it does must be refused by other
// means, as the alert log does.
func (e *Election) Lead(ctx context.Context, work func(ctx context.Context, generation int32) error) error {
	log := e.Log
	if log == nil {
		log = slog.Default()
	}
	topic := e.Kafka.Topics().Control
	group, err := e.Kafka.Join(broker.GroupOptions{
		Name: e.Config.ControlGroup, Topics: []string{topic}, Session: e.Config.ControlSessionTimeout,
		Rebalance: e.Config.RebalanceTimeout, Request: e.Config.CommitTimeout, Drain: e.Config.DrainTimeout,
	})
	if err != nil {
		return err
	}
	var working sync.WaitGroup
	defer working.Wait()
	defer group.Leave()
	results := make(chan error, 1)
	for {
		generation, err := nextOrResult(ctx, group, results)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errFinished):
			return <-results
		case err != nil:
			log.Warn("joining the control group; trying again", "group", e.Config.ControlGroup, "error", err)
		default:
			begin(generation, log, topic, work, &working, results)
		}
	}
}

// errFinished says that the leader's function returned while it led.
var errFinished = errors.New("the leader's work is finished")

// nextOrResult waits for the next generation or for the end of the leader's function.
func nextOrResult(ctx context.Context, group *broker.Group, results chan error) (*kafka.Generation, error) {
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer func() { <-done }()
	go func() {
		defer close(done)
		select {
		case result := <-results:
			results <- result
			cancel(errFinished)
		case <-waiting.Done():
		}
	}()
	generation, err := group.Next(waiting)
	if err != nil && errors.Is(context.Cause(waiting), errFinished) {
		return nil, errFinished
	}
	cancel(nil)
	return generation, err
}

// begin runs the leader's function under the generation, where that makes this process the leader.
func begin(generation *kafka.Generation, log *slog.Logger, topic string,
	work func(context.Context, int32) error, working *sync.WaitGroup, results chan<- error) {
	leads := false
	for _, a := range generation.Assignments[topic] {
		leads = leads || a.ID == 0
	}
	if !leads {
		log.Info("standing by for the control partition", "generation", generation.ID)
		return
	}
	working.Add(1)
	generation.Start(func(ctx context.Context) {
		defer working.Done()
		log.Info("holding the control partition", "generation", generation.ID)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		// gofail: var leaderTakesOver struct{}
		err := work(ctx, generation.ID)
		if ctx.Err() != nil { // given up, not finished
			log.Info("gave the control partition up", "generation", generation.ID, "error", err)
			return
		}
		results <- err
	})
}
