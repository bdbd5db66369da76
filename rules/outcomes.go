package rules

// OutcomePast is what became of the contracts that alerts were about.
type OutcomePast struct{}
