// Package dial is what reaching a server takes, whichever server it is: secrets that do not show themselves, the files that hold
// them, the certificates to trust, and the pauses between attempts while a server is away.
//
// It knows no server: Kafka is reached by broker, ClickHouse by warehouse, and what speaks HTTP by publish.
package dial
