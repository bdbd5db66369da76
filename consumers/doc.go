// Package consumers carries events from Kafka into the warehouse: record -> event -> chunk -> insert -> commit.
//
// A record either becomes an event or goes to the dead-letter topic, whole, with the reason in its headers; in both cases the
// rest of its chunk lives on. Offsets are committed only after the events are stored and the dead letters acknowledged, and only
// under the generation of the consumer group that read them. While the warehouse or the broker is away, consumption waits
// with bounded memory and goes on by itself.
//
// Transport is at least once. A chunk carries a token made of its place and its content, so that a plain retry is stored once;
// what is read again after a crash is told apart by event_id in the warehouse.
//
// Control elects the one process that keeps links, evaluates rules and publishes. Positions tells how far consumption is.
package consumers
