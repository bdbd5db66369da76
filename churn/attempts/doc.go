// Package attempts recognises renegotiation attempts among support tickets: a client who is not after help but after other
// terms. "We need to reopen our rate." "What is our exit clause?" "This should have been included."
//
// In goes a [churn.SupportTicket], out comes a [churn.Classification]. Each of its findings has a class (see the Class
// constants), a strength, a confidence, the client's own words as the quote, the instant at which they were said, and the rule
// of the model that found them. A ticket may carry several classes; one without findings is no attempt.
//
// Only the client's words count: subject, body, and comments from the client, without what they quote of an earlier mail, for
// the vendor's own "as discussed, we could lower the price" must not become the client's demand. Tags and category count where
// the model says so. An outage of our own explains why a client asks for a credit, and a billing error why it disputes an
// invoice: such tickets are no attempt of that class.
//
// How it works: text is folded (case, accents, typography), cut into sentences and words, and matched against the phrases of a
// versioned model file, with negations ("we do not want a discount") and exclusions taken into account. [Default] is the
// embedded model; [Load] compiles another and refuses it with all its mistakes at once.
//
// Guarantees: a result is a pure function of ticket and model; the cost is linear in the length of the text, whatever a
// stranger writes; a [Classifier] may be used by many goroutines at once.
//
// Limits: English only, one sentence at a time, no irony. Confidence, 0 to 1, ranks findings; its weights were set by hand, and
// it is no probability. The model is tuned to business software, on testdata/dev.jsonl, and judged on testdata/heldout.jsonl
// (quality_test.go). In another trade, label some tickets of your own and measure first.
package attempts
