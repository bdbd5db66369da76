// Package embedded runs a real ClickHouse and a Kafka-protocol broker without
// installing either: for the demo, for rule tests and for tests.
//
// ClickHouse comes as a shared library (see engine/package.json) and runs in a
// child process, which is this program started again:
//
//	func main() {
//		embedded.ChildMain() // returns at once unless this is the child
//		...
//		ch, err := embedded.StartClickHouse(ctx, embedded.ClickHouseOptions{})
//		defer ch.Stop(ctx)
//	}
//
// The broker is kfake, in this process. Both listen on loopback only, hold
// their data in a directory that can outlive them, and end with this process.
//
// Limits. ClickHouse's user "default" has no password, because its own session
// needs it so; there is no CREATE USER (name users in ClickHouseOptions) and
// no TLS listener. The broker is one process with one replica: nothing here is
// for production.
//
// Tests of other packages use the subpackage testservers, and real Kafka 4 is
// in the subpackage realkafka.
package embedded
