// Package publish carries transitions from the alert log to where people and services see them. The log is the outbox: what
// stands there, with its bytes and headers, is delivered in its order, and nothing else is.
//
// A Relay serves one Destination, so that a slow or dead one holds up no other. Topics is the destination of the Kafka alert
// topics. Delivery is at least once with equal bytes: a consumer keeps, for each fingerprint, the highest (episode, sequence).
package publish
