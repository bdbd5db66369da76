package consumers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

// DeadLetter is a refused record as the dead-letter topic holds it, whole.
type DeadLetter struct {
	churn.Position  // of the record, where it was refused
	churn.Rejection // why it was refused then
	Key, Value      []byte
	Headers         []broker.Header // the record's own
	RejectedAt      time.Time
	ReplayOf        string // Path of the record that was first refused, where a replay sent this one; else empty

	at place
}

// place is where a dead letter itself stands.
type place struct {
	partition int
	offset    int64
}

// First is the Path of the record that was first refused. Dead letters with the same First tell of one record.
func (d *DeadLetter) First() string { return cmp.Or(d.ReplayOf, d.Path()) }

// later orders dead letters of one record: the last tells how it stands.
func (d *DeadLetter) later() [3]int64 {
	return [3]int64{d.RejectedAt.UnixMilli(), int64(d.Partition), d.Offset}
}

// Letters reads the dead-letter topic from its start to where it ends now, and calls do for each dead letter in the order of
// its partition. It returns how many records there were that are no dead letters of ours. Progress may be nil.
func Letters(ctx context.Context, kafka *broker.Connection, progress func(done, total int64), do func(*DeadLetter) error) (foreign int, err error) {
	ranges, err := kafka.Ranges(ctx, kafka.Topics().DeadLetter)
	if err != nil {
		return 0, err
	}
	var total, done int64
	for _, held := range ranges {
		total += held.End - held.Start
	}
	for partition := range len(ranges) {
		tp := churn.TopicPartition{Topic: kafka.Topics().DeadLetter, Partition: partition}
		held := ranges[tp]
		err := readPartition(ctx, kafka.Reader(tp, letterLimits), held, func(r *broker.Record) error {
			letter, ok := readLetter(r)
			if !ok {
				foreign++
				return nil
			}
			return do(letter)
		}, func(next int64) {
			if progress != nil {
				progress(done+next-held.Start, total)
			}
		})
		if err != nil {
			return foreign, fmt.Errorf("reading the dead letters: %w", err)
		}
		done += held.End - held.Start
	}
	return foreign, nil
}

var letterLimits = broker.FetchLimits{MinBytes: 1, MaxWait: time.Second, MaxBytes: 8 << 20}

func readPartition(ctx context.Context, reader *broker.PartitionReader, held broker.Range, do func(*broker.Record) error, passed func(next int64)) error {
	defer reader.Close()
	for next := held.Start; next < held.End; {
		fetched, err := reader.Fetch(ctx, next, letterLimits.MaxWait)
		if err != nil {
			return err
		}
		err = fetched.Each(func(r *broker.Record) error {
			if r.Offset >= held.End {
				return nil // it came after we began
			}
			return do(r)
		})
		if err != nil {
			return err
		}
		next = fetched.Next
		passed(min(next, held.End))
	}
	return nil
}

// readLetter takes a record of the dead-letter topic apart. It is false for what somebody else put there.
func readLetter(r *broker.Record) (*DeadLetter, bool) {
	d := &DeadLetter{Key: r.Key, Value: r.Value, ReplayOf: replayOf(r.Headers), at: place{r.Partition, r.Offset}}
	ours := map[string]string{}
	for _, h := range r.Headers {
		switch {
		case slices.Contains(deadLetterHeaders, h.Key):
			ours[h.Key] = string(h.Value)
		case h.Key != HeaderReplayOf:
			d.Headers = append(d.Headers, h)
		}
	}
	d.Code, d.Field, d.Reason = churn.Code(ours[HeaderCode]), ours[HeaderField], ours[HeaderReason]
	var errs [4]error
	d.Topic = ours[HeaderTopic]
	d.Partition, errs[0] = strconv.Atoi(ours[HeaderPartition])
	d.Offset, errs[1] = strconv.ParseInt(ours[HeaderOffset], 10, 64)
	d.Time, errs[2] = time.Parse(instantFormat, ours[HeaderTimestamp])
	d.RejectedAt, errs[3] = time.Parse(instantFormat, ours[HeaderRejectedAt])
	return d, d.Code != "" && d.Topic != "" && errs == [4]error{}
}
