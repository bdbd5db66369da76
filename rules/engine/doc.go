// Package engine is the life of alerts: one group of rules at one instant. Rows that rules return, what people did and where the
// alerts stood become transitions, and those become an entry of the alert log, which is the engine's only state.
//
// It has two drivers, the leader of the pipeline and the past of a backtest, and both use the same calls, in this order:
//
//	ledger, err := engine.Open(ctx, group, now)        // where the group stands in the log
//	engine.Answer(ctx, ledgers, feedback)              // what people did, each in an entry of its own
//	for entry, err := range engine.Evaluate(ctx, ledger, tick) { // rows, transitions, and the bytes that are published
//		engine.Append(ctx, ledger, entry)                    // claimed by compare-and-set and read back
//	}
//
// The engine waits for nobody and calls no driver back: that what was known is visible, when a tick is due, what is repeated after
// an outage and who is woken by an entry is for the driver to know. The decisions, in lifecycle.go and notify.go, are pure.
//
// One rule harms only itself: a query that fails, rows that make no sense, a text that cannot be filled, a panic hold the alerts of
// that rule and are told in its run. Only an outage, which says nothing about any rule, is returned as an error.
package engine
