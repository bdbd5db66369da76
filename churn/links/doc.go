// Package links says which renegotiation attempt reopens which contract.
//
// A ticket seldom names the contract that it is about. Whether it worries us depends on that contract all the same: how hard it
// was won, how much it is worth, how long ago it closed. [LinkAccount] joins the two. In go all deals and all attempts of one
// account; out come its links, when its contracts were in force, and the attempts that fit no contract, each with the reason.
//
// # The rule, in short
//
// An attempt that names a contract of its account links to that one. One that names none links to every contract of the account
// that is in force, for it may be about any of them. In force means: from the close of the contract's base, its latest won new
// or renewal deal, until 90 days after its end, unless a renewal was lost before. The lag runs from the base's close to the
// attempt. docs/links.md has the rule in full, with every corner.
//
// # Two kinds of time
//
// Deals and tickets are corrected, and a correction must not rewrite what we knew before it. So the arguments are versions:
// each says what was the present of a deal or an attempt during a [churn.Span] of knowing. Results carry spans as well. A link
// whose span runs from March to May is what was known between March and May: ask about April and you get April's answer, today
// and in ten years. That is what lets a backtest see exactly what the rules saw. What still stands has a span up to
// [churn.Forever].
//
// # Guarantees and cost
//
// The result is a pure function of the set of versions: their order does not matter, and one attempt alone gets the links that
// it gets among others. The spans of an attempt's results cover the attempt's own span without gaps.
//
// An attempt that names no contract gets one link for all that were in force, and [InForce] says which these were: contracts × attempts
// links would fill a disk. So the cost, and what comes out, grows with the versions of deals plus those of attempts (times a logarithm),
// and not with their product; it never depends on other accounts.
package links
