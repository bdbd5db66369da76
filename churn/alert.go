package churn

import (
	"sort"
	"strconv"
)

// Fingerprint is what makes two alerts the same alert: the rule's name and its identity columns.
func Fingerprint(rule string, identity map[string]string) string {
	names := make([]string, 0, len(identity))
	for name := range identity {
		names = append(names, name)
	}
	sort.Strings(names)
	parts := []string{rule}
	for _, name := range names {
		parts = append(parts, name, identity[name])
	}
	return Digest(parts...)
}

// TransitionID names one change of one alert's state, the same on every machine and at every repeat.
func TransitionID(fingerprint string, episode, sequence int) string {
	return Digest(fingerprint, strconv.Itoa(episode), strconv.Itoa(sequence))
}

// Attempt classes, from the strongest to the weakest (domain.md, "Renegotiation attempts").
const (
	ClassPriceReduction      = "price_reduction"
	ClassTermsChange         = "terms_change"
	ClassEarlyTermination    = "early_termination"
	ClassDowngrade           = "downgrade"
	ClassSLACredit           = "sla_credit"
	ClassInvoiceDispute      = "invoice_dispute"
	ClassScopeDemand         = "scope_demand"
	ClassCompetitorBenchmark = "competitor_benchmark"
	ClassContractQuestion    = "contract_question"
	ClassReferenceRefused    = "reference_refused"
)
