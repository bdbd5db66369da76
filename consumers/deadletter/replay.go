package deadletter

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/text"
)

// Store remembers what replays did, and knows which events arrived.
type Store interface {
	Replays(ctx context.Context, of []string) (map[string][]churn.Replay, error)
	StoredEvents(ctx context.Context, keys []churn.EventKey) (map[churn.EventKey]bool, error)
	NoteReplays(ctx context.Context, replays []churn.Replay) error
}

// Replay sends dead letters that can be events now back to the topics that they came from, each record once, however many
// dead letters tell of it. Run again, it sends nothing more: what it sent is noted in the store, and where a run died before
// it could note, the event itself is found there. At worst a record is sent twice, and counted once by its event_id.
type Replay struct {
	Kafka *broker.Connection
	Store Store
	Clock func() time.Time // time.Now where nil
	// Decode tells, for each topic that is consumed, which event a record of it would become, or why it would be refused.
	Decode map[string]func(*broker.Record) (churn.EventKey, *churn.Rejection)

	// Positions are the records to take, by the position of any of their dead letters. Empty: all.
	Positions []churn.Position
	Code      churn.Code // of the last refusal; empty: any
	Topic     string     // that the record came from; empty: any
	// Mend rewrites the value; its error says why it could not, or would not. Nil: the value as it is.
	Mend func(context.Context, *Letter) ([]byte, error)
	// DropHeaders are left out, for one that cannot be read.
	DropHeaders []string
	// DryRun decides everything and does nothing.
	DryRun bool
	// Again sends also what an earlier replay sent, be it waiting or accepted, unless these very bytes are stored.
	Again bool
	// Progress is told how far the reading of the topic is; it is read twice. Nil: nobody looks.
	Progress func(done, total int64)
}

// Outcome is what a replay did with one record.
type Outcome string

const (
	OutcomeSent     Outcome = "sent"     // or would be, in a dry run
	OutcomeAccepted Outcome = "accepted" // stored before: nothing to do
	OutcomeWaiting  Outcome = "waiting"  // an earlier replay sent it; no consumer was there yet
	OutcomeRefused  Outcome = "refused"  // today's decoder would refuse it again
	OutcomeLeftOut  Outcome = "left_out" // by the mend, or because it cannot be sent
)

// Report is what became of the records that a replay looked at.
type Report struct {
	DryRun  bool `json:"dry_run"`
	Records int  `json:"records"` // the sum of the counts that follow
	Counts
	Groups  []Group          `json:"groups"`
	Reasons []Reason         `json:"reasons"`
	Repeats int              `json:"repeats"` // dead letters of records of which a later one tells
	Foreign int              `json:"foreign"` // records of the dead-letter topic that are not dead letters
	Missing []churn.Position `json:"-"`       // asked for, and not in the topic
}

// Counts counts records by outcome.
type Counts struct {
	Sent     int `json:"sent"`
	Accepted int `json:"accepted"`
	Waiting  int `json:"waiting"`
	Refused  int `json:"refused"`
	LeftOut  int `json:"left_out"`
}

// Group counts the records of one topic that were refused for one code.
type Group struct {
	Code  churn.Code `json:"code"`
	Topic string     `json:"topic"`
	Counts
}

// Reason says why records were not sent.
type Reason struct {
	Outcome Outcome    `json:"outcome"`
	Code    churn.Code `json:"code,omitempty"` // of today's refusal
	Field   string     `json:"field,omitempty"`
	Reason  string     `json:"reason"` // of the first
	Records int        `json:"records"`
	Example string     `json:"example"` // position of the first
}

const (
	replayRows  = 500 // records that are decided and sent together
	replayBytes = 16 << 20
	maxReasons  = 50
	// replayBound is how long a batch may take that was begun before the run was told to stop.
	replayBound = time.Minute
)

// Run replays until the end that the dead-letter topic has now. The report is also right where an error ends it early.
func (r *Replay) Run(ctx context.Context) (Report, error) {
	report := Report{DryRun: r.DryRun, Groups: []Group{}, Reasons: []Reason{}}
	chosen, err := r.choose(ctx, &report)
	if err != nil || len(chosen.last) == 0 {
		return report, err
	}
	run := &replayRun{Replay: r, report: &report, chosen: chosen, placed: map[*parcel]churn.Position{}}
	if !r.DryRun {
		run.writer = newWriter(r.Kafka, "", kafka.Murmur2Balancer{Consistent: true})
		for _, w := range []*kafka.Writer{run.writer.many, run.writer.single} {
			w.Completion = run.acknowledged
			w.MaxAttempts = 5
		}
		defer run.writer.Close()
	}
	var batch []*Letter
	bytes := 0
	flush := func() error {
		defer func() { batch, bytes = batch[:0], 0 }()
		return run.replay(ctx, batch)
	}
	_, err = Read(ctx, r.Kafka, r.progress(1), func(d *Letter) error {
		if at, ok := chosen.last[d.First()]; !ok || at != d.at {
			return nil
		}
		batch = append(batch, d)
		if bytes += len(d.Value); len(batch) < replayRows && bytes < replayBytes {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	report.sort()
	return report, err
}

// choice is which dead letters a replay takes.
type choice struct {
	last    map[string]place // First -> the last dead letter of the record
	refused map[string]bool  // Paths of replays that were refused again
}

// choose reads the topic once and keeps only places: the values of all dead letters need not fit into memory.
func (r *Replay) choose(ctx context.Context, report *Report) (choice, error) {
	type candidate struct {
		later [3]int64
		at    place
		takes bool
		asked bool
	}
	candidates := map[string]candidate{}
	refused := map[string]bool{}
	asked := map[string]bool{} // Path -> found
	for _, p := range r.Positions {
		asked[p.Path()] = false
	}
	letters := 0
	var err error
	report.Foreign, err = Read(ctx, r.Kafka, r.progress(0), func(d *Letter) error {
		letters++
		path, first := d.Path(), d.First()
		if d.ReplayOf != "" {
			refused[path] = true
		}
		c, known := candidates[first]
		if _, wanted := asked[path]; wanted {
			asked[path], c.asked = true, true
		}
		if _, wanted := asked[first]; wanted {
			asked[first], c.asked = true, true
		}
		if later := d.later(); !known || slices.Compare(later[:], c.later[:]) > 0 {
			c.later, c.at = later, d.at
			c.takes = (r.Code == "" || d.Code == r.Code) && (r.Topic == "" || d.Topic == r.Topic)
		}
		candidates[first] = c
		return nil
	})
	if err != nil {
		return choice{}, err
	}
	report.Repeats = letters - len(candidates)
	last := map[string]place{}
	for first, c := range candidates {
		if c.takes && (c.asked || len(asked) == 0) {
			last[first] = c.at
		}
	}
	for _, p := range r.Positions {
		if !asked[p.Path()] {
			report.Missing = append(report.Missing, p)
		}
	}
	return choice{last, refused}, nil
}

// progress shows two readings as one.
func (r *Replay) progress(pass int64) func(done, total int64) {
	if r.Progress == nil {
		return nil
	}
	return func(done, total int64) { r.Progress(pass*total+done, 2*total) }
}

// replayRun is one run: what is decided stands in the report.
type replayRun struct {
	*Replay
	report *Report
	chosen choice
	writer *Writer

	mu     sync.Mutex
	placed map[*parcel]churn.Position // where the brokers put what they acknowledged
}

// parcel is a dead letter on its way back.
type parcel struct {
	letter *Letter
	value  []byte
	key    churn.EventKey
}

// replay decides about each letter, sends what is to be sent, and notes it.
func (r *replayRun) replay(ctx context.Context, letters []*Letter) error {
	if len(letters) == 0 {
		return nil
	}
	firsts := make([]string, len(letters))
	for i, d := range letters {
		firsts[i] = d.First()
	}
	before, err := r.Store.Replays(ctx, firsts)
	if err != nil {
		return err
	}
	var ready []*parcel
	for _, d := range letters {
		p, err := r.open(ctx, d, before[d.First()])
		if err != nil {
			return err
		}
		if p != nil {
			ready = append(ready, p)
		}
	}
	keys := make([]churn.EventKey, len(ready))
	for i, p := range ready {
		keys[i] = p.key
	}
	stored, err := r.Store.StoredEvents(ctx, keys)
	if err != nil {
		return err
	}
	var send []*parcel
	var notes []churn.Replay
	for _, p := range ready {
		if !stored[p.key] {
			send = append(send, p)
			continue
		}
		r.report.count(p.letter, OutcomeAccepted)
		notes = append(notes, r.note(p, churn.Position{Topic: p.letter.Topic, Partition: p.letter.Partition, Offset: churn.NotSent}))
	}
	if r.DryRun {
		for _, p := range send {
			r.report.count(p.letter, OutcomeSent)
		}
		return nil
	}
	// What is begun is ended, also where the run is told to stop: what is sent and not noted would be sent again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replayBound)
	defer cancel()
	failed := r.send(ctx, send)
	r.mu.Lock()
	for _, p := range send {
		if to, acknowledged := r.placed[p]; acknowledged {
			r.report.count(p.letter, OutcomeSent)
			notes = append(notes, r.note(p, to))
		}
	}
	clear(r.placed)
	r.mu.Unlock()
	if err := r.Store.NoteReplays(ctx, notes); err != nil {
		err = fmt.Errorf("%w (what was sent is safe in its topic; replay again, and what is stored by then is found)", err)
		return errors.Join(failed, err)
	}
	return failed
}

// open mends and decodes a letter. It returns nil where nothing is to be sent, and has counted why.
func (r *replayRun) open(ctx context.Context, d *Letter, before []churn.Replay) (*parcel, error) {
	if !r.Again {
		for _, b := range before {
			if b.Stored {
				r.report.count(d, OutcomeAccepted)
				return nil, nil
			}
		}
		for _, b := range before {
			if b.To.Offset != churn.NotSent && !r.chosen.refused[b.To.Path()] {
				r.report.count(d, OutcomeWaiting)
				return nil, nil
			}
		}
	}
	p := &parcel{letter: d, value: d.Value}
	if r.Mend != nil {
		var err error
		if p.value, err = r.Mend(ctx, d); ctx.Err() != nil {
			return nil, ctx.Err()
		} else if err != nil {
			r.report.explain(d, Reason{Outcome: OutcomeLeftOut, Reason: err.Error()})
			return nil, nil
		}
	}
	record := &broker.Record{Position: d.Position, Key: d.Key, Value: p.value, Headers: r.headers(d)}
	decode, consumed := r.Decode[d.Topic]
	if !consumed {
		r.report.explain(d, Reason{Outcome: OutcomeLeftOut,
			Reason: fmt.Sprintf("it came from topic %s, which nothing consumes now: see kafka.topics.deals, kafka.topics.tickets and kafka.topics.feedback", d.Topic)})
		return nil, nil
	}
	var why *churn.Rejection
	if p.key, why = decode(record); why != nil {
		r.report.explain(d, Reason{Outcome: OutcomeRefused, Code: why.Code, Field: why.Field, Reason: why.Reason})
		return nil, nil
	}
	p.key.Hash = sha256.Sum256(p.value)
	return p, nil
}

// headers are those of the record, and which record it was.
func (r *replayRun) headers(d *Letter) []broker.Header {
	kept := slices.DeleteFunc(slices.Clone(d.Headers), func(h broker.Header) bool { return slices.Contains(r.DropHeaders, h.Key) })
	return append(kept, broker.Header{Key: HeaderReplayOf, Value: []byte(d.First())})
}

func (r *replayRun) note(p *parcel, to churn.Position) churn.Replay {
	now := time.Now
	if r.Clock != nil {
		now = r.Clock
	}
	return churn.Replay{Of: p.letter.First(), To: to, Key: p.key, At: now().UTC().Truncate(time.Millisecond)}
}

// send returns why some were not acknowledged. A record that its topic does not take is left out; anything else ends the run.
func (r *replayRun) send(ctx context.Context, parcels []*parcel) error {
	messages := make([]kafka.Message, len(parcels))
	for i, p := range parcels {
		messages[i] = kafka.Message{Topic: p.letter.Topic, Key: p.letter.Key, Value: p.value, WriterData: p}
		for _, h := range r.headers(p.letter) {
			messages[i].Headers = append(messages[i].Headers, kafka.Header(h))
		}
	}
	left, err := r.writer.Write(ctx, messages)
	if err == nil || !errors.Is(err, kafka.MessageSizeTooLarge) {
		return replaying(err)
	}
	// One record that is too large fails those of its batch: alone, each shows what it is.
	for _, m := range left {
		p := m.WriterData.(*parcel)
		switch err := r.writer.single.WriteMessages(ctx, m); {
		case errors.Is(err, kafka.MessageSizeTooLarge):
			r.report.explain(p.letter, Reason{Outcome: OutcomeLeftOut,
				Reason: fmt.Sprintf("topic %s refuses a record of this size: see its max.message.bytes", p.letter.Topic)})
		case err != nil:
			return replaying(err)
		}
	}
	return nil
}

func replaying(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sending dead letters to their topics: %w (replay again: what arrived is not sent twice)", err)
}

// acknowledged learns where the brokers put each message. kafka-go calls it before WriteMessages returns.
func (r *replayRun) acknowledged(messages []kafka.Message, err error) {
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range messages {
		m := &messages[i]
		r.placed[m.WriterData.(*parcel)] = churn.Position{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset}
	}
}

func (c *Counts) add(o Outcome) {
	switch o {
	case OutcomeSent:
		c.Sent++
	case OutcomeAccepted:
		c.Accepted++
	case OutcomeWaiting:
		c.Waiting++
	case OutcomeRefused:
		c.Refused++
	case OutcomeLeftOut:
		c.LeftOut++
	}
}

func (r *Report) count(d *Letter, o Outcome) {
	r.Records++
	r.add(o)
	i := slices.IndexFunc(r.Groups, func(g Group) bool { return g.Code == d.Code && g.Topic == d.Topic })
	if i < 0 {
		i = len(r.Groups)
		r.Groups = append(r.Groups, Group{Code: d.Code, Topic: d.Topic})
	}
	r.Groups[i].add(o)
}

// explain counts a record and keeps why it is not sent.
func (r *Report) explain(d *Letter, why Reason) {
	r.count(d, why.Outcome)
	same := func(x Reason) bool {
		return x.Outcome == why.Outcome && x.Code == why.Code && x.Field == why.Field && (why.Code != "" || x.Reason == why.Reason)
	}
	i := slices.IndexFunc(r.Reasons, same)
	if i < 0 && len(r.Reasons) >= maxReasons {
		why = Reason{Outcome: why.Outcome, Reason: fmt.Sprintf("other reasons, beyond the first %d", maxReasons)}
		i = slices.IndexFunc(r.Reasons, same)
	}
	if i < 0 {
		i = len(r.Reasons)
		why.Reason, why.Example = text.CutBytes(why.Reason, maxReason), d.Path()
		r.Reasons = append(r.Reasons, why)
	}
	r.Reasons[i].Records++
}

func (r *Report) sort() {
	slices.SortFunc(r.Groups, func(a, b Group) int {
		return strings.Compare(a.Topic+"\x00"+string(a.Code), b.Topic+"\x00"+string(b.Code))
	})
	slices.SortStableFunc(r.Reasons, func(a, b Reason) int { return b.Records - a.Records })
}
