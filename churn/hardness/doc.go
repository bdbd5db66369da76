// Package hardness scores how hard a closed deal was negotiated, and says why.
//
// People who feel that they gave up too much look for ways to get it back. What happened at the table is known on the day of
// the close, long before the first complaint, so it is the earliest warning there is. That a hard-won contract leads to
// renegotiation and churn is a hypothesis, though, to be tested on one's own history (churn/outcomes, docs/backtest.md).
//
// In goes a [churn.DealClosed], out comes a [churn.Hardness]:
//
//   - a score from 0 to 100, and its band: soft, firm, hard, or unknown;
//   - contributions in points, the heaviest first, each with the measure and one sentence of evidence. Price paid above what
//     the client expected, one-sided concessions, ultimatums, deadlines, escalations, a rough tone and refused requests raise a
//     score; give and take and common ground lower it;
//   - coverage, 0 to 1: how much of the model's weight had its inputs, and which ones are missing.
//
// Two things surprise newcomers. A fact that nobody recorded adds nothing, so a score says "at least this hard"; below the
// model's minimum coverage the band is unknown, which is never the same as soft, and the score means nothing. And a discount
// adds nothing either: there the vendor gave. It is an axis of its own, DiscountDepth.
//
// Weights, thresholds, what is usual for a segment and the list of discourteous words are data: a versioned model file.
// [Default] is the embedded one; [Load] reads another and refuses it with all its mistakes at once. Directions are code, and no
// file can turn them around. [Model.Score] is a pure function of deal and model, whatever the order of the deal's lists, and is
// safe for concurrent use. docs/hardness.md explains every component, where it comes from, and how to fit a model to your own
// deals.
package hardness
