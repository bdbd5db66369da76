// Package sources turns what other systems export into events: CSV or JSON lines go through a mapping, a small jq
// program, and come out as the values of deals.closed and support.tickets. It also reads the two lists that go straight
// into the warehouse, owners and exchange rates.
//
// What it promises:
//
//   - Every row is accounted for. It is sent, refused with a code and a reason, or passed over by the mapping; the
//     summary counts all three, and they add up to the rows read.
//   - A row is in or out as a whole: where one of its events is refused, none of them is sent.
//   - The same file through the same mapping gives the same bytes and the same event_ids, so importing twice changes
//     nothing. Mappings cannot read the clock, the environment or other files than the tables given to them.
//   - Nothing is sent that a consumer would turn into a dead letter: every event passes the decoder of package churn
//     first.
//   - Memory is bounded by the longest row (16 MiB at most), the side tables and one million remembered ids,
//     whatever the size of the export.
//
// Limits: numbers of a JSON row keep their exact digits while a mapping only passes them on; jq's arithmetic is in
// float64 where a number has a fraction. See the function money in docs/import.md.
package sources
