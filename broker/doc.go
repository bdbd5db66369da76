// Package broker is how every part reaches Kafka: one connection built from one config, with TLS and SASL for readers and writers
// alike; topics with the settings that our guarantees need, and the access that they need; consumer groups and how far they are;
// reading a partition, writing so that nothing is lost, and the headers that records carry.
//
// It knows nothing of deals, tickets or alerts. Like churn it is ground that other parts may import. What it gives out is often
// kafka-go's own, but set up here: the library's defaults lose data or wait.
//
// Reading needs Kafka 2.3 or newer (Fetch version 11) and record batches of format 2, which Kafka writes since 0.11.
package broker
