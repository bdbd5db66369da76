package consumers

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
)

// Control elects one holder among any number of processes: the one to which the control group assigns the control partition.
type Control struct {
	Config Config
	Kafka  *broker.Connection
	Log    *slog.Logger // slog.Default() where nil
}

// Hold takes part in the election until the context ends, and runs the function whenever this process becomes the holder. The
// function's context ends when the generation does; Hold waits for it to return, and only then can another generation begin
// here. It must return promptly: no heartbeat is sent meanwhile. Hold returns the function's error, if it returns one while it
// still holds; a nil return while it holds ends Hold too.
//
// A process that was paused may run on for a moment after another became the holder: what it does must be refused by other
// means, as the alert log does.
func (c *Control) Hold(ctx context.Context, work func(ctx context.Context, generation int32) error) error {
	log := c.Log
	if log == nil {
		log = slog.Default()
	}
	topic := c.Kafka.Topics().Control
	group, err := newGroup(c.Kafka, c.Config, c.Config.ControlGroup, c.Config.ControlSessionTimeout, []string{topic})
	if err != nil {
		return err
	}
	var working sync.WaitGroup
	defer working.Wait()
	defer leave(group, c.Config)
	results := make(chan error, 1)
	for {
		generation, err := nextOrResult(ctx, group, results)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errFinished):
			return <-results
		case err != nil:
			log.Warn("joining the control group; trying again", "group", c.Config.ControlGroup, "error", err)
		default:
			c.begin(generation, log, topic, work, &working, results)
		}
	}
}

// errFinished says that the holder's function returned while it held.
var errFinished = errors.New("the holder's work is finished")

// nextOrResult waits for the next generation or for the end of the holder's function.
func nextOrResult(ctx context.Context, group *kafka.ConsumerGroup, results chan error) (*kafka.Generation, error) {
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

func (c *Control) begin(generation *kafka.Generation, log *slog.Logger, topic string,
	work func(context.Context, int32) error, working *sync.WaitGroup, results chan<- error) {
	holds := false
	for _, a := range generation.Assignments[topic] {
		holds = holds || a.ID == 0
	}
	if !holds {
		log.Info("standing by for the control partition", "generation", generation.ID)
		return
	}
	working.Add(1)
	generation.Start(func(ctx context.Context) {
		defer working.Done()
		log.Info("holding the control partition", "generation", generation.ID)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		// gofail: var holderTakesOver struct{}
		err := work(ctx, generation.ID)
		if ctx.Err() != nil { // given up, not finished
			log.Info("gave the control partition up", "generation", generation.ID, "error", err)
			return
		}
		results <- err
	})
}
