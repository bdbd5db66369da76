// Package outcomes holds alerts against what became of contracts: do the rules foretell anything, or do they only make noise?
//
// A [churn.Term] is one stretch for which a contract was agreed. It goes wrong when it is downgraded, or when its renewal is
// lost. [Span.Judge] takes terms and alerts of a stretch of the past and a horizon, say 180 days, and reports of each rule:
//
//   - precision: of the contracts alerted, how many went wrong within the horizon? Low precision costs people's time.
//   - recall: of the terms that went wrong, how many had been alerted within the horizon before? Low recall misses clients.
//   - lead time: how many days before, in the middle? An alert on the last day helps nobody.
//   - lift: how many times as often does a term go wrong while alerted as one that is not alerted and as close to its end? A
//     rule that alerts everybody shortly before the renewal misses nobody, and foretells nothing.
//
// # Reading the figures
//
// Every figure comes with the number of cases and an interval of 95 %, and is left out, as null, below 10 cases; a lift also
// needs 5 to be expected on either side. [Share] is exact (Clopper and Pearson), [Median] goes by ranks. [Lift] is the hazard
// ratio of a Cox regression with being alerted as a covariate that changes with time, so that a contract which merely lived
// long enough to be alerted counts as not alerted until then (otherwise: immortal-time bias); contracts of one account share
// their luck, and the intervals of all rules of a report hold together. Only an interval that lies above 1 says that a rule
// foretells.
//
// Limits: a term that lapsed without a word did not go wrong, for nobody said so. A rule whose alerts made people act, and act
// well, looks worse than it is; a holdout arm is the remedy. What holds for one company's history need not hold for another's.
//
// This is the only package of churn/... that leans on a statistics library (gonum). Results are pure functions of their
// arguments.
package outcomes
