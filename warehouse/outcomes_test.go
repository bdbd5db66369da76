package warehouse

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestOutcomes: what became of each term, as the deals known now say. An end is so far away that it is open, or long past.
func TestOutcomes(t *testing.T) {
	w := open(t)
	f := newFeed(t, w)
	f.store(parseFacts(t, `
		deal 2024-01-01 {"deal_id":"same-1","contract_id":"same","account_id":"a","closed_at":"2023-01-01","ends_at":"2024-01-01"}
		deal 2024-01-01 {"deal_id":"same-2","contract_id":"same","account_id":"a","closed_at":"2023-12-20","ends_at":"2180-01-01","deal_type":"renewal"}
		deal 2024-01-01 {"deal_id":"old","account_id":"a","closed_at":"2023-01-01","ends_at":"2024-01-01"}
		deal 2024-01-01 {"deal_id":"next","account_id":"a","closed_at":"2024-02-01","ends_at":"2180-01-01","deal_type":"renewal","renewal_of":"old"}
		deal 2024-01-01 {"deal_id":"gone","account_id":"b","closed_at":"2023-01-01","ends_at":"2024-01-01"}
		deal 2024-01-01 {"deal_id":"gone-lost","account_id":"b","closed_at":"2023-11-01","deal_type":"renewal","outcome":"lost","renewal_of":"gone"}
		deal 2024-01-01 {"deal_id":"lost-under-its-own","contract_id":"back","account_id":"b","closed_at":"2023-05-01","deal_type":"renewal","outcome":"lost"}
		deal 2024-01-01 {"deal_id":"back-1","contract_id":"back","account_id":"b","closed_at":"2023-01-01","ends_at":"2023-06-01"}
		deal 2024-01-01 {"deal_id":"back-2","contract_id":"back","account_id":"b","closed_at":"2023-07-01","ends_at":"2180-06-01"}
		deal 2024-01-01 {"deal_id":"forgotten","account_id":"c","closed_at":"2022-01-01","ends_at":"2023-01-01"}
		deal 2024-01-01 {"deal_id":"too-late","account_id":"c","closed_at":"2023-06-01","deal_type":"renewal","outcome":"lost","renewal_of":"forgotten"}
		deal 2024-01-01 {"deal_id":"less","account_id":"d","closed_at":"2023-01-01","ends_at":"2180-01-01"}
		deal 2024-01-01 {"deal_id":"less-1","contract_id":"less","account_id":"d","closed_at":"2023-05-01","deal_type":"downgrade"}
		deal 2024-01-01 {"deal_id":"less-2","contract_id":"less","account_id":"d","closed_at":"2023-04-01","deal_type":"downgrade"}
		deal 2024-01-01 {"deal_id":"less-3","contract_id":"less","account_id":"d","closed_at":"2023-03-01","deal_type":"expansion"}
		deal 2024-01-01 {"deal_id":"moved","account_id":"e","closed_at":"2023-01-01","ends_at":"2024-01-01"}
		deal 2024-01-01 {"deal_id":"moved-lost","contract_id":"moved","account_id":"e","closed_at":"2023-09-01","deal_type":"renewal","outcome":"lost"}
		deal 2024-01-02 {"deal_id":"moved-lost","contract_id":"moved","account_id":"e","closed_at":"2023-10-01","deal_type":"renewal","outcome":"lost","revision":1}
		deal 2024-01-01 {"deal_id":"prospect","account_id":"f","closed_at":"2023-01-01","outcome":"lost"}`)...)
	f.update()
	terms, err := w.Terms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range terms {
		date := func(at time.Time) string {
			if at.IsZero() {
				return "-"
			}
			return at.Format(time.DateOnly)
		}
		got = append(got, fmt.Sprint(x.DealID, " ", x.Fate, " over ", date(x.OverAt), ", downgraded ", date(x.DowngradedAt), ", ended badly ", date(x.EndedBadly())))
	}
	want := []string{
		"next open over -, downgraded -, ended badly -",
		"old renewed over 2024-02-01, downgraded -, ended badly -",
		"same-1 renewed over 2023-12-20, downgraded -, ended badly -",
		"same-2 open over -, downgraded -, ended badly -",
		"back-1 churned over 2023-05-01, downgraded -, ended badly 2023-05-01",
		"back-2 open over -, downgraded -, ended badly -",
		"gone churned over 2023-11-01, downgraded -, ended badly 2023-11-01",
		"forgotten lapsed over 2023-04-01, downgraded -, ended badly -",
		"less open over -, downgraded 2023-04-01, ended badly 2023-04-01",
		"moved churned over 2023-10-01, downgraded -, ended badly 2023-10-01",
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(got, "\n")); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}
