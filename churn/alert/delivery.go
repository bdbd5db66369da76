package alert

// Delivery is what became of one transition at one destination.
type Delivery struct {
	Transition
	Outcome DeliveryOutcome
	Detail  string // of a refusal: what the destination answered
}

// DeliveryOutcome is how a delivery ended. Whatever it says, but for again, the transition is not sent to that destination again.
type DeliveryOutcome string

const (
	DeliveryAccepted DeliveryOutcome = "accepted"
	DeliveryRefused  DeliveryOutcome = "refused"  // given up, so that what follows is not held up
	DeliveryFiltered DeliveryOutcome = "filtered" // not among what the destination asked for
	DeliveryEarlier  DeliveryOutcome = "earlier"  // it was published before the destination was there
	DeliveryAgain    DeliveryOutcome = "again"    // it was refused, and somebody asked for another try
	DeliveryBegun    DeliveryOutcome = "begun"    // no transition: from here on the destination is delivered to
)
