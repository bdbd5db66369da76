package deadletter

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

var limits = broker.FetchLimits{MinBytes: 1, MaxWait: time.Second, MaxBytes: 8 << 20}

// Read reads the dead-letter topic from its start to where it ends now, and calls do for each dead letter in the order of
// its partition. It returns how many records there were that are not dead letters of ours. Progress may be nil.
func Read(ctx context.Context, kafka *broker.Connection, progress func(done, total int64), do func(*Letter) error) (foreign int, err error) {
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
		for record, err := range kafka.Read(ctx, tp, held, limits) {
			if err == nil {
				if letter, ours := parse(record); ours {
					err = do(letter)
				} else {
					foreign++
				}
			}
			if err != nil {
				return foreign, fmt.Errorf("reading the dead letters: %w", err)
			}
			if progress != nil {
				progress(done+record.Offset+1-held.Start, total)
			}
		}
		done += held.End - held.Start
	}
	if progress != nil {
		progress(total, total)
	}
	return foreign, nil
}

// parse takes a record of the dead-letter topic apart. It is false for what somebody else put there.
func parse(r *broker.Record) (*Letter, bool) {
	d := &Letter{Key: r.Key, Value: r.Value, ReplayOf: replayOf(r.Headers), at: place{r.Partition, r.Offset}}
	ours := map[string]string{}
	for _, h := range r.Headers {
		switch {
		case slices.Contains(headers, h.Key):
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
