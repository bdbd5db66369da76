package publish

import (
	"context"
	"fmt"

	"github.com/aftershock/aftershock/churn/alert"
)

// Noted is what the log says that a destination was delivered.
type Noted interface {
	// Noted calls do with the latest transition of each fingerprint of which a delivery to the destination is noted.
	Noted(ctx context.Context, destination string, do func(alert.Transition) error) error
}

// notes stand in for a look at a destination that cannot be asked what it has.
type notes map[string]alert.Order

func read(ctx context.Context, log Noted, destination string) (notes, error) {
	n := notes{}
	err := log.Noted(ctx, destination, func(t alert.Transition) error {
		n.put(t)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading what %s was delivered: %w", destination, err)
	}
	return n, nil
}

func (n notes) put(t alert.Transition) { n[t.Fingerprint] = t.Order() }

// Has reports whether the transition, or one after it, was delivered.
func (n notes) Has(t alert.Transition) bool {
	at, found := n[t.Fingerprint]
	return found && t.Order().Compare(at) <= 0
}
