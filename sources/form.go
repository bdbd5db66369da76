package sources

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/text"
)

// FormColumns are the columns of the hand-off form: which deal, and the six facts that a CRM does not hold.
var FormColumns = []string{"deal_id", "account_id", "anticipated_price", "ultimatums", "tone", "client_gave_up", "client_was_refused", "common_ground"}

// Form is one line of the hand-off form: what an account executive adds to a deal. What the line leaves empty stays as the record has it.
type Form struct {
	Line      int
	DealID    string
	AccountID string
	price     string
	ult       string
	tone      string
	lists     map[string]any // field of negotiation -> list
}

// NoneOf is what a cell holds that says that there was none, which is more than saying nothing.
const NoneOf = "none"

// ReadForm reads a CSV with FormColumns. It reads to the end and returns all that is wrong at once; a caller that sees errors should
// send nothing.
func ReadForm(r io.Reader) ([]Form, []RowError) {
	l := list{columns: FormColumns, required: FormColumns[:2]}
	var forms []Form
	seen := map[string]Form{}
	l.read(r, func(line int, f map[string]string) error {
		form := Form{Line: line, DealID: f["deal_id"], AccountID: f["account_id"], price: f["anticipated_price"], ult: f["ultimatums"], tone: f["tone"],
			lists: map[string]any{}}
		if form.DealID == "" || form.AccountID == "" {
			return errors.New("deal_id and account_id must say which deal it is")
		}
		if form.price != "" {
			if m, err := churn.Money(form.price); err != nil {
				return fmt.Errorf("anticipated_price: %w", err)
			} else if m.Units() <= 0 {
				return fmt.Errorf("anticipated_price %s is not above zero; leave the cell empty where it is not known", form.price)
			}
		}
		if form.ult == NoneOf {
			form.ult = "0"
		}
		if form.ult != "" {
			if n, err := strconv.Atoi(form.ult); err != nil || n < 0 || n > maxUltimatums {
				return fmt.Errorf("ultimatums %q is no number from 0 to %d", text.Cut(form.ult, 40, "..."), maxUltimatums)
			}
		}
		if form.tone != "" {
			if v, err := strconv.ParseFloat(form.tone, 64); err != nil || !(v >= -1 && v <= 1) || !json.Valid([]byte(form.tone)) {
				return fmt.Errorf("tone %q is no number from -1 (hostile) to 1 (warm), such as -0.5", text.Cut(form.tone, 40, "..."))
			}
		}
		for column, field := range map[string]string{"client_was_refused": "unresolved_requests", "common_ground": "common_ground"} {
			if entries := split(f[column]); entries != nil {
				all := make([]any, len(entries))
				for i, e := range entries {
					all[i] = e
				}
				form.lists[field] = all
			}
		}
		if entries := split(f["client_gave_up"]); entries != nil {
			all := make([]any, len(entries))
			for i, e := range entries {
				term, value, priced := strings.Cut(e, "=")
				concession := map[string]any{"term": strings.TrimSpace(term)}
				if priced {
					value = strings.TrimSpace(value)
					if _, err := churn.Money(value); err != nil {
						return fmt.Errorf("client_gave_up: %q is not written as term = amount: %w", text.Cut(e, 60, "..."), err)
					}
					concession["value"] = value
				}
				if concession["term"] == "" {
					return fmt.Errorf("client_gave_up: %q names no term", text.Cut(e, 60, "..."))
				}
				all[i] = concession
			}
			form.lists["client_concessions"] = all
		}
		if form.price == "" && form.ult == "" && form.tone == "" && len(form.lists) == 0 {
			return fmt.Errorf("the line says nothing about deal %s: fill in a cell or drop the line", form.DealID)
		}
		if before, twice := seen[form.DealID]; twice {
			return again("deal "+form.DealID, before.Line, before.same(form))
		}
		seen[form.DealID] = form
		forms = append(forms, form)
		return nil
	})
	return forms, l.errors
}

const maxUltimatums = 1000 // more is a price in the wrong column

func (f Form) same(g Form) bool {
	f.Line = g.Line
	return reflect.DeepEqual(f, g)
}

// split reads "a; b". Nil is an empty cell: nothing is said. "none" is an empty list: there was none.
func split(cell string) []string {
	if cell == "" {
		return nil
	}
	all := []string{}
	if strings.EqualFold(cell, NoneOf) {
		return all
	}
	for entry := range strings.SplitSeq(cell, ";") {
		if entry = strings.TrimSpace(entry); entry != "" {
			all = append(all, entry)
		}
	}
	return all
}

// Correct is the record with the form's facts in it, one revision later. Nil: the record says so already. Everything else in the record stays,
// also what this build does not know. The same form on the same record gives the same bytes, so sending it twice counts once.
func (f Form) Correct(record []byte) ([]byte, error) {
	before, err := churn.DecodeDeal(record, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("the newest record of deal %s cannot be read: %w", f.DealID, err)
	}
	value, err := parseJSON(record)
	if err != nil {
		return nil, fmt.Errorf("the newest record of deal %s cannot be read: %w", f.DealID, err)
	}
	fields := value.(map[string]any)
	negotiation, _ := fields["negotiation"].(map[string]any)
	if negotiation == nil {
		negotiation = map[string]any{}
	}
	if f.price != "" {
		fields["anticipated_price"] = f.price
	}
	if f.ult != "" {
		negotiation["ultimatums"] = json.Number(f.ult)
	}
	if f.tone != "" {
		negotiation["tone"] = json.Number(f.tone)
	}
	for field, entries := range f.lists {
		negotiation[field] = entries
	}
	if len(negotiation) > 0 {
		fields["negotiation"] = negotiation
	}
	filled, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("writing deal %s: %w", f.DealID, err)
	}
	after, err := churn.DecodeDeal(filled, time.Time{})
	if err != nil {
		return nil, err
	}
	if reflect.DeepEqual(before, after) {
		return nil, nil
	}
	fields["revision"] = json.Number(strconv.FormatInt(before.Revision+1, 10))
	fields["event_id"] = "form-" + churn.Hash(string(filled))
	return json.Marshal(fields)
}

// Filled is what became of one line of the form.
type Filled struct {
	Line      int    `json:"line"`
	DealID    string `json:"deal_id"`
	AccountID string `json:"account_id"`
	Changed   bool   `json:"changed"`
	Before    string `json:"before"` // band and score
	After     string `json:"after"`
	Value     []byte `json:"-"` // of the corrected deal
}

// Fill completes the newest record of the deal that a line names, and says what that does to its score.
func (f Form) Fill(record churn.DealRecord, score func(*churn.DealClosed) churn.Hardness) (Filled, error) {
	line := Filled{Line: f.Line, DealID: f.DealID, AccountID: f.AccountID}
	switch {
	case record.Value == nil:
		return line, fmt.Errorf("deal %s is not in the warehouse: check the id, or import it first", f.DealID)
	case record.AccountID != f.AccountID:
		return line, fmt.Errorf("deal %s belongs to account %s, not to %s", f.DealID, record.AccountID, f.AccountID)
	}
	value, err := f.Correct(record.Value)
	if err != nil {
		return line, err
	}
	line.Changed, line.Value = value != nil, value
	if !line.Changed {
		value = record.Value
	}
	for _, side := range []struct {
		value []byte
		words *string
	}{{record.Value, &line.Before}, {value, &line.After}} {
		deal, err := churn.DecodeDeal(side.value, time.Time{})
		if err != nil {
			return line, err
		}
		h := score(&deal)
		if *side.words = string(h.Band); h.Band != churn.BandUnknown {
			*side.words = fmt.Sprintf("%s %.0f", h.Band, h.Score)
		}
	}
	return line, nil
}

// DealIDs are the deals that forms name.
func DealIDs(forms []Form) []string {
	ids := make([]string, len(forms))
	for i, f := range forms {
		ids[i] = f.DealID
	}
	return ids
}

// FillAll completes the deals of all lines. Where any line is wrong, be it by itself or by its deal, it tells of all that are.
func FillAll(forms []Form, wrong []RowError, deals map[string]churn.DealRecord, score func(*churn.DealClosed) churn.Hardness) (lines []Filled, err error) {
	for _, f := range forms {
		line, err := f.Fill(deals[f.DealID], score)
		if err != nil {
			wrong = append(wrong, RowError{Line: f.Line, Reason: err.Error()})
			continue
		}
		lines = append(lines, line)
	}
	slices.SortFunc(wrong, func(a, b RowError) int { return a.Line - b.Line })
	for _, e := range wrong {
		err = errors.Join(err, e)
	}
	return lines, err
}
