package churn

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// TopicPartition names one partition of a topic.
type TopicPartition struct {
	Topic     string
	Partition int
}

func (tp TopicPartition) String() string { return fmt.Sprintf("%s/%d", tp.Topic, tp.Partition) }

// Path writes a position as topic/partition/offset; Kafka allows no slash in a topic's name.
func (p Position) Path() string { return fmt.Sprintf("%s/%d/%d", p.Topic, p.Partition, p.Offset) }

// ParsePosition reads what Path writes.
func ParsePosition(text string) (Position, error) {
	topic, rest, _ := strings.Cut(text, "/")
	partition, offset, _ := strings.Cut(rest, "/")
	p, err := strconv.ParseUint(partition, 10, 31)
	o, err2 := strconv.ParseUint(offset, 10, 63)
	if topic == "" || err != nil || err2 != nil {
		return Position{}, fmt.Errorf("%q is no position: write topic/partition/offset, such as deals.closed/0/42", text)
	}
	return Position{Topic: topic, Partition: int(p), Offset: int64(o)}, nil
}

// Position is where a record stands in Kafka. Time is the record's own timestamp, kept beside KnownAt and never used for it.
type Position struct {
	Topic     string
	Partition int
	Offset    int64
	Time      time.Time
}
