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

// breakValue breaks a good value so that it must be refused with the code.
func breakValue(kind Kind, value []byte, code churn.Code) []byte {
	dateField, textField := "closed_at", "account_name"
	if kind == Ticket {
		dateField, textField = "opened_at", "body"
	}
	switch code {
	case churn.CodeEmptyValue:
		return nil
	case churn.CodeMalformedJSON:
		return value[:len(value)*2/3]
	case churn.CodeInvalidUTF8:
		return bytes.Replace(value, []byte(`"event_id":"`), []byte("\"event_id\":\"\xff\xfe"), 1)
	case churn.CodeDuplicateKey:
		return append([]byte(`{"account_id":"acc-00000",`), value[1:]...)
	case churn.CodeMissingField:
		return set(value, "account_id", "")
	case churn.CodeWrongType:
		return set(value, dateField, "1718031600")
	case churn.CodeBadTime:
		return set(value, dateField, `"31.12.2024 17:00"`)
	case churn.CodeTimeOutOfRange:
		return set(value, dateField, `"0224-05-06T09:00:00Z"`)
	case churn.CodeUnsupportedSchema:
		return set(value, "schema_version", "7")
	case churn.CodeTextTooLong:
		return set(value, textField, `"`+strings.Repeat("x", churn.MaxText+1)+`"`)
	case churn.CodeBadMoney:
		return set(value, "signed_price", `"1.234,56"`)
	case churn.CodeBadInterval:
		return set(value, "ends_at", `"1999-12-31T00:00:00Z"`)
	case churn.CodeBadValue:
		if kind == Ticket {
			return set(value, "comments", `[{"from":"robot","text":"ping"}]`)
		}
		return set(value, "currency", `"EURO"`)
	}
	panic("simulate: no way to break a record with " + string(code))
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
