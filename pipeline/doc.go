// Package pipeline joins the parts, which know nothing of one another: what is consumed is stored, what is stored is evaluated, what
// is found is published. Any number of processes may run; Election chooses the one that leads, and the others stand by. What a leader
// does in a tick is one function, evaluation.tick: read it first.
package pipeline
