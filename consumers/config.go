package consumers

import (
	"errors"
	"fmt"
	"time"
)

// Config is how records are gathered into batches, which its keys call chunks, and how long things may take. Topic names and addresses belong to the broker
// connection.
type Config struct {
	// Group is the consumer group of deals, tickets and feedback. Defaults to aftershock.
	Group string `yaml:"group" env:"GROUP" doc:"consumer group of deals and tickets"`
	// ControlGroup is the consumer group whose owner of the control partition is the leader. Defaults to aftershock-control.
	ControlGroup string `yaml:"control_group" env:"CONTROL_GROUP" doc:"consumer group that elects the leader"`
	// ChunkRows is how many records of a topic, over its partitions, close a batch. Defaults to 60000.
	ChunkRows int `yaml:"chunk_rows" env:"CHUNK_ROWS" doc:"a batch of a topic closes at so many records,"`
	// ChunkBytes closes a batch at so many bytes of values and keys. Defaults to 46137344 (44 MiB).
	ChunkBytes int `yaml:"chunk_bytes" env:"CHUNK_BYTES" doc:"or at so many bytes of values and keys,"`
	// ChunkWait closes a batch so long after its first record. Defaults to 500ms.
	ChunkWait time.Duration `yaml:"chunk_wait" env:"CHUNK_WAIT" doc:"or so long after its first record, whichever comes first"`
	// MaxBytesInFlight bounds the memory of records that are decoded but not yet stored, in bytes over all partitions, counting
	// what decoding adds. Defaults to 117440512 (112 MiB).
	MaxBytesInFlight int64 `yaml:"max_bytes_in_flight" env:"MAX_BYTES_IN_FLIGHT" doc:"bound on records decoded but not yet stored, in bytes over all partitions"`
	// FetchMinBytes lets the broker wait for so many bytes. Defaults to 16384.
	FetchMinBytes int `yaml:"fetch_min_bytes" env:"FETCH_MIN_BYTES" doc:"the broker answers a fetch when it has so many bytes,"`
	// FetchMaxWait ends that waiting; stopping and rebalancing take as long. Defaults to 250ms.
	FetchMaxWait time.Duration `yaml:"fetch_max_wait" env:"FETCH_MAX_WAIT" doc:"or after this long; stopping and rebalancing take as long"`
	// FetchMaxBytes bounds one fetch of one partition, in bytes. Defaults to 1048576 (1 MiB).
	FetchMaxBytes int `yaml:"fetch_max_bytes" env:"FETCH_MAX_BYTES" doc:"bound on one fetch of one partition, in bytes"`
	// SessionTimeout is how long the group waits for a silent member. Defaults to 30s.
	SessionTimeout time.Duration `yaml:"session_timeout" env:"SESSION_TIMEOUT" doc:"how long the group waits for a silent member"`
	// ControlSessionTimeout is the same for the leader, and so how long a takeover takes. Defaults to 6s.
	ControlSessionTimeout time.Duration `yaml:"control_session_timeout" env:"CONTROL_SESSION_TIMEOUT" doc:"how long a takeover from a dead leader takes"`
	// RebalanceTimeout is how long members have to come back when the group changes. Defaults to 30s.
	RebalanceTimeout time.Duration `yaml:"rebalance_timeout" env:"REBALANCE_TIMEOUT" doc:"how long members have to come back when the group changes"`
	// PartitionWatch is how often new partitions are looked for. Defaults to 30s.
	PartitionWatch time.Duration `yaml:"partition_watch" env:"PARTITION_WATCH" doc:"how often new partitions are looked for"`
	// InsertTimeout bounds one attempt to store a batch. Defaults to 1m.
	InsertTimeout time.Duration `yaml:"insert_timeout" env:"INSERT_TIMEOUT" doc:"bound on one attempt to store a batch"`
	// CommitTimeout bounds one request to the group's coordinator. Defaults to 5s.
	CommitTimeout time.Duration `yaml:"commit_timeout" env:"COMMIT_TIMEOUT" doc:"bound on one request to the group's coordinator"`
	// DrainTimeout bounds how long stopping waits for batches that are being stored. Defaults to 10s.
	DrainTimeout time.Duration `yaml:"drain_timeout" env:"DRAIN_TIMEOUT" doc:"how long stopping waits for batches that are being stored"`
	// RetryMin is the first pause after a failure; pauses double, with jitter. Defaults to 200ms.
	RetryMin time.Duration `yaml:"retry_min" env:"RETRY_MIN" doc:"first pause after a failure; pauses double, with jitter,"`
	// RetryMax is the longest pause. Defaults to 15s.
	RetryMax time.Duration `yaml:"retry_max" env:"RETRY_MAX" doc:"up to this"`
}

// DefaultConfig suits one warehouse and any number of partitions, within 300 MB of memory.
func DefaultConfig() Config {
	return Config{
		Group:                 "aftershock",
		ControlGroup:          "aftershock-control",
		ChunkRows:             60_000,
		ChunkBytes:            44 << 20,
		ChunkWait:             500 * time.Millisecond,
		MaxBytesInFlight:      112 << 20,
		FetchMinBytes:         16 << 10,
		FetchMaxWait:          250 * time.Millisecond,
		FetchMaxBytes:         1 << 20,
		SessionTimeout:        30 * time.Second,
		ControlSessionTimeout: 6 * time.Second,
		RebalanceTimeout:      30 * time.Second,
		PartitionWatch:        30 * time.Second,
		InsertTimeout:         time.Minute,
		CommitTimeout:         5 * time.Second,
		DrainTimeout:          10 * time.Second,
		RetryMin:              200 * time.Millisecond,
		RetryMax:              15 * time.Second,
	}
}

// Validate reports everything that is wrong, at once.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("consumers."+format, args...))
		}
	}
	check(c.Group != "", "group: a name is needed")
	check(c.ControlGroup != "", "control_group: a name is needed")
	check(c.Group != c.ControlGroup, "control_group: %q is already the group of deals and tickets", c.ControlGroup)
	check(c.ChunkRows >= 1 && c.ChunkRows <= 1_000_000, "chunk_rows: %d must be between 1 and 1000000", c.ChunkRows)
	check(c.ChunkBytes >= 1<<10, "chunk_bytes: %d must be at least 1024", c.ChunkBytes)
	check(c.ChunkWait > 0 && c.ChunkWait <= time.Minute, "chunk_wait: %s must be more than 0s and at most 1m", c.ChunkWait)
	check(c.MaxBytesInFlight >= 4*reserveStep, "max_bytes_in_flight: %d must be at least %d", c.MaxBytesInFlight, 4*reserveStep)
	check(c.FetchMinBytes >= 1 && c.FetchMinBytes <= c.FetchMaxBytes, "fetch_min_bytes: %d must be between 1 and fetch_max_bytes (%d)", c.FetchMinBytes, c.FetchMaxBytes)
	check(c.FetchMaxBytes <= 256<<20, "fetch_max_bytes: %d must be at most 256 MiB", c.FetchMaxBytes)
	check(c.FetchMaxWait >= time.Millisecond && c.FetchMaxWait <= 10*time.Second, "fetch_max_wait: %s must be between 1ms and 10s", c.FetchMaxWait)
	check(c.SessionTimeout >= time.Second, "session_timeout: %s must be at least 1s", c.SessionTimeout)
	check(c.ControlSessionTimeout >= time.Second, "control_session_timeout: %s must be at least 1s", c.ControlSessionTimeout)
	check(c.RebalanceTimeout >= time.Second, "rebalance_timeout: %s must be at least 1s", c.RebalanceTimeout)
	check(c.PartitionWatch >= time.Second, "partition_watch: %s must be at least 1s", c.PartitionWatch)
	check(c.InsertTimeout >= time.Second, "insert_timeout: %s must be at least 1s", c.InsertTimeout)
	check(c.CommitTimeout >= 100*time.Millisecond, "commit_timeout: %s must be at least 100ms", c.CommitTimeout)
	check(c.DrainTimeout > 0, "drain_timeout: %s must be more than 0s", c.DrainTimeout)
	// No heartbeat is sent while a generation drains.
	check(c.DrainTimeout < c.SessionTimeout, "drain_timeout: %s must be less than session_timeout (%s), or the commit at its end is refused", c.DrainTimeout, c.SessionTimeout)
	check(c.RetryMin > 0 && c.RetryMin <= c.RetryMax, "retry_min: %s must be more than 0s and at most retry_max (%s)", c.RetryMin, c.RetryMax)
	return errors.Join(errs...)
}
