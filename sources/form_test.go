package sources

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
)

const formHead = "deal_id,account_id,anticipated_price,ultimatums,tone,client_gave_up,client_was_refused,common_ground\n"

func TestReadFormReportsEveryBadLine(t *testing.T) {
	const lines = formHead +
		"D-1,A-1,100000,2,-0.6,seats,none,\n" +
		",A-1,1,,,,,\n" +
		"D-3,A-1,1.234.5,,,,,\n" +
		"D-4,A-1,0,,,,,\n" +
		"D-5,A-1,,two,,,,\n" +
		"D-6,A-1,,,-1.5,,,\n" +
		"D-7,A-1,,,NaN,,,\n" +
		"D-8,A-1,,,,seats = many,,\n" +
		"D-9,A-1,,,,= 100,,\n" +
		"D-10,A-1,,,,,,\n" +
		"D-1,A-1,100000,2,-0.6,seats,none,\n" +
		"D-1,A-1,90000,2,-0.6,seats,none,\n" +
		"D-11,A-1,5\n"
	forms, wrong := ReadForm(strings.NewReader(lines))
	want := []struct {
		line   int
		reason string
	}{
		{3, "deal_id and account_id must say which deal it is"},
		{4, "anticipated_price: "},
		{5, "is not above zero"},
		{6, `ultimatums "two" is no number from 0 to 1000`},
		{7, `tone "-1.5" is no number from -1 (hostile) to 1 (warm)`},
		{8, `tone "NaN"`},
		{9, `client_gave_up: "seats = many" is not written as term = amount`},
		{10, "names no term"},
		{11, "the line says nothing about deal D-10"},
		{12, "deal D-1 stands in line 2 already"},
		{13, "and says something else there"},
		{14, ""},
	}
	if len(wrong) != len(want) || len(forms) != 1 {
		t.Fatalf("%d forms, wrong: %v", len(forms), wrong)
	}
	for i, w := range want {
		if wrong[i].Line != w.line || !strings.Contains(wrong[i].Reason, w.reason) {
			t.Errorf("want line %d: %s\ngot  %v", w.line, w.reason, wrong[i])
		}
	}
	if _, wrong := ReadForm(strings.NewReader("deal_id,account_id,tones\nD-1,A-1,1\n")); len(wrong) != 1 || !strings.Contains(wrong[0].Reason, `column "tones" is unknown`) {
		t.Errorf("a misspelt column: %v", wrong)
	}
}

// TestTheTemplate: the form that ships can be read, and is the one that the page shows.
func TestTheTemplate(t *testing.T) {
	text, err := os.ReadFile("../deploy/mappings/form/handoff-form.csv")
	if err != nil {
		t.Fatal(err)
	}
	forms, wrong := ReadForm(bytes.NewReader(text))
	if len(wrong) > 0 || len(forms) != 2 {
		t.Fatalf("%d forms, wrong: %v", len(forms), wrong)
	}
	if page, err := os.ReadFile("../docs/handoff-form.md"); err != nil || !bytes.Contains(page, text) {
		t.Errorf("docs/handoff-form.md shows another form (%v)", err)
	}
}

func TestCorrect(t *testing.T) {
	const record = `{"event_id":"e","deal_id":"D-1","account_id":"A-1","closed_at":"2026-01-31T10:00:00Z","currency":"EUR","signed_price":120000.5000,
		"revision":3,"our_own_field":{"kept":[1,2.50]},"negotiation":{"rounds":14,"tone":0.2,"vendor_concessions":[]}}`
	form := func(line string) Form {
		t.Helper()
		forms, wrong := ReadForm(strings.NewReader(formHead + line + "\n"))
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		return forms[0]
	}
	f := form("D-1,A-1,100000.00,2,-0.6,payment terms = 9000; seats,none,joint plan; shared criteria")
	value, err := f.Correct([]byte(record))
	if err != nil {
		t.Fatal(err)
	}
	d, err := churn.DecodeDeal(value, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	n := d.Negotiation
	if d.Revision != 4 || d.EventID == "e" || d.Anticipated != churn.MustMoney("100000.00") || *n.Ultimatums != 2 || *n.Tone != -0.6 || *n.Rounds != 14 {
		t.Errorf("the deal became %s", value)
	}
	if gave := *n.ClientConcessions; len(gave) != 2 || gave[0].Term != "payment terms" || gave[0].Value != churn.MustMoney("9000") || gave[1].Value.Known {
		t.Errorf("what the client gave up became %v", gave)
	}
	if n.UnresolvedRequests == nil || len(*n.UnresolvedRequests) != 0 || len(*n.CommonGround) != 2 || n.VendorConcessions == nil {
		t.Errorf(`"none" is an empty list, which differs from nothing said: %s`, value)
	}
	if !bytes.Contains(value, []byte(`"our_own_field":{"kept":[1,2.50]}`)) || !bytes.Contains(value, []byte("120000.5000")) {
		t.Errorf("what the form does not name must stay as it was: %s", value)
	}
	if again, err := f.Correct([]byte(record)); err != nil || !bytes.Equal(again, value) {
		t.Errorf("the same form made %s\nand then %s (%v)", value, again, err)
	}
	if twice, err := f.Correct(value); err != nil || twice != nil {
		t.Errorf("the same form on what it made: %s, %v", twice, err)
	}
	if other, err := form("D-1,A-1,100000,,,,,").Correct(value); err != nil || other != nil {
		t.Errorf("100000 is 100000.00: %s, %v", other, err)
	}
	if empty, err := form("D-1,A-1,,0,,,,").Correct([]byte(`{"event_id":"e","deal_id":"D-1","account_id":"A-1","closed_at":"2026-01-31T10:00:00Z","currency":"EUR","signed_price":1}`)); err != nil ||
		!bytes.Contains(empty, []byte(`"negotiation":{"ultimatums":0}`)) || !bytes.Contains(empty, []byte(`"revision":1`)) {
		t.Errorf("a deal of which nothing was known: %s, %v", empty, err)
	}
}
