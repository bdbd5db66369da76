package consumers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
)

type guilty struct{}

func (guilty) Error() string    { return "bad row" }
func (guilty) RowRefused() bool { return true }

// Whatever rows the store refuses, in however many pieces, and however often it is away between, exactly those rows are refused
// and every other one is stored once.
func TestBisectingFindsExactlyTheGuilty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want, stored []churn.Position
		bad := map[churn.Position]bool{}
		away := rapid.SliceOfN(rapid.Bool(), 0, 20).Draw(t, "away")
		tokens := map[string]bool{}
		lane := eventLane(testConsumers(), func(token string, _ time.Time, positions []churn.Position) error {
			if len(away) > 0 {
				gone := away[0]
				away = away[1:]
				if gone {
					return errors.New("connection refused")
				}
			}
			if tokens[token] {
				t.Fatalf("token %s is used for two inserts", token)
			}
			for _, p := range positions {
				if bad[p] {
					return fmt.Errorf("inserting: %w", guilty{})
				}
			}
			tokens[token] = true
			stored = append(stored, positions...)
			return nil
		})
		var pieces []*piece[churn.DealEvent]
		for partition, n := range rapid.SliceOfN(rapid.IntRange(0, 15), 1, 5).Draw(t, "rows") {
			p := lane.piece(churn.TopicPartition{Topic: "deals", Partition: partition})
			for o := range n {
				r := broker.Record{Position: churn.Position{Topic: "deals", Partition: partition, Offset: int64(o), Time: time.UnixMilli(int64(o)).UTC()},
					Key: fmt.Append(nil, o), Value: fmt.Append(nil, "v", o), Headers: []broker.Header{{Key: "h", Value: fmt.Append(nil, o)}}}
				p.decode(&r)
				want = append(want, r.Position)
				bad[r.Position] = rapid.Bool().Draw(t, "guilty")
			}
			pieces = append(pieces, p)
		}
		refused, err := lane.insert(context.Background(), context.Background(), share, pieces)
		if err != nil {
			t.Fatal(err)
		}
		accused := map[churn.Position]bool{}
		for _, r := range refused {
			accused[r.record.Position] = true
			o := fmt.Sprint(r.record.Offset)
			if string(r.record.Key) != o || string(r.record.Value) != "v"+o || len(r.record.Headers) != 1 || string(r.record.Headers[0].Value) != o {
				t.Fatalf("refused %+v", r.record)
			}
		}
		var innocent []churn.Position
		for _, p := range want {
			if bad[p] != accused[p] {
				t.Fatalf("%+v is guilty: %t, refused: %t", p, bad[p], accused[p])
			}
			if !bad[p] {
				innocent = append(innocent, p)
			}
		}
		if !slices.Equal(stored, innocent) {
			t.Fatalf("stored %v, want %v", stored, innocent)
		}
	})
}

func TestStampsAreOfTheAttemptThatStored(t *testing.T) {
	c := testConsumers()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c.Clock = func() time.Time { now = now.Add(time.Minute); return now }
	var seen []time.Time
	lane := eventLane(c, func(_ string, known time.Time, _ []churn.Position) error {
		if seen = append(seen, known); len(seen) < 3 {
			return errors.New("away")
		}
		return nil
	})
	p := lane.piece(churn.TopicPartition{Topic: "deals"})
	p.decode(&broker.Record{})
	if _, err := lane.insert(context.Background(), context.Background(), share, []*piece[churn.DealEvent]{p}); err != nil {
		t.Fatal(err)
	}
	for i, known := range seen {
		if want := time.Date(2026, 1, 1, 0, i+1, 0, 0, time.UTC); !known.Equal(want) {
			t.Errorf("attempt %d is stamped %s, want %s", i, known, want)
		}
	}
}
