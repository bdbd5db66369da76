// Package consumers carries events from Kafka into the warehouse: record -> event -> batch -> store -> commit. The road is one file a
// stage, in this order: fetch.go reads a partition, decode.go makes an event of a record, batch.go gathers events, and store.go stores
// them, has dead letters acknowledged, and commits. What is consumed stands in one list, in topics.go.
//
// A record either becomes an event or goes to the dead-letter topic, whole, with the reason in its headers; in both cases the
// rest of its batch lives on. Offsets are committed only after the events are stored and the dead letters acknowledged, and only
// under the generation of the consumer group that read them. While the warehouse or the broker is away, consumption waits
// with bounded memory and goes on by itself.
//
// Transport is at least once. A batch carries a token made of its place and its content, so that a plain retry is stored once;
// what is read again after a crash is told apart by event_id in the warehouse.
package consumers
