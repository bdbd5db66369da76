// Package rules is what revenue operations own: rule files, their tests, the schedule they run on, and the life of the
// alerts that they raise.
//
//	rule files ─> Load ─> Set ─> Engine: for each tick of a group's schedule
//	                               Settle (all that was known is visible) ─> Warehouse.Rows ─> step ─> Log.Append
//
// A rule is a query over the warehouse as known at an instant; each row is an alert. step, the lifecycle, is a pure
// function: where the alerts stood, the rows, the instant, and out come transitions, each with a named reason. What a
// tick decides is appended to the log as one entry, all or nothing, so the log is state and outbox at once.
//
// Limits: one Engine at a time may append to a group (Append says who won); a group's latest transition of each alert
// is held in memory; a tick never overlaps another of its group, so a query slower than the schedule delays it.
package rules
