package warehouse

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aftershock/aftershock/churn"
)

// bruteForce says what links must be, from the events alone and by the plainest reading of the definition. It shares no
// code with the links but the decoding of events.
type bruteForce struct {
	deals   []bruteDeal
	tickets []bruteTicket
}

type bruteDeal struct {
	churn.DealClosed
	order churn.Order
	known time.Time
}

type bruteTicket struct {
	churn.SupportTicket
	order churn.Order
	known time.Time
}

func (b *bruteForce) add(t testing.TB, facts []fact) {
	for _, x := range facts {
		hash := sha256.Sum256([]byte(x.value))
		if x.kind == "deal" {
			d, err := churn.DecodeDeal([]byte(x.value), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			b.deals = append(b.deals, bruteDeal{d, churn.Order{Revision: d.Revision, OccurredAt: d.OccurredAt, EventID: d.EventID, Hash: hash}, x.knownAt})
			continue
		}
		k, err := churn.DecodeTicket([]byte(x.value), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		b.tickets = append(b.tickets, bruteTicket{k, churn.Order{Revision: k.Revision, OccurredAt: k.OccurredAt, EventID: k.EventID, Hash: hash}, x.knownAt})
	}
}

// rowsAt returns the deals, attempts, links and unmatched attempts as known at an instant, as sorted lines.
func (b *bruteForce) rowsAt(known time.Time) string {
	deals := map[string]bruteDeal{}
	for _, d := range b.deals {
		if old, ok := deals[d.DealID]; !d.known.After(known) && (!ok || d.order.Compare(old.order) > 0) {
			deals[d.DealID] = d
		}
	}
	tickets := map[string]bruteTicket{}
	for _, k := range b.tickets {
		if old, ok := tickets[k.TicketID]; !k.known.After(known) && (!ok || k.order.Compare(old.order) > 0) {
			tickets[k.TicketID] = k
		}
	}
	var out []string
	for _, d := range deals {
		out = append(out, fmt.Sprintf("%s deal %s %s %s", d.AccountID, d.ContractID, d.DealID, d.EventID))
	}
	for _, k := range tickets {
		if k.Category == "attempt" {
			out = append(out, fmt.Sprintf("%s attempt %s %s", k.AccountID, k.TicketID, k.EventID))
		}
	}
	for _, k := range tickets {
		if k.Category != "attempt" {
			continue
		}
		contracts := map[string]bool{}
		for _, d := range deals {
			if d.AccountID == k.AccountID && d.Outcome == churn.Won {
				contracts[d.ContractID] = true
			}
		}
		basis := "account"
		if contracts[k.ContractID] {
			basis = "contract"
			contracts = map[string]bool{k.ContractID: true}
		}
		matched := false
		for c := range contracts {
			base, ok := bruteBase(deals, k.AccountID, c, k.OpenedAt)
			if ok && k.OpenedAt.Before(bruteEnd(base).AddDate(0, 0, 90)) && !bruteLost(deals, base, k.OpenedAt) {
				matched = true
				out = append(out, fmt.Sprintf("%s %s %s %s %.6f %s", k.AccountID, c, base.DealID, k.TicketID, k.OpenedAt.Sub(base.ClosedAt).Hours()/24, basis))
			}
		}
		if !matched {
			out = append(out, fmt.Sprintf("%s unmatched %s", k.AccountID, k.TicketID))
		}
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}

// bruteBase sorts a contract's won deals closed by then and takes the last, new and renewal deals behind all others.
func bruteBase(deals map[string]bruteDeal, account, contract string, by time.Time) (bruteDeal, bool) {
	var won []bruteDeal
	for _, d := range deals {
		if d.AccountID == account && d.ContractID == contract && d.Outcome == churn.Won && !d.ClosedAt.After(by) {
			won = append(won, d)
		}
	}
	sort.Slice(won, func(i, j int) bool {
		a, b := won[i], won[j]
		firstClass := func(d bruteDeal) bool { return d.Type == "new" || d.Type == "renewal" }
		if firstClass(a) != firstClass(b) {
			return firstClass(b)
		}
		if !a.ClosedAt.Equal(b.ClosedAt) {
			return a.ClosedAt.Before(b.ClosedAt)
		}
		return a.DealID < b.DealID
	})
	if len(won) == 0 {
		return bruteDeal{}, false
	}
	return won[len(won)-1], true
}

func bruteEnd(d bruteDeal) time.Time {
	if !d.EndsAt.IsZero() {
		return d.EndsAt
	}
	if d.TermMonths == 0 {
		return d.ClosedAt.AddDate(0, 0, 365)
	}
	end := d.ClosedAt.AddDate(0, d.TermMonths, 0)
	for end.Day() != d.ClosedAt.Day() { // Go ran over the end of the month: step back to its last day
		end = end.AddDate(0, 0, -1)
		if end.Day() >= 28 {
			break
		}
	}
	return end
}

func bruteLost(deals map[string]bruteDeal, base bruteDeal, by time.Time) bool {
	for _, d := range deals {
		of := d.ContractID == base.ContractID || d.RenewalOf == base.ContractID
		after := d.ClosedAt.After(base.ClosedAt) || d.ClosedAt.Equal(base.ClosedAt) && d.DealID > base.DealID
		if d.AccountID == base.AccountID && of && d.Outcome == churn.Lost && d.Type == churn.DealRenewal && after && d.ClosedAt.Before(by) {
			return true
		}
	}
	return false
}

// drawFact makes one event out of few accounts, ids, contracts and days, so that they collide.
func drawFact(t *rapid.T, prefix string, n int, known time.Time) fact {
	day := func(name string) time.Time {
		return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 30*rapid.IntRange(0, 9).Draw(t, name)) // few, so that they coincide
	}
	id := func(name string, most int) string {
		return fmt.Sprintf("%s%d", name, rapid.IntRange(0, most).Draw(t, name))
	}
	common := fmt.Sprintf(`"event_id":"%s-e%d","account_id":"%s-%s","revision":%d,"occurred_at":"%s"`,
		prefix, n, prefix, id("a", 1), rapid.IntRange(0, 2).Draw(t, "revision"), day("occurred").Format(time.RFC3339))
	contract := rapid.SampledFrom([]string{"", `,"contract_id":"c0"`, `,"contract_id":"c1"`, `,"contract_id":"nobody"`}).Draw(t, "contract")
	if rapid.Bool().Draw(t, "ticket") {
		return fact{"ticket", known, fmt.Sprintf(`{%s,"ticket_id":"%s-%s","opened_at":"%s","category":"%s"%s}`, common, prefix, id("t", 3),
			day("opened").Format(time.RFC3339), rapid.SampledFrom([]string{"attempt", "attempt", "question"}).Draw(t, "category"), contract)}
	}
	term := rapid.SampledFrom([]string{"", `,"term_months":1`, `,"term_months":6`}).Draw(t, "term")
	kind := rapid.SampledFrom([]string{"new", "renewal", "renewal", "expansion", "downgrade"}).Draw(t, "type")
	outcome := rapid.SampledFrom([]string{"won", "won", "won", "lost"}).Draw(t, "outcome")
	renewal := rapid.SampledFrom([]string{"", "", `,"renewal_of":"c0"`}).Draw(t, "renewal_of")
	band := rapid.SampledFrom([]string{"hard", "soft"}).Draw(t, "band")
	return fact{"deal", known, fmt.Sprintf(`{%s,"deal_id":"%s-%s","closed_at":"%s","deal_type":"%s","outcome":"%s","currency":"USD","signed_price":1000,"segment":"%s"%s%s%s}`,
		common, prefix, id("d", 4), day("closed").Format(time.RFC3339), kind, outcome, band, contract, term, renewal)}
}

// Random histories in random batches, with duplicates and with the links reopened between, end in the rows that brute force over
// the events gives, at every instant; and what contract_signals said of an instant then, it says for ever.
func TestLinksEqualBruteForce(t *testing.T) {
	if err := flag.Set("rapid.checks", "40"); err != nil {
		t.Fatal(err)
	}
	w := open(t)
	f := newFeed(t, w)
	u := f.openLinks()
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		prefix := fmt.Sprintf("r%d", round)
		history := rapid.Bool().Draw(rt, "history arrives out of order")
		known := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
		var all []fact
		brute := &bruteForce{}
		said := map[time.Time]string{}
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			known = known.Add(time.Hour)
			var batch []fact
			for range rapid.IntRange(1, 6).Draw(rt, "records") {
				at := known
				if history {
					at = known.Add(-time.Duration(rapid.IntRange(0, 8).Draw(rt, "earlier")) * 30 * time.Minute)
				}
				batch = append(batch, drawFact(rt, prefix, len(all)+len(batch), at))
			}
			if len(all) > 0 && rapid.Bool().Draw(rt, "duplicate") {
				batch = append(batch, rapid.SampledFrom(all).Draw(rt, "copy"))
			}
			all = append(all, batch...)
			brute.add(t, batch)
			f.store(batch...)
			if rapid.Bool().Draw(rt, "restart") {
				u = f.openLinks()
			}
			if r := f.takenBy(u); len(r.Rewound) > 0 {
				rt.Fatalf("taken in again, though no topic was made anew: %v", r.Rewound)
			}
			if !history {
				said[known] = signals(t, w, prefix, known)
			}
		}
		for at := range instantsOf(all) {
			if diff := cmp.Diff(brute.rowsAt(at), storedRows(t, w, prefix+"-", at)); diff != "" {
				rt.Fatalf("rows as known at %s (-brute force +stored):\n%s", at, diff)
			}
		}
		for at, then := range said {
			if diff := cmp.Diff(then, signals(t, w, prefix, at)); diff != "" {
				rt.Fatalf("contract_signals(%s) (-said then +says now):\n%s", at, diff)
			}
		}
	})
}

// contractsReopened counts, link by link, what contract_attempts counts without writing the links out.
const contractsReopened = `
	SELECT account_id, contract_id,
		countIf(attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 30 DAY) AS attempts_30d,
		countIf(attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY) AS attempts_90d,
		countIf(attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 180 DAY) AS attempts_180d,
		count() AS attempts_total,
		countIf(has(strengths, 'strong') AND attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY) AS strong_attempts_90d,
		toNullable(min(lag_days)) AS first_attempt_lag_days,
		toNullable(max(attempt_at)) AS last_attempt_at,
		arraySort(groupUniqArrayArrayIf(classes, attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY)) AS classes_90d
	FROM links_at(at = {at:DateTime64(3, 'UTC')}) GROUP BY account_id, contract_id`

// A large account is not written out link by link, and counted as if it were.
func TestContractsAreReopenedAsOftenAsTheirLinksSay(t *testing.T) {
	if err := flag.Set("rapid.checks", "15"); err != nil {
		t.Fatal(err)
	}
	w := open(t)
	f := newFeed(t, w)
	u := f.openLinks()
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	round, counted := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		day := func(name string, most int) time.Time {
			return start.Add(time.Duration(rapid.IntRange(0, most).Draw(rt, name)) * 12 * time.Hour)
		}
		var facts []fact
		for i := range rapid.IntRange(1, 12).Draw(rt, "deals") {
			closed := day("closed", 500)
			facts = append(facts, fact{"deal", closed.Add(time.Hour), fmt.Sprintf(`{"event_id":"k%d-d%d","deal_id":"k%d-d%d","account_id":"k%d","contract_id":"c%d","closed_at":"%s","deal_type":"%s","outcome":"%s","currency":"USD","signed_price":1000,"term_months":%d}`,
				round, i, round, rapid.IntRange(0, 9).Draw(rt, "deal"), round, rapid.IntRange(0, 4).Draw(rt, "contract"), closed.Format(time.RFC3339),
				rapid.SampledFrom([]string{"new", "renewal", "expansion"}).Draw(rt, "type"), rapid.SampledFrom([]string{"won", "won", "won", "lost"}).Draw(rt, "outcome"), rapid.IntRange(1, 9).Draw(rt, "term"))})
		}
		for i := range rapid.IntRange(1, 40).Draw(rt, "tickets") {
			opened := day("opened", 500)
			subject := rapid.SampledFrom([]string{"", "downgrade weak", "early_termination strong", "reference_refused medium"}).Draw(rt, "asks")
			contract := rapid.SampledFrom([]string{"", "", "c0", "c1", "nobody"}).Draw(rt, "names")
			facts = append(facts, fact{"ticket", opened.Add(time.Hour), fmt.Sprintf(`{"event_id":"k%d-t%d","ticket_id":"k%d-t%d","account_id":"k%d","opened_at":"%s","category":"attempt","subject":%q,"contract_id":%q}`,
				round, i, round, i, round, opened.Format(time.RFC3339), subject, contract)})
		}
		f.store(facts...)
		f.takenBy(u)
		for range 4 {
			at := day("as of", 600)
			ask := func(rows string) string {
				return lines(t, w, fmt.Sprintf(`SELECT toString(tuple(account_id, contract_id, attempts_30d, attempts_90d, attempts_180d, attempts_total, strong_attempts_90d,
					first_attempt_lag_days, last_attempt_at, classes_90d)) FROM (%s) WHERE account_id = 'k%d' AND attempts_total > 0 ORDER BY contract_id`, rows, round), at)
			}
			want := ask(contractsReopened)
			if diff := cmp.Diff(want, ask("SELECT * FROM contract_attempts(at = {at:DateTime64(3, 'UTC')})")); diff != "" {
				rt.Fatalf("contract_attempts(%s) (-link by link +counted):\n%s", at, diff)
			}
			counted += strings.Count(want, "\n")
		}
	})
	if counted == 0 {
		t.Error("nothing was reopened")
	}
}

func storedRows(t testing.TB, w *Warehouse, prefix string, at time.Time) string {
	const text = `SELECT line FROM (
		SELECT account_id, format('{} deal {} {} {}', account_id, contract_id, deal_id, event_id) AS line
		FROM deal_versions FINAL WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}
		UNION ALL
		SELECT account_id, format('{} attempt {} {}', account_id, ticket_id, event_id) AS line
		FROM attempt_versions FINAL WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}
		UNION ALL
		SELECT account_id, printf('%%s %%s %%s %%s %%.6f %%s', account_id, contract_id, deal_id, ticket_id, lag_days, basis) AS line
		FROM ` + linksKnown + `
		UNION ALL
		SELECT account_id, printf('%%s unmatched %%s', account_id, ticket_id) AS line
		FROM unmatched_versions FINAL WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}
	) WHERE startsWith(account_id, '%s') ORDER BY line`
	return strings.TrimRight(lines(t, w, fmt.Sprintf(text, prefix), at), "\n")
}

func signals(t testing.TB, w *Warehouse, prefix string, at time.Time) string {
	const text = `SELECT toString(tuple(account_id, contract_id, deal_id, band, in_force, attempts_90d, attempts_total, arr, first_attempt_lag_days, last_attempt_at))
		FROM contract_signals(at = {at:DateTime64(3, 'UTC')}) WHERE startsWith(account_id, '%s-') ORDER BY account_id, contract_id`
	return lines(t, w, fmt.Sprintf(text, prefix), at)
}
