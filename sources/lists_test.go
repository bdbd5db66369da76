package sources

import (
	"fmt"
	"strings"
	"testing"
)

func TestReadOwners(t *testing.T) {
	owners, faults := ReadOwners(strings.NewReader("team,account_id,account_executive,account_manager,known_at\n" +
		"East, A-1 ,Ada,,\nWest,A-1,Ada,Bob,2026-01-01\n,A-2,,Eve,2026-01-01T09:00:00+01:00\n"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	var got []string
	for _, o := range owners {
		got = append(got, fmt.Sprintf("%d %s %s/%s/%s %s", o.Line, o.AccountID, o.AccountExecutive, o.AccountManager, o.Team, o.KnownAt.Format("2006-01-02T15")))
	}
	want := "2 A-1 Ada//East 0001-01-01T00\n3 A-1 Ada/Bob/West 2026-01-01T00\n4 A-2 /Eve/ 2026-01-01T08"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

func TestReadRates(t *testing.T) {
	rates, faults := ReadRates(strings.NewReader("\uFEFFcurrency,rate,valid_from\nUSD,0.91500000,2026-01-01\nUSD,0.92,2026-02-01\nJPY,0.00610001,2026-01-01\n"))
	if len(faults) > 0 || len(rates) != 3 || rates[2].Rate.String() != "0.00610001" || rates[1].ValidFrom.Format("2006-01-02") != "2026-02-01" || rates[2].Line != 4 {
		t.Errorf("got %+v %v", rates, faults)
	}
}

func TestBadLists(t *testing.T) {
	owners := func(s string) []RowError { _, e := ReadOwners(strings.NewReader(s)); return e }
	rates := func(s string) []RowError { _, e := ReadRates(strings.NewReader(s)); return e }
	for _, c := range []struct {
		name string
		read func(string) []RowError
		text string
		want string
	}{
		{"empty", owners, "", "line 1: the file is empty: its first line must name the columns"},
		{"misspelt", owners, "account_id,acount_manager\nA,B\n", `line 1: column "acount_manager" is unknown; the columns are account_id, account_executive, account_manager, team, known_at`},
		{"missing column", owners, "team\nEast\n", "line 1: column account_id is missing"},
		{"all at once", owners, "account_id,team,known_at\n,East,\nA-1,,\nA-1,East,yesterday\nA-2\nA-3,East,\nA-3,West,\nA-3,East,\n", `line 2: account_id is empty
line 3: nobody is named for account A-1: give account_executive, account_manager or team
line 4: known_at: "yesterday" is no time: write 2026-01-31, 2026-01-31 09:30:00 or RFC 3339, year first
line 5: the row has 1 fields, the header 3
line 7: account A-3 stands in line 6 already, and says something else there
line 8: account A-3 stands in line 6 already`},
		{"broken quotes", owners, "account_id,team\nA-1,East\n\"A\"-2,East\n", `line 3: line 3: the quoting is broken`},
		{"rates", rates, "currency,rate,valid_from\nusd,1,2026-01-01\nEUR,0,2026-01-01\nEUR,-1,2026-01-01\nEUR,\"1,1\",2026-01-01\nEUR,1.123456789,2026-01-01\n" +
			"EUR,12345678901,2026-01-01\nEUR,1,01/02/2026\nUSD,1,2026-01-01\nUSD,1.0,2026-01-01\nUSD,2,2026-01-01\n", `line 2: "usd" is not a currency of ISO 4217, such as EUR
line 3: rate "0" is not a number above zero with at most 10 digits before and 8 after the point
line 4: rate "-1" is not
line 5: rate "1,1" is not
line 6: rate "1.123456789" is not
line 7: rate "12345678901" is not
line 8: valid_from: "01/02/2026" is no time: write 2026-01-31, 2026-01-31 09:30:00 or RFC 3339, year first
line 10: USD from 2026-01-01 stands in line 9 already
line 11: USD from 2026-01-01 stands in line 9 already, and says something else there`},
	} {
		faults := c.read(c.text)
		want := strings.Split(c.want, "\n")
		if len(faults) != len(want) {
			t.Errorf("%s: got %v", c.name, faults)
			continue
		}
		for i := range want {
			if !strings.HasPrefix(faults[i].Error(), want[i]) {
				t.Errorf("%s: got %q, want %q", c.name, faults[i], want[i])
			}
		}
	}
}
