package attempts

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aftershock/aftershock/churn"
)

func FuzzClassify(f *testing.F) {
	for _, s := range []string{
		"We request a discount.", "On Tuesday you wrote: \"a discount\" and we will not renew", "> x\n-----Original Message-----\n",
		"<blockquote>We request a discount</blockquote><p>lower our fee", "We can&#39;t afford the price\xff", "dis\u200bcount\u0301 — “we want a discount”",
		strings.Repeat("we want a discount ", 60), "On x\nwrote:\n", "you said '", "From:\nTo:",
	} {
		f.Add("Renewal", s, s, "discount")
	}
	f.Fuzz(func(t *testing.T, subject, body, comment, tag string) {
		ticket := &churn.SupportTicket{Subject: subject, Body: body, Tags: []string{tag}, Category: tag, OpenedAt: time.Unix(100, 0),
			Comments: []churn.Message{{At: time.Unix(50, 0), From: churn.Client, Text: comment}, {At: time.Unix(10, 0), From: churn.Vendor, Text: "we want a discount"}}}
		c := Default().Classify(ticket)
		if c.At.IsZero() != (len(c.Findings) == 0) {
			t.Errorf("at %v with %d findings", c.At, len(c.Findings))
		}
		if !slices.IsSortedFunc(c.Findings, compareFindings) {
			t.Errorf("findings out of order: %v", c.Findings)
		}
		for _, k := range c.Findings {
			if !strings.Contains(subject, k.Quote) && !strings.Contains(body, k.Quote) && !strings.Contains(comment, k.Quote) {
				t.Errorf("%s quotes %q, which the client did not say", k.Rule, k.Quote)
			}
			if len(k.Quote) > Default().m.quoteBytes || !utf8.ValidString(k.Quote) {
				t.Errorf("%s: quote of %d bytes, valid %v", k.Rule, len(k.Quote), utf8.ValidString(k.Quote))
			}
			if k.Quote == "" && !strings.HasPrefix(k.Rule, "tag:") && !strings.HasPrefix(k.Rule, "category:") {
				t.Errorf("%s found words and quotes none", k.Rule)
			}
			if !(k.Confidence > 0 && k.Confidence <= 1) || k.At.Before(c.At) {
				t.Errorf("%s: confidence %v at %v, ticket at %v", k.Rule, k.Confidence, k.At, c.At)
			}
		}
	})
}
