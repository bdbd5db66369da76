// Package pipeline joins the parts: what is consumed is stored, what is stored is evaluated, what is found is published. The parts
// know nothing of one another.
//
// Any number of processes may run. Election chooses the one that leads: it alone keeps links, evaluates and publishes, and the
// others stand by. An election is not a lock: a leader that was paused may go on for a moment after another was elected, and what it
// does then is refused by other means.
package pipeline
