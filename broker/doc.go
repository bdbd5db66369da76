// Package broker is how every part reaches Kafka: one connection built from one config (TLS and SASL for readers and writers
// alike), topics with the settings that our guarantees need, offsets of topics and groups, and the reading of one partition.
//
// It knows nothing of deals, tickets or alerts. Like churn it is ground that other parts may import.
//
// Reading needs Kafka 2.3 or newer (Fetch version 11) and record batches of format 2, which Kafka writes since 0.11.
package broker
