package attempts

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/aftershock/aftershock/testservers/dataset"
)

// intentTally counts one intent's lines, how many were flagged, and as what.
type intentTally struct {
	intent  string
	n, hits int
	classes map[string]int
	example string
}

func tallyIntents(lines [][2]string) []intentTally {
	at := map[string]int{}
	var out []intentTally
	for _, l := range lines {
		i, ok := at[l[1]]
		if !ok {
			i = len(out)
			at[l[1]] = i
			out = append(out, intentTally{intent: l[1], classes: map[string]int{}})
		}
		out[i].n++
		if got, _ := classesOf(l[0]); len(got) > 0 {
			out[i].hits++
			out[i].example = l[0]
			for _, k := range got {
				out[i].classes[k]++
			}
		}
	}
	slices.SortStableFunc(out, func(a, b intentTally) int { return b.hits - a.hits })
	return out
}

func TestFalseAlarmsOnClinc150(t *testing.T) {
	var sets map[string][][2]string
	if err := json.Unmarshal(dataset.Read(t, "clinc150", "train.json"), &sets); err != nil {
		t.Fatal(err)
	}
	var lines [][2]string
	for _, set := range slices.Sorted(maps.Keys(sets)) {
		lines = append(lines, sets[set]...)
	}
	n, hits := 0, 0
	for i, x := range tallyIntents(lines) {
		n, hits = n+x.n, hits+x.hits
		if i < 12 && x.hits > 0 {
			t.Logf("%-25s %3d of %3d %v, such as %q", x.intent, x.hits, x.n, x.classes, x.example)
		}
	}
	share := float64(hits) / float64(n)
	t.Logf("clinc150: %d of %d messages flagged (%.2f%%)", hits, n, 100*share)
	if share > 0.005 {
		t.Errorf("%.2f%% of unrelated messages flagged, want at most 0.5%%", 100*share)
	}
}

// alike are the intents of banking77 that a person would also call a dispute about a charge, a refund or an exit.
var alike = []string{
	"transaction_charged_twice", "card_payment_fee_charged", "cash_withdrawal_charge", "extra_charge_on_statement", "transfer_fee_charged",
	"terminate_account", "card_payment_wrong_exchange_rate", "wrong_exchange_rate_for_cash_withdrawal", "wrong_amount_of_cash_received",
	"exchange_charge", "direct_debit_payment_not_recognised", "card_payment_not_recognised", "cash_withdrawal_not_recognised",
	"request_refund", "top_up_by_card_charge", "top_up_by_bank_transfer_charge",
}

func TestFalseAlarmsOnBanking77(t *testing.T) {
	f := dataset.Read(t, "banking77", "train.csv")
	rows, err := csv.NewReader(bytes.NewReader(f)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var lines [][2]string
	for _, r := range rows[1:] {
		lines = append(lines, [2]string{r[0], r[1]})
	}
	var n, hits, likeN, likeHits int
	for _, x := range tallyIntents(lines) {
		if slices.Contains(alike, x.intent) {
			likeN, likeHits = likeN+x.n, likeHits+x.hits
		} else {
			n, hits = n+x.n, hits+x.hits
		}
		if x.hits > 0 {
			t.Logf("%-40s %3d of %3d %v, such as %q", x.intent, x.hits, x.n, x.classes, x.example)
		}
	}
	share := float64(hits) / float64(n)
	t.Logf("banking77, intents like ours: %d of %d messages flagged (%.1f%%)", likeHits, likeN, 100*float64(likeHits)/float64(likeN))
	t.Logf("banking77, other intents: %d of %d messages flagged (%.2f%%)", hits, n, 100*share)
	if share > 0.01 {
		t.Errorf("%.2f%% of unrelated messages flagged, want at most 1%%", 100*share)
	}
}
