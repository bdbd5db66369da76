package alert

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/hardness"
)

func some[T any](v T) *T { return &v }

func hardDeal() churn.DealClosed {
	return churn.DealClosed{
		AccountID: "A-17", AccountName: "Example Ltd", ContractID: "C-900", Outcome: churn.Won, Currency: "EUR",
		SignedPrice: churn.MustMoney("120000"), Anticipated: churn.MustMoney("100000"), ClosedAt: time.Date(2026, 1, 31, 8, 30, 0, 0, time.UTC),
		Owners: churn.Owners{AccountExecutive: "Erin", AccountManager: "Max", Team: "North"},
		Negotiation: &churn.Negotiation{
			Rounds: some(14), Ultimatums: some(2), DeadlinePressure: some(true), Tone: some(-0.9),
			ClientConcessions:  &[]churn.Concession{{Term: "term length", Value: churn.OptionalMoney{}}, {Term: "payment terms", Value: churn.MustMoney("9000")}, {Term: "seats", Value: churn.MustMoney("12000.5")}},
			VendorConcessions:  &[]churn.Concession{},
			UnresolvedRequests: &[]string{"price protection", "exit\nclause"},
			CommonGround:       &[]string{"joint success plan"},
		},
	}
}

// TestHandoffReads: the brief as a person reads it.
func TestHandoffReads(t *testing.T) {
	d := hardDeal()
	const want = `Example Ltd: contract C-900, won on 2026-01-31.
Hardness 88 of 100 (hard), from 82% of the facts that the score asks for.
Signed price: EUR 120,000.00.
What the client expected to pay: EUR 100,000.00.

Who on our side
- Erin (account executive)
- Max (account manager)
- North (team)

Why it was hard
- The client signed at EUR 120,000.00, 20.0% above the EUR 100,000.00 that it expected.
- The client gave up 3 things and the vendor 0, counted because not all have a value.
- The source measured a tone of -0.90, where -1 is hostile and 1 is warm.
- There were 2 ultimatums such as final offers or expiring prices.
- A deadline was used as pressure.
- The client asked for and was refused 2 things: exit clause, price protection.
- 14 rounds of documents went back and forth.

What the client gave up
- seats (EUR 12,000.50)
- payment terms (EUR 9,000.00)
- term length

The record says that we gave up nothing.

What the client asked for and was refused
- price protection
- exit clause

What both sides have in common
- joint success plan

The source measured a tone of -0.9, where -1 is hostile and 1 is warm.

Before the first call
- Ask Erin, not the client, for what is not known.
- Read what the contract says about what the client gave up: seats (EUR 12,000.50) first.

In the first call
- Begin with what both sides have in common: joint success plan.
- Ask what would make the first ninety days a success for them.
- Ask whether what was refused still matters: price protection. Find out before the call what it would cost to give.

What not to do
- Do not ask for a reference or a case study before 2026-07-30.
- Do not open an expansion.
- Do not set a deadline: ultimatums or a deadline were part of this negotiation already.

What is not known
- Who carried the deal on the client's side: the record of a deal names none of its people.`
	if got := Handoff(&d, hardness.Default().Score(&d)).Text; got != want {
		t.Errorf("the brief reads:\n%s", got)
	}
}

// TestHandoffClaimsOnlyWhatIsRecorded takes one fact at a time out of a deal of which all is known: what the brief said of it is gone,
// and it is among what is not known.
func TestHandoffClaimsOnlyWhatIsRecorded(t *testing.T) {
	whole := hardDeal()
	score := hardness.Default().Score
	full := Handoff(&whole, score(&whole))
	for _, c := range []struct {
		fact    string
		take    func(*churn.DealClosed)
		gone    []string
		unknown string // empty: nothing follows from its absence
	}{
		{"the price that the client expected", func(d *churn.DealClosed) { d.Anticipated = churn.OptionalMoney{} }, []string{"100,000.00"}, "What the client expected to pay."},
		{"what the client gave up", func(d *churn.DealClosed) { d.Negotiation.ClientConcessions = nil }, []string{"seats (", "payment terms", "12,000.50", "term length"}, "What the client gave up."},
		{"what we gave up", func(d *churn.DealClosed) { d.Negotiation.VendorConcessions = nil }, []string{"that we gave up nothing"}, "What we gave up."},
		{"what was refused", func(d *churn.DealClosed) { d.Negotiation.UnresolvedRequests = nil }, []string{"price protection", "exit clause"}, "What the client asked for and was refused."},
		{"common ground", func(d *churn.DealClosed) { d.Negotiation.CommonGround = nil }, []string{"joint success plan"}, "What both sides have in common."},
		{"the tone", func(d *churn.DealClosed) { d.Negotiation.Tone = nil }, []string{"-0.9"}, "The tone."},
		{"the executive", func(d *churn.DealClosed) { d.Owners.AccountExecutive = "" }, []string{"Erin"}, "Who won the deal on our side."},
		{"the account manager", func(d *churn.DealClosed) { d.Owners.AccountManager = "" }, []string{"Max"}, "Who is to look after the client."},
		{"the team", func(d *churn.DealClosed) { d.Owners.Team = "" }, []string{"North"}, ""},
		{"the name", func(d *churn.DealClosed) { d.AccountName = "" }, []string{"Example Ltd"}, ""},
		{"pressure", func(d *churn.DealClosed) { d.Negotiation.Ultimatums, d.Negotiation.DeadlinePressure = nil, nil }, []string{"Do not set a deadline", "There were 2 ultimatums", "A deadline was used"}, "Whether there were ultimatums."},
		{"the negotiation", func(d *churn.DealClosed) { d.Negotiation = nil }, []string{"seats (", "exit clause", "-0.9", "joint success plan", "ultimatums or"}, "The tone."},
	} {
		d := hardDeal()
		c.take(&d)
		b := Handoff(&d, score(&d))
		for _, words := range c.gone {
			if !strings.Contains(full.Text, words) {
				t.Errorf("the whole brief does not say %q", words)
			}
			if strings.Contains(b.Text, words) {
				t.Errorf("without %s the brief still says %q:\n%s", c.fact, words, b.Text)
			}
		}
		if c.unknown != "" && (!slices.Contains(b.NotKnown, c.unknown) || slices.Contains(full.NotKnown, c.unknown) || !strings.Contains(b.Text, c.unknown)) {
			t.Errorf("without %s: %q is not among what is not known, or always is", c.fact, c.unknown)
		}
	}
}

func TestHandoffOfAnUnknownNegotiation(t *testing.T) {
	d := hardDeal()
	d.Negotiation, d.Anticipated = nil, churn.OptionalMoney{}
	b := Handoff(&d, hardness.Default().Score(&d))
	if !strings.Contains(b.Text, "How hard it was negotiated is not known: the record holds 0% of the facts") || len(b.WhyHard) != 0 {
		t.Errorf("the brief reads:\n%s", b.Text)
	}
}

// TestHandoffStaysSmall: an alert is one record, however much a source wrote.
func TestHandoffStaysSmall(t *testing.T) {
	d := hardDeal()
	long := make([]string, 5000)
	for i := range long {
		long[i] = strings.Repeat("long \x1b\n", 1000)
	}
	concessions := make([]churn.Concession, 5000)
	for i := range concessions {
		concessions[i] = churn.Concession{Term: long[i], Value: churn.MoneyFromUnits(int64(i) * 10_000)}
	}
	d.AccountName, d.Negotiation.UnresolvedRequests, d.Negotiation.CommonGround, d.Negotiation.ClientConcessions = long[0], &long, &long, &concessions
	b := Handoff(&d, hardness.Default().Score(&d))
	if len(b.Text) > 8_000 || strings.Contains(b.Text, "\x1b") {
		t.Errorf("%d bytes", len(b.Text))
	}
	if last := b.GaveUp[len(b.GaveUp)-1]; last != "and 4992 more" || !strings.Contains(b.GaveUp[0], "(EUR 4,999.00)") {
		t.Errorf("what the client gave up: %q ... %q", b.GaveUp[0], last)
	}
}

// TestHandoffIsPure: the deal is not changed, and the same deal gives the same brief.
func TestHandoffIsPure(t *testing.T) {
	d, again := hardDeal(), hardDeal()
	h := hardness.Default().Score(&d)
	one := Handoff(&d, h)
	if two := Handoff(&d, h); !reflect.DeepEqual(one, two) || !reflect.DeepEqual(d, again) {
		t.Error("the deal or its brief changed")
	}
}
