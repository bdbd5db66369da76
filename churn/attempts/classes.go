package attempts

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
