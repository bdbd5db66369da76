package simulate

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn"
)

// ticketFact returns the ticket as the help desk knows it. Its text may be about another topic: the desk once had it wrong.
func (c *Config) ticketFact(l *life, t *ticket, about topic) churn.SupportTicket {
	r := stream(c.Seed, streamText, l.index, t.n, int(about))
	w := newWriter(r, &l.account, t.openedAt, l.annualAt(t.openedAt))
	written, second := about, t.second
	if about != t.topic {
		second = noTopic
	}
	times, later := c.conversation(l, t)
	later = later && about == t.topic
	if later { // the letter is harmless, the attempt comes in a comment
		written, second = topicSupport, noTopic
	}
	f := churn.SupportTicket{
		OccurredAt: t.openedAt, TicketID: l.ticketID(t.n), AccountID: l.id(), OpenedAt: t.openedAt,
		Status:   pick(r, []string{"open", "pending", "solved", "solved", "closed"}),
		Priority: pick(r, []string{"low", "normal", "normal", "normal", "high", "urgent"}),
		Channel:  pick(r, []string{"email", "email", "email", "web", "chat", "phone"}),
		Subject:  w.subject(written),
		Assignee: w.agent,
		Source:   churn.Source{System: "desk", URL: "https://desk.example.com/tickets/" + l.ticketID(t.n)},
	}
	f.Body = w.letter(written, second)
	switch t.contract {
	case noContract:
	case foreignContract:
		f.ContractID = c.strangeContract(r, l)
	default:
		f.ContractID = l.contractID(t.contract)
	}
	f.Comments = comments(w, t.openedAt, times)
	if later {
		f.Comments[attemptComment].Text = w.line(about.String(), "ask") + " " + w.line(about.String(), "detail")
		if t.second != noTopic {
			f.Comments[attemptComment].Text += " " + w.line(t.second.String(), "ask")
		}
	}
	f.OccurredAt = c.toldAt(l, t)
	f.OutageRelated = about == topicOutage
	f.VendorError = about == topicOurError
	if happens(r, 0.3) { // filed in a hurry: attempts and others alike
		f.Tags = []string{pick(r, []string{"howto", "account", "billing", "follow_up", "training", "vip"})}
		f.Category = pick(r, []string{"technical", "question", "other"})
	}
	if happens(r, 0.2) {
		f.Satisfaction = pointer(float64(1 + r.IntN(5)))
	}
	return f
}

// strangeContract is a contract that is not the account's: another's, or nobody's.
func (c *Config) strangeContract(r *rand.Rand, l *life) string {
	if happens(r, 0.5) {
		return fmt.Sprintf("C-%05d-0", c.otherAccount(r, l.index))
	}
	return fmt.Sprintf("KD-%06d", r.IntN(1_000_000))
}

// otherAccount is an account that joined not long before or after.
func (c *Config) otherAccount(r *rand.Rand, index int) int {
	if index == 0 {
		return 1
	}
	return max(0, index-1-r.IntN(40))
}

func comments(w *writer, opened time.Time, times []time.Duration) (all []churn.Message) {
	for i, after := range times {
		m := churn.Message{At: opened.Add(after), From: churn.Vendor}
		if i%2 == 1 {
			m.From = churn.Client
		}
		m.Text = w.line("shared", "comment_"+string(m.From))
		if m.From == churn.Vendor && happens(w.r, 0.08) { // what the vendor says is no attempt of the client
			m.Text = strings.TrimPrefix(w.line(topicQuoted.String(), "quote"), "> ")
		}
		all = append(all, m)
	}
	return all
}

// annualAt is what the account paid a year at a time, in cents, for amounts in texts.
func (l *life) annualAt(at time.Time) int64 {
	annual := int64(1_000_000)
	for i := range l.deals {
		if d := &l.deals[i]; d.outcome == churn.Won && d.typ.Base() && !d.closedAt.After(at) {
			annual = d.annual
		}
	}
	return annual
}
