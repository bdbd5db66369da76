package simulate

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/aftershock/aftershock/churn"
)

// rotation goes through the ways in which a record can be broken, so that even few broken records show most of them.
type rotation struct{ deals, tickets int }

var (
	ticketBreakages = []churn.Code{
		churn.CodeMissingField, churn.CodeMalformedJSON, churn.CodeWrongType, churn.CodeBadTime, churn.CodeEmptyValue, churn.CodeBadValue,
		churn.CodeInvalidUTF8, churn.CodeDuplicateKey, churn.CodeTimeOutOfRange, churn.CodeUnsupportedSchema,
	}
	dealBreakages = append([]churn.Code{churn.CodeBadMoney, churn.CodeBadInterval}, ticketBreakages...)
)

// tooLongAt is the broken record of each kind whose text is too long: one of each, since they are large.
const tooLongAt = 14

func (b *rotation) next(kind Kind) churn.Code {
	n, codes := &b.deals, dealBreakages
	if kind == Ticket {
		n, codes = &b.tickets, ticketBreakages
	}
	at := *n
	*n++
	if at == tooLongAt {
		return churn.CodeTextTooLong
	}
	return codes[at%len(codes)]
}

// breakage replaces one field; an empty raw removes it.
type breakage struct{ field, raw string }

// breakages are the ways in which one field makes a record be refused with a code, besides those that breakValue knows for
// the value as a whole.
var breakages = map[Kind]map[churn.Code][]breakage{
	Deal: {
		churn.CodeMissingField:      {{"account_id", ""}, {"deal_id", ""}, {"closed_at", "null"}, {"event_id", `""`}},
		churn.CodeWrongType:         {{"closed_at", "1718031600"}, {"term_months", `"12"`}, {"owners", `"Sales"`}, {"negotiation", `[]`}},
		churn.CodeBadValue:          {{"currency", `"EURO"`}, {"outcome", `"pending"`}, {"signed_price", `"-4000.00"`}, {"negotiation", `{"tone":7}`}},
		churn.CodeBadMoney:          {{"signed_price", `"1.234,56"`}, {"list_price", "1234567890123456789"}, {"annual_value", "0.00001"}},
		churn.CodeBadTime:           {{"closed_at", `"31.12.2024 17:00"`}, {"closed_at", `"2024-02-30T10:00:00Z"`}, {"occurred_at", `"yesterday"`}},
		churn.CodeTimeOutOfRange:    {{"closed_at", `"0224-05-06T09:00:00Z"`}, {"closed_at", `"9999-12-31T23:59:59Z"`}},
		churn.CodeBadInterval:       {{"ends_at", `"1999-12-31T00:00:00Z"`}},
		churn.CodeUnsupportedSchema: {{"schema_version", "7"}},
		churn.CodeTextTooLong:       {{"account_name", `"` + strings.Repeat("x", churn.MaxText+1) + `"`}},
	},
	Ticket: {
		churn.CodeMissingField:      {{"account_id", ""}, {"ticket_id", ""}, {"opened_at", "null"}, {"event_id", `""`}},
		churn.CodeWrongType:         {{"opened_at", "1718031600"}, {"outage_related", `"no"`}, {"tags", `"bug"`}, {"body", "false"}},
		churn.CodeBadValue:          {{"comments", `[{"from":"robot","text":"ping"}]`}, {"revision", "9223372036854775808"}},
		churn.CodeBadTime:           {{"opened_at", `"31.12.2024 17:00"`}, {"opened_at", `"2025-06-01 08:15:00"`}, {"occurred_at", `"yesterday"`}},
		churn.CodeTimeOutOfRange:    {{"opened_at", `"0224-05-06T09:00:00Z"`}, {"opened_at", `"1899-12-30T00:00:00Z"`}},
		churn.CodeUnsupportedSchema: {{"schema_version", "7"}},
		churn.CodeTextTooLong:       {{"body", `"` + strings.Repeat("x", churn.MaxText+1) + `"`}},
	},
}

// breakValue breaks a good value so that it must be refused with the code; turn chooses among several ways.
func breakValue(kind Kind, value []byte, code churn.Code, turn int) []byte {
	switch code {
	case churn.CodeEmptyValue:
		return nil
	case churn.CodeMalformedJSON:
		switch turn % 3 {
		case 0: // cut off
			return value[:len(value)*2/3]
		case 1: // two records where one belongs
			return append(append(append([]byte{}, value...), '\n'), value...)
		}
		return bytes.Replace(value, []byte(`":"`), []byte(`"="`), 1)
	case churn.CodeInvalidUTF8:
		return bytes.Replace(value, []byte(`"event_id":"`), []byte("\"event_id\":\"\xff\xfe"), 1)
	case churn.CodeDuplicateKey:
		return append([]byte(`{"account_id":"acc-00000",`), value[1:]...)
	}
	ways := breakages[kind][code]
	if len(ways) == 0 {
		panic("simulate: no way to break a " + string(kind) + " with " + string(code))
	}
	way := ways[turn%len(ways)]
	return set(value, way.field, way.raw)
}

// set replaces a field of an object, or removes it where raw is empty.
func set(value []byte, field, raw string) []byte {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(value, &fields); err != nil {
		panic("simulate: breaking a record that is not good: " + err.Error())
	}
	delete(fields, field)
	if raw != "" {
		fields[field] = json.RawMessage(raw)
	}
	return mustJSON(fields)
}
