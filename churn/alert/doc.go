// Package alert defines what an alert is, how it is told to the outside, and what makes two alerts the same.
//
// A rule is a query; each of its rows is about one thing, named by the rule's identity columns, such as a contract.
// [Fingerprint] hashes rule and identity: the same fingerprint is the same alert. It fires, is acknowledged or snoozed, and
// resolves; that is one episode, counted from 1, and when the trouble comes back the next one begins. Each change within an
// episode is a [Transition] with its own sequence, a named reason, and an id that is the same on every machine.
//
// # Written once
//
// Transitions are appended to the alert log, one [Entry] for each tick of a rule group, and leave from there. [Encode] fixes
// topic, key, headers and bytes before anything is stored, so that whatever is published again is the same bytes. The value of
// the record is an [Alert], version 1 (deploy/schemas/alert.v1.json): which alert, why, about whom, how much money is at stake,
// how the deal was negotiated, and what the client said. Rules of the kind hand-off add a [HandoffBrief] for the person who
// inherits the client.
//
// # Reading it
//
// [Decode] reads a value back and ignores fields that it doesn't know. Delivery is at least once and, after a failure, perhaps
// out of order: keep, for each fingerprint, what is highest by [Order], and drop the rest. A record without a value is a
// tombstone: the alert is long over and may be forgotten.
//
// Money is an exact decimal string beside its currency, lags are days as a fraction, times are UTC in RFC 3339. Where a pointer
// is null, nobody knows, or the alert is about no such thing. Names and quotes are strangers' words: escape them wherever you
// show them.
//
// The states pending, no_data and error are kept in the log only and are never published; [State.Published] tells. When a
// transition happens is decided elsewhere, by the rules; here are only facts and pure functions.
package alert
