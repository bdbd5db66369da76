package broker

import "context"

// Await is the second half of Positions.Wait: a test does something after the first look.
func (w *Progress) Await(ctx context.Context, patience Patience) error { return w.await(ctx, patience) }
