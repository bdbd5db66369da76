package churn

// Batch gathers events in the form in which a store takes them, so that millions of events need not be held as values. What
// is added is copied: the event and what it points to may be changed afterwards. A batch is for one goroutine.
type Batch[E any] interface {
	// Add takes an event in. An event without KnownAt is stamped when its batch is stored.
	Add(event *E)
	// Len is how many events were added.
	Len() int
	// Payload is the i-th event's record value. It is valid until Reset.
	Payload(i int) []byte
	// Reset empties the batch and keeps its memory.
	Reset()
}
