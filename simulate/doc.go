// Package simulate makes up clients whose truth is known: who was sold to how hard, who reopens what, who leaves. Its
// records look like what a CRM and a help desk send, including late, repeated, corrected and broken ones.
//
//	s, err := simulate.New(simulate.DefaultConfig())
//	for record := range s.Records() { ... }   // in order of KnownAt
//	for record := range s.Live(from) { ... }  // the same world going on, without end
//	err = s.Truth().Write(w)                  // what really happened, as JSON lines
//
// Everything is a pure function of the Config: no clock, no other source of chance. A contract is lost with a constant
// hazard, so Config.HazardRatio is the hazard ratio of hard over soft exactly and not by fitting; firm has its square
// root. Rates of renegotiation attempts, expansions (inverse) and downgrades follow the same ratio. With a ratio of 1
// nothing depends on hardness: a product that then finds an effect is wrong.
//
// How records travel (late, twice, broken) draws from other streams of chance than the world: changing those shares
// leaves the world as it is.
//
// Limits: the texts are templates in English, so a classifier's score on them says nothing of its score on real
// tickets; hazards are constant over a contract, where real ones are not; clients write at night and on Sundays as much as
// at noon, since moving a time would move the hazard; Records keeps every fact (not its text) in memory.
package simulate
