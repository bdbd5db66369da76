// Package warehouse keeps events, links and the alert log in ClickHouse, and answers what rules, alerts and people ask of them.
//
// # Tables
//
// Events are append-only: deal_events, ticket_events and feedback hold every record that was accepted, rejected_events what was
// refused. A record that was consumed twice is stored twice, with the same Kafka position; views count an event once.
//
// From events follow versions (migrations/00002): deal_versions, attempt_versions, in_force_versions, link_versions and unmatched_versions say what a deal,
// a renegotiation attempt or a link was, and from when until when that was known (known_from, known_to). A late or corrected event
// adds versions and ends others; it never changes what was known before.
//
// The alert log (migrations/00003) is state and outbox at once. One entry for each tick of a group of rules, in one order: its
// marker, then its transitions with the exact bytes to publish. alert_deliveries notes what became of each at each destination.
//
// Views answer as of an instant from those versions, so that live evaluation, backtests and rule tests run the same SQL.
//
// # Who writes
//
// Consumers insert events, as many at once as they like: an insert is all or nothing, and its token makes a retry harmless. Only the
// leader writes versions, through Links, and the alert log, through Append. Two processes may both believe that they are the
// leader; both kinds of writing are claimed by compare-and-set, so that one of them wins and the other is told (docs/adr/0004, 0010).
//
// # How it is written and read
//
// The columns of a table stand in one list, by name, with how each is filled from a row and read back into one (columns.go). Inserts
// and the SELECTs of the alert log are made from these lists; other queries are read by the names of their columns. Nothing depends on
// the order of columns. All SQL is in .sql files: migrations change tables once, views are replaced as a whole at every
// migration, queries are what the code runs.
//
// Limits: one database for each deployment, on one server; one writer of versions and of the alert log at a time.
package warehouse
