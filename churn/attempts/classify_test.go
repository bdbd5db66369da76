package attempts

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
)

var opened = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// classify says which classes the default model gives a body, joined by a space, strongest first.
func classify(body string) string {
	return classNames(Default().Classify(&churn.SupportTicket{Body: body, OpenedAt: opened}))
}

func classNames(c churn.Classification) string {
	var names []string
	for _, f := range c.Findings {
		names = append(names, f.Class)
	}
	return strings.Join(names, " ")
}

func TestClassifySentences(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"price", "We need to reopen our rate.", "price_reduction"},
		{"terms", "Please change our payment terms to 60 days.", "terms_change"},
		{"exit", "What is our exit clause?", "early_termination"},
		{"downgrade", "We want fewer seats and a lower tier.", "downgrade"},
		{"credit", "We ask for a service credit for the missed response times.", "sla_credit"},
		{"invoice", "There is an unexpected charge on our invoice.", "invoice_dispute"},
		{"scope", "This should be included.", "scope_demand"},
		{"rival", "Contoso is cheaper.", "competitor_benchmark"},
		{"clause", "Which clause of the contract covers additional users?", "contract_question"},
		{"reference", "We decline to take part in the case study.", "reference_refused"},

		{"denied before", "We are not asking for a discount.", ""},
		{"no need", "There is no need to change the price.", ""},
		{"never", "We never asked you to reduce our seats.", ""},
		{"nobody", "Nobody here wants to terminate the agreement.", ""},
		{"denied after", "A discount is not what we are after.", ""},
		{"rather than", "Rather than a lower price we want a working product.", ""},
		{"thanks", "Thank you for the discount.", ""},
		{"between its words", "We request no further discount.", ""},
		{"a denial of something else", "We are not leaving, but we want a discount.", "price_reduction"},
		{"ends at a comma", "No, we need a discount.", "price_reduction"},
		{"ends at unless", "We will not sign unless you lower the price.", "price_reduction"},
		{"a question is no denial", "Why can't you lower our rate?", "price_reduction"},
		{"a phrase that is a denial", "We will not renew.", "early_termination"},
		{"second mention counts", "We do not need a discount for 2025; we need a discount for 2026.", "price_reduction"},

		{"support", "How do I reset my password?", ""},
		{"praise", "Thank you for the quick help, the new release is a joy.", ""},
		{"feature", "Can you add a dark theme?", ""},
		{"anger", "I am very angry: the app has been unusable for a week.", ""},
		{"their customers", "Our customers ask us for discounts.", ""},
		{"their customer cancels", "When a customer cancels a subscription the status stays open.", ""},
		{"button", "The cancel subscription button is missing.", ""},
		{"field", "The discount field in the quote form is too narrow.", ""},
		{"buys more", "Please increase our seats by 20.", ""},
		{"closes a ticket", "Please close this ticket.", ""},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := classify(tt.body); got != tt.want {
				t.Errorf("Classify(%q) = %q, want %q", tt.body, got, tt.want)
			}
		})
	}
}

func TestClassifyLeavesOutQuotedWords(t *testing.T) {
	const asks = "We request a discount."
	tests := []struct{ name, body, want string }{
		{"you wrote", "On Tuesday you wrote: We can give you a discount of 10%.", ""},
		{"you wrote, then own words", "On Tuesday you wrote: \"We can give you a discount.\" We will not renew.", "early_termination"},
		{"you wrote, next paragraph", "Your colleague said: we can give a discount\n\nWe will not renew.", "early_termination"},
		{"curly marks", "You wrote “we can offer a discount” and that is noted.", ""},
		{"own emphasis", "We \"request\" a discount.", "price_reduction"},
		{"marked lines", "> We request a discount.\n>> Please lower the price.\nThanks!", ""},
		{"reply between marked lines", "> anything else?\n" + asks + "\n> regards", "price_reduction"},
		{"escaped mark", "&gt; " + asks + "\nThanks", ""},
		{"original message", "Thanks.\n-----Original Message-----\nFrom: Ann\n" + asks, ""},
		{"forwarded message", "Thanks.\n---------- Forwarded message ---------\n" + asks, ""},
		{"name wrote", "Thanks.\n\nOn 2 March 2026 at 10:02, Ann <ann@vendor.example> wrote:\n" + asks, ""},
		{"name wrote, wrapped", "Thanks.\n\nOn Mon, 2 March 2026 at 10:02, Ann\n<ann@vendor.example> wrote:\n\n" + asks, ""},
		{"name wrote, marked", "On 2 March 2026, Ann wrote:\n> Anything else?\n" + asks, "price_reduction"},
		{"outlook header", "Thanks.\nFrom: Ann\nSent: Monday\nTo: Bob\n" + asks, ""},
		{"outlook rule", "Thanks.\n________________________________\nFrom: Ann\n" + asks, ""},
		{"signature", "Thanks.\n-- \nAnn, the discount people: request a discount today", ""},
		{"blockquote", "Thanks.<blockquote type=cite>" + asks + "<blockquote>x</blockquote>" + asks + "</blockquote>", ""},
		{"after blockquote", "<BLOCKQUOTE>x</BLOCKQUOTE>" + asks, "price_reduction"},
		{"gmail", "<div>Thanks.</div><div class=\"gmail_quote\">" + asks + "</div>", ""},
		{"style", "<style>p { request a discount }</style>Thanks", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := classify(tt.body); got != tt.want {
				t.Errorf("Classify(%q) = %q, want %q", tt.body, got, tt.want)
			}
		})
	}
}

func TestClassifyHostileText(t *testing.T) {
	tests := []struct{ name, body, want, quote string }{
		{"upper case", "WE REQUEST A DISCOUNT!", "price_reduction", "WE REQUEST A DISCOUNT!"},
		{"zero width", "We request a dis\u200bcount.", "price_reduction", "We request a dis\u200bcount."},
		{"soft hyphen", "We request a dis\u00adcount.", "price_reduction", "We request a dis\u00adcount."},
		{"combining", "We request a di\u0301scount.", "price_reduction", "We request a di\u0301scount."},
		{"accent", "We request a díscount.", "price_reduction", "We request a díscount."},
		{"full width", "We request a discount.", "price_reduction", "We request a discount."},
		{"smart apostrophe", "We can’t afford the price.", "price_reduction", "We can’t afford the price."},
		{"entity apostrophe", "We can&#39;t afford the price.", "price_reduction", "We can&#39;t afford the price."},
		{"no-break space", "We request\u00a0a&nbsp;discount.", "price_reduction", "We request\u00a0a&nbsp;discount."},
		{"tags", "<p>Hello</p><p>We request a <b>discount</b></p>", "price_reduction", "We request a <b>discount</b>"},
		{"wrapped", "We would like to request\na discount.", "price_reduction", "We would like to request\na discount."},
		{"list", "Two points:\n- we request a discount\n- thanks", "price_reduction", "we request a discount"},
		{"invalid bytes", "Hi\xff\xfe we request a discount\xc3", "price_reduction", "we request a discount"},
		{"unclosed tag", "<b We request a discount", "price_reduction", "<b We request a discount"},
		{"unclosed blockquote", "<blockquote>We request a discount", "", ""},
		{"only marks", "<<<&&&&;;;>>>\"\"\"''' \u200b\u0301", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Default().Classify(&churn.SupportTicket{Body: tt.body, OpenedAt: opened})
			if got := classNames(c); got != tt.want {
				t.Fatalf("Classify(%q) = %q, want %q", tt.body, got, tt.want)
			}
			if tt.want != "" && c.Findings[0].Quote != tt.quote {
				t.Errorf("quote %q, want %q", c.Findings[0].Quote, tt.quote)
			}
		})
	}
}

func TestClassifyQuoteIsBounded(t *testing.T) {
	long := strings.Repeat("größer ", 200) + "we request a discount " + strings.Repeat("und größer ", 200)
	c := Default().Classify(&churn.SupportTicket{Body: long, OpenedAt: opened})
	if len(c.Findings) != 1 {
		t.Fatalf("findings %v, want one", c.Findings)
	}
	q := c.Findings[0].Quote
	if len(q) > Default().m.quoteBytes || !strings.Contains(q, "request a discount") || !strings.Contains(long, q) {
		t.Errorf("quote of %d bytes %q, want the words of the match within %d bytes", len(q), q, Default().m.quoteBytes)
	}
	if !strings.HasPrefix(q, "größer") && !strings.HasPrefix(q, "we") {
		t.Errorf("quote %q starts inside a word", q)
	}
}

func TestClassifyMoments(t *testing.T) {
	day := func(n int) time.Time { return opened.AddDate(0, 0, n) }
	ticket := &churn.SupportTicket{
		OpenedAt: opened,
		Subject:  "Login",
		Body:     "I cannot log in.",
		Comments: []churn.Message{
			{At: day(5), From: churn.Client, Text: "Also, we want a discount."},
			{At: day(1), From: churn.Vendor, Text: "You may terminate the contract or ask for a discount."},
			{At: day(3), From: churn.Client, Text: "We would like to terminate our contract. Please lower the price."},
		},
	}
	c := Default().Classify(ticket)
	if got, want := classNames(c), "price_reduction early_termination"; got != want {
		t.Fatalf("classes %q, want %q", got, want)
	}
	if !c.At.Equal(day(3)) || !c.Findings[0].At.Equal(day(3)) {
		t.Errorf("at %v and %v, want the earliest classified comment, %v", c.At, c.Findings[0].At, day(3))
	}
	if got, want := c.Findings[0].Quote, "Please lower the price."; got != want {
		t.Errorf("quote %q, want what was said at that moment, %q", got, want)
	}

	ticket.Tags = []string{"Discount-Request"}
	c = Default().Classify(ticket)
	if f := c.Findings[0]; !c.At.Equal(opened) || f.Rule != "tag:discount_request" || f.Quote != "Login" {
		t.Errorf("at %v by %s quoting %q, want the tag at opened_at quoting the subject", c.At, f.Rule, f.Quote)
	}
	if c := Default().Classify(&churn.SupportTicket{OpenedAt: opened, Body: "Hello"}); !c.At.IsZero() || c.ModelVersion != Default().Version() {
		t.Errorf("no attempt: at %v, version %q", c.At, c.ModelVersion)
	}
}

func TestClassifyExplainedTicketsAreNoAttempts(t *testing.T) {
	credit := churn.SupportTicket{OpenedAt: opened, Body: "Please apply a service credit.", Tags: []string{"sla_credit"}}
	dispute := churn.SupportTicket{OpenedAt: opened, Body: "We dispute the invoice.", Category: "Billing dispute"}
	for _, tt := range []struct {
		name   string
		ticket churn.SupportTicket
		want   string
	}{{"credit", credit, "sla_credit"}, {"dispute", dispute, "invoice_dispute"}} {
		if got := classNames(Default().Classify(&tt.ticket)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		tt.ticket.OutageRelated, tt.ticket.VendorError = true, true
		if got := classNames(Default().Classify(&tt.ticket)); got != "" {
			t.Errorf("%s explained by us: %q, want none", tt.name, got)
		}
	}
}

func TestClassifyOrderAndConfidence(t *testing.T) {
	ticket := &churn.SupportTicket{OpenedAt: opened, Subject: "Invoice dispute",
		Body: "We dispute the invoice.\n\nPlease send us a copy of our contract. We want fewer seats. Please lower the price and give us a discount."}
	c := Default().Classify(ticket)
	if got, want := classNames(c), "price_reduction downgrade invoice_dispute contract_question"; got != want {
		t.Fatalf("classes %q, want %q", got, want)
	}
	if !c.Findings[1].Confirmatory || c.Findings[0].Confirmatory {
		t.Error("only a downgrade confirms a decision already made")
	}
	one := Default().Classify(&churn.SupportTicket{OpenedAt: opened, Body: "Please lower the price."})
	if one.Findings[0].Confidence >= c.Findings[0].Confidence || c.Findings[0].Confidence > 1 {
		t.Errorf("confidence %v of two rules, %v of one of them", c.Findings[0].Confidence, one.Findings[0].Confidence)
	}
	if again := Default().Classify(ticket); !reflect.DeepEqual(c, again) {
		t.Error("the same ticket gave another answer")
	}
}

func TestClassifyContextOfSubject(t *testing.T) {
	ticket := &churn.SupportTicket{OpenedAt: opened, Subject: "Renewal", Body: "We reject the uplift."}
	if got := classNames(Default().Classify(ticket)); got != "price_reduction" {
		t.Errorf("with the subject as context %q, want price_reduction", got)
	}
	ticket.Subject = "Floor"
	if got := classNames(Default().Classify(ticket)); got != "" {
		t.Errorf("without context %q, want none", got)
	}
}
