package alert

// Reasons of transitions.
const (
	ReasonMet       = "condition_met"       // the row is there, and `for` has passed
	ReasonWaiting   = "waiting_for"         // the row is there, `for` has not passed: pending
	ReasonCleared   = "condition_cleared"   // the row is gone
	ReasonNotHeld   = "condition_not_held"  // the row went before `for` had passed: nobody was told
	ReasonHolding   = "holding"             // the row is gone, keep_firing_for has not passed
	ReasonReturned  = "condition_returned"  // the row came back while holding
	ReasonRemoved   = "rule_removed"        // the rule is gone, or its identity columns changed
	ReasonRepeated  = "repeat_every_passed" // still firing
	ReasonEscalated = "escalated"           // nobody acknowledged it within escalate_after
	ReasonToldLater = "told_later"          // people were not told when it happened, and are now

	ReasonAcknowledged = "acknowledged"     // a person looks after it
	ReasonSnoozed      = "snoozed"          // a person wants to hear of it later
	ReasonSnoozeEnded  = "snooze_ended"     // it still fires
	ReasonClosed       = "closed"           // a person ended it
	ReasonLeft         = "left_after_close" // the row of a closed alert is gone: its return would be a new episode
	ReasonJudged       = "judged"           // a person said what it turned out to be

	ReasonNoData         = "no_data"         // of the rule itself: a source is silent
	ReasonDataReturned   = "data_returned"   // it tells again
	ReasonQueryFailed    = "query_failed"    // of the rule itself
	ReasonQueryRecovered = "query_recovered" // it works again
)
