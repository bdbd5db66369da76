// Package churn holds the facts that Aftershock is about: deals that closed, tickets that clients opened, and what people said
// of the alerts that came of them.
//
// A fact arrives as the JSON value of a Kafka record. [DecodeDeal], [DecodeTicket] and [DecodeFeedback] turn it into a
// [DealClosed], a [SupportTicket] or a [Feedback], or refuse it with a [Rejection]: a stable [Code] for machines, the field at
// fault, and a sentence for a person. The schemas are in deploy/schemas. Decoding is strict about what it knows (types, ranges,
// duplicate keys, UTF-8) and ignores fields that it doesn't, so a producer may add its own.
//
// # What a value means
//
//   - Not recorded is not zero. Facts that a source may leave out are pointers or [OptionalMoney]: nil says that nobody told
//     us, an empty list that somebody looked and found none.
//   - Money is exact: up to 18 digits, 4 of them decimals, never a float. The currency (ISO 4217) stands beside it, and amounts
//     of different currencies are never added.
//   - Times are UTC and precise to the millisecond. OccurredAt is the time at the source; KnownAt in [Stamp] is when the fact
//     became known here. The past is always looked at as it was known then.
//
// # Many events, one present
//
// Events arrive in any order, twice, late, and corrected. Of all events about one deal or ticket, the greatest by [Order] is
// the present; the order is total, so arrival never matters. A contract ([ContractKey]) begins with a won deal, ends where
// [ContractEnd] says, and counts as in force for another 90 days ([Grace]).
//
// What can be concluded from facts has rooms of its own: churn/hardness (how hard was the deal negotiated?), churn/attempts
// (does the client want to renegotiate?), churn/links (which contract does it want to reopen?), churn/alert (what do we tell
// people?) and churn/outcomes (were we right?).
//
// Everything in these packages is a pure function of its arguments: no clock, no I/O, no global state. A decoded fact shares
// memory with the value that it was read from, so leave that value alone while the fact is in use.
package churn
