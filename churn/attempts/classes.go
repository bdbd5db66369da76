package attempts

// Classes of attempts: what the client wants, from the strongest sign to the weakest. The first four are strong, the next four
// medium, the last two weak; the model file says so.
const (
	ClassPriceReduction      = "price_reduction"      // a lower price: "we need to reopen our rate"
	ClassTermsChange         = "terms_change"         // payment terms, auto-renewal, liability
	ClassEarlyTermination    = "early_termination"    // out before the end: "what is our exit clause?"
	ClassDowngrade           = "downgrade"            // fewer seats, a lower tier: often confirms a decision rather than leading it
	ClassSLACredit           = "sla_credit"           // a credit for poor service; not where a real outage explains it
	ClassInvoiceDispute      = "invoice_dispute"      // a charge that they did not expect; not where our billing was wrong
	ClassScopeDemand         = "scope_demand"         // more for the same price: "this should be included"
	ClassCompetitorBenchmark = "competitor_benchmark" // "X is cheaper"
	ClassContractQuestion    = "contract_question"    // looks up a clause
	ClassReferenceRefused    = "reference_refused"    // declines a reference or a case study
)
