// Package deadletter is what becomes of a record that cannot be an event: it goes to the dead-letter topic whole, with the reason
// in headers, so that it can be found, mended and sent again.
//
// A record is known by the position where it was first refused. Replay sends it back to the topic that it came from, and says so in
// HeaderReplayOf; where it is refused again, the new dead letter keeps that header. However long such a chain, it is one record, and
// the last of its dead letters tells how it stands.
package deadletter
