package alert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/text"
)

// HandoffBrief is the `brief` of Alert v1: what the person who inherits a client needs to know of the negotiation. Entries are
// what the record of the deal says, bounded in number and length; a fact that it lacks is in NotKnown and nowhere else.
type HandoffBrief struct {
	Text       string   `json:"text"` // all of it in plain words, readable as it stands
	People     []string `json:"people"`
	WhyHard    []string `json:"why_hard"` // sentences, the heaviest first
	GaveUp     []string `json:"client_gave_up"`
	WeGaveUp   []string `json:"vendor_gave_up"`
	Refused    []string `json:"client_was_refused"`
	InCommon   []string `json:"in_common"`
	Tone       string   `json:"tone"` // empty where not known
	BeforeCall []string `json:"before_the_first_call"`
	FirstCall  []string `json:"in_the_first_call"`
	DoNot      []string `json:"do_not"`
	NotKnown   []string `json:"not_known"`
}

const (
	// ReferenceRest is how long a hard-won client is not asked for a reference. Trouble is looked for at 0-30, 31-90 and 91-180 days
	// after the close: this is the end of the last.
	ReferenceRest = 180 * 24 * time.Hour

	briefEntries = 8   // of each list: an alert must stay a small record
	briefClip    = 120 // runes of a source's own words
)

// Handoff makes the brief of a deal from its record and its hardness. It is a pure function of both.
func Handoff(d *churn.DealClosed, h churn.Hardness) HandoffBrief {
	b := briefing{d: d, n: d.Recorded()}
	b.HandoffBrief = HandoffBrief{People: []string{}, WhyHard: []string{}, GaveUp: []string{}, WeGaveUp: []string{}, Refused: []string{},
		InCommon: []string{}, BeforeCall: []string{}, FirstCall: []string{}, DoNot: []string{}, NotKnown: []string{}}
	b.people()
	for _, c := range h.Contributions {
		if c.Points > 0 {
			b.WhyHard = append(b.WhyHard, c.Evidence)
		}
	}
	b.table()
	b.advice()
	b.Text = b.text(h)
	return b.HandoffBrief
}

// briefing is a brief in the making.
type briefing struct {
	HandoffBrief
	d *churn.DealClosed
	n *churn.Negotiation
}

func (b *briefing) people() {
	for _, p := range []struct{ name, role, lacking string }{
		{b.d.Owners.AccountExecutive, "account executive", "Who won the deal on our side."},
		{b.d.Owners.AccountManager, "account manager", "Who is to look after the client."},
		{b.d.Owners.Team, "team", ""},
	} {
		if name := clip(p.name); name != "" {
			b.People = append(b.People, name+" ("+p.role+")")
		} else if p.lacking != "" {
			b.NotKnown = append(b.NotKnown, p.lacking)
		}
	}
	// No format that we read names the client's people: the brief says so rather than leave it unsaid.
	b.NotKnown = append(b.NotKnown, "Who carried the deal on the client's side: the record of a deal names none of its people.")
}

// table tells what happened at the table, and what of it nobody wrote down.
func (b *briefing) table() {
	lacks := func(absent bool, what string) {
		if absent {
			b.NotKnown = append(b.NotKnown, what)
		}
	}
	lacks(!b.d.Anticipated.Known, "What the client expected to pay.")
	if n := b.n.ClientConcessions; n != nil {
		b.GaveUp = b.concessions(*n)
	}
	lacks(b.n.ClientConcessions == nil, "What the client gave up.")
	if n := b.n.VendorConcessions; n != nil {
		b.WeGaveUp = b.concessions(*n)
	}
	lacks(b.n.VendorConcessions == nil, "What we gave up.")
	b.Refused = listed(b.n.UnresolvedRequests)
	lacks(b.n.UnresolvedRequests == nil, "What the client asked for and was refused.")
	b.InCommon = listed(b.n.CommonGround)
	lacks(b.n.CommonGround == nil, "What both sides have in common.")
	if b.n.Tone != nil {
		b.Tone = "The source measured a tone of " + strconv.FormatFloat(*b.n.Tone, 'f', -1, 64) + ", where -1 is hostile and 1 is warm."
	}
	lacks(b.n.Tone == nil, "The tone.")
	lacks(b.n.Ultimatums == nil, "Whether there were ultimatums.")
	lacks(b.n.DeadlinePressure == nil, "Whether a deadline was used as pressure.")
}

// advice is what to do with what is known. It names no fact that the record does not hold.
func (b *briefing) advice() {
	if executive := clip(b.d.Owners.AccountExecutive); executive != "" {
		b.BeforeCall = append(b.BeforeCall, "Ask "+executive+", not the client, for what is not known.")
	}
	if len(b.GaveUp) > 0 {
		b.BeforeCall = append(b.BeforeCall, "Read what the contract says about what the client gave up: "+b.GaveUp[0]+" first.")
	}
	if len(b.InCommon) > 0 {
		b.FirstCall = append(b.FirstCall, "Begin with what both sides have in common: "+b.InCommon[0]+".")
	}
	b.FirstCall = append(b.FirstCall, "Ask what would make the first ninety days a success for them.")
	if len(b.Refused) > 0 {
		b.FirstCall = append(b.FirstCall, "Ask whether what was refused still matters: "+b.Refused[0]+". Find out before the call what it would cost to give.")
	}
	b.DoNot = append(b.DoNot,
		"Do not ask for a reference or a case study before "+b.d.ClosedAt.Add(ReferenceRest).UTC().Format(time.DateOnly)+".",
		"Do not open an expansion.")
	if pressed(b.n) {
		b.DoNot = append(b.DoNot, "Do not set a deadline: ultimatums or a deadline were part of this negotiation already.")
	}
}

func pressed(n *churn.Negotiation) bool {
	return n.DeadlinePressure != nil && *n.DeadlinePressure || n.Ultimatums != nil && *n.Ultimatums > 0
}

func (b *briefing) text(h churn.Hardness) string {
	var t strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&t, format+"\n", args...) }
	list := func(title string, all []string) {
		if len(all) > 0 {
			line("\n%s\n- %s", title, strings.Join(all, "\n- "))
		}
	}
	name := clip(b.d.AccountName)
	if name == "" {
		name = clip(b.d.AccountID)
	}
	closed := map[churn.Outcome]string{churn.Won: "won", churn.Lost: "lost"}[b.d.Outcome]
	line("%s: contract %s, %s on %s.", name, clip(b.d.ContractID), closed, b.d.ClosedAt.UTC().Format(time.DateOnly))
	if h.Band == churn.BandUnknown {
		line("How hard it was negotiated is not known: the record holds %.0f%% of the facts that the score asks for.", 100*h.Coverage)
	} else {
		line("Hardness %.0f of 100 (%s), from %.0f%% of the facts that the score asks for.", h.Score, h.Band, 100*h.Coverage)
	}
	if b.d.SignedPrice.Known {
		line("Signed price: %s.", money(b.d.Currency, b.d.SignedPrice))
	}
	if b.d.Anticipated.Known {
		line("What the client expected to pay: %s.", money(b.d.Currency, b.d.Anticipated))
	}
	list("Who on our side", b.People)
	if h.Band == churn.BandHard {
		list("Why it was hard", b.WhyHard)
	} else {
		list("What made it harder", b.WhyHard)
	}
	for _, part := range []struct {
		title, none string
		all         []string
		recorded    bool
	}{
		{"What the client gave up", "The record says that the client gave up nothing.", b.GaveUp, b.n.ClientConcessions != nil},
		{"What we gave up", "The record says that we gave up nothing.", b.WeGaveUp, b.n.VendorConcessions != nil},
		{"What the client asked for and was refused", "The record says that the client was refused nothing.", b.Refused, b.n.UnresolvedRequests != nil},
		{"What both sides have in common", "The record says that nothing in common was found.", b.InCommon, b.n.CommonGround != nil},
	} {
		list(part.title, part.all)
		if part.recorded && len(part.all) == 0 {
			line("\n%s", part.none)
		}
	}
	if b.Tone != "" {
		line("\n%s", b.Tone)
	}
	list("Before the first call", b.BeforeCall)
	list("In the first call", b.FirstCall)
	list("What not to do", b.DoNot)
	list("What is not known", b.NotKnown)
	return strings.TrimSuffix(t.String(), "\n")
}

// concessions names the dearest first; those without a value follow in the order of the record.
func (b *briefing) concessions(all []churn.Concession) []string {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(x, y churn.Concession) int {
		if x.Value.Known != y.Value.Known {
			if x.Value.Known {
				return -1
			}
			return 1
		}
		return y.Value.Amount.Cmp(x.Value.Amount)
	})
	var out []string
	for _, c := range all {
		term := clip(c.Term)
		switch {
		case term == "" && !c.Value.Known:
			continue
		case term == "":
			term = "something that the record does not name"
		}
		if c.Value.Known {
			term += " (" + money(b.d.Currency, c.Value) + ")"
		}
		out = append(out, term)
	}
	return bounded(out)
}

// listed is the entries of a list that was recorded; blank ones say nothing.
func listed(all *[]string) []string {
	var out []string
	if all != nil {
		for _, entry := range *all {
			if entry = clip(entry); entry != "" {
				out = append(out, entry)
			}
		}
	}
	return bounded(out)
}

func bounded(all []string) []string {
	if len(all) == 0 {
		return []string{}
	}
	if rest := len(all) - briefEntries; rest > 0 {
		return append(all[:briefEntries:briefEntries], fmt.Sprintf("and %d more", rest))
	}
	return all
}

// clip writes a source's words on one line, and not too many of them.
func clip(words string) string { return text.Cut(text.Line(words), briefClip, "...") }

// money writes "EUR 1,250.00", exactly.
func money(currency string, m churn.OptionalMoney) string {
	return strings.TrimSpace(currency + " " + text.Thousands(m.String()))
}
