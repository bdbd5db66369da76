package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
)

// produce writes records to a topic; it is the generator's process.
func produce(ctx context.Context, task string) error {
	parts := strings.Split(task, ",")
	if len(parts) != 4 {
		return fmt.Errorf("-fill %q is not BROKER,KIND,TOPIC,COUNT", task)
	}
	count, err := strconv.Atoi(parts[3])
	if err != nil {
		return err
	}
	w := &kafka.Writer{Addr: kafka.TCP(parts[0]), Topic: parts[2], RequiredAcks: kafka.RequireAll, BatchSize: 5000, BatchBytes: 16 << 20,
		BatchTimeout: 5 * time.Millisecond, Balancer: kafka.Murmur2Balancer{Consistent: true}}
	defer w.Close()
	batch := make([]kafka.Message, 0, 20_000)
	for i := range count {
		batch = append(batch, kafka.Message{Key: []byte(account(i)), Value: record(parts[1], i)})
		if len(batch) == cap(batch) || i == count-1 {
			if err := w.WriteMessages(ctx, batch...); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return nil
}

// averageBytes is the size of a record's value, over the first thousand.
func averageBytes(kind string) int {
	bytes := 0
	for i := range 1000 {
		bytes += len(record(kind, i))
	}
	return bytes / 1000
}

func account(i int) string { return fmt.Sprintf("acc-%06d", i%10_000) }

// sentences fill tickets. None is an attempt, though the last ones speak of money and contracts, as clients do.
var sentences = []string{
	"The nightly export to our warehouse has been slower since the release on Tuesday, though it does finish in the end.",
	"Two colleagues in Rotterdam cannot see the shared dashboards that the rest of the team uses every morning.",
	"We followed the steps in the article about single sign-on and still land on an empty page after logging in.",
	"Could you tell us when the new import wizard will reach the European region, and whether old templates keep working?",
	"Thanks to your colleague for the quick help last week, the report now shows what our controllers expected to see.",
	"When we filter by cost centre the totals on the second tab do not add up to what the first tab shows.",
	"Our administrator has left, so please make me the owner of the workspace and remove the account that is no longer used.",
	"The mobile app asks for a new code at each start, which is tiresome for the drivers who open it forty times a day.",
	"I attach a screenshot and the log of the connector from this morning, taken with the debug option that you described.",
	"Is there a limit to the number of saved views, and does it count for each person or for the whole company?",
	"The editor for agreements loses the footnotes of a long contract when two of us have the same page open at a time.",
	"The price list in the catalogue module shows the wrong currency for our branch in Bern since we changed the locale.",
	"Please tell me on which page of the invoice the purchase order number should stand, our accounting looks for it.",
}

// asking begin one ticket in ten.
var asking = []string{
	"Before we go on we need to reopen our rate, because the price that we agreed in March is more than our budget allows. ",
	"We want a lower price before we continue, please reduce our rate. ",
	"We have received a quote from a competitor for half of that, can you match it? ",
	"Please confirm the early termination of our contract as of the end of the month. ",
}

// attemptEvery is how many tickets hold one attempt.
const attemptEvery = 10

// record makes the i-th deal or ticket, always the same.
func record(kind string, i int) []byte {
	at := time.Date(2026, 1, 1, 0, 0, i%86400, 0, time.UTC).Format(time.RFC3339)
	if kind == partDeals {
		return fmt.Appendf(nil, `{"event_id":"d-%08d","deal_id":"D-%08d","account_id":"%s","closed_at":"%s","currency":"EUR","signed_price":"%d.50","anticipated_price":"%d","annual_value":"%d","term_months":12,"negotiation":{"rounds":%d,"ultimatums":%d,"tone":-0.%d}}`,
			i, i, account(i), at, 10_000+i%900, 9_500+i%700, 10_000+i%900, i%9, i%3, i%9)
	}
	var body strings.Builder
	if i%attemptEvery == 0 {
		body.WriteString(asking[i/attemptEvery%len(asking)])
	}
	for j := 0; body.Len() < 950; j++ {
		body.WriteString(sentences[(i+j*3)%len(sentences)])
		body.WriteByte(' ')
	}
	return fmt.Appendf(nil, `{"event_id":"t-%08d","ticket_id":"T-%08d","account_id":"%s","opened_at":"%s","status":"open","priority":"normal","channel":"email","subject":"Question about our workspace","body":"%s","tags":["question"]}`,
		i, i, account(i), at, body.String())
}
