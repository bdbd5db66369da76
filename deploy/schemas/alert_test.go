package schemas

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/churn/attempts"
)

// TestAlertSchemaAgreesWithTheType: the same fields, and those that are always written are required.
func TestAlertSchemaAgreesWithTheType(t *testing.T) {
	_, document := load(t, "alert.v1")
	var walk func(path string, of reflect.Type, node map[string]any)
	walk = func(path string, of reflect.Type, node map[string]any) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			if of.Kind() == reflect.Slice {
				node = node["items"].(map[string]any)
			}
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || of == reflect.TypeFor[time.Time]() {
			return
		}
		properties := node["properties"].(map[string]any)
		required, _ := node["required"].([]any)
		if len(properties) != of.NumField() {
			t.Errorf("%s: the schema has %d fields, the type %d", path, len(properties), of.NumField())
		}
		for i := range of.NumField() {
			name, options, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			property, ok := properties[name].(map[string]any)
			if !ok {
				t.Errorf("%s%s is not in the schema", path, name)
				continue
			}
			if always := !strings.Contains(options, "omitempty"); always != slices.Contains(required, any(name)) {
				t.Errorf("%s%s: always written %v, required in the schema %v", path, name, always, !always)
			}
			walk(path+name+".", of.Field(i).Type, property)
		}
	}
	walk("", reflect.TypeFor[alert.Alert](), document)
}

func TestAnAlertAsItIsWritten(t *testing.T) {
	schema, _ := load(t, "alert.v1")
	at := time.Date(2026, 3, 1, 8, 5, 0, 123e6, time.UTC)
	score := 71.5
	fingerprint := alert.Fingerprint("EarlyRenegotiation", map[string]string{"account_id": "A-17"})
	got := alert.Alert{
		SchemaVersion: alert.SchemaVersion, TransitionID: alert.TransitionID(fingerprint, 1, 1), Fingerprint: fingerprint, Episode: 1, Sequence: 1,
		Status: alert.Firing, Reason: "condition_met", Rule: "EarlyRenegotiation", Severity: "warning", Arm: alert.Treatment, StartsAt: at, EvaluatedAt: at,
		Labels: map[string]string{}, Annotations: map[string]string{"summary": "x"}, Account: &alert.AccountBrief{AccountID: "A-17"},
		Contract:    &alert.ContractBrief{ContractID: "C", DealID: "D", Band: churn.BandHard, Hardness: &score},
		Evidence:    []alert.Evidence{{TicketID: "T", Class: attempts.ClassDowngrade, Strength: churn.Strong, Confidence: 1, At: at}},
		ValueAtRisk: &alert.Value{Amount: "60000", Currency: "EUR"},
	}
	brief := alert.Handoff(&churn.DealClosed{AccountID: "A-17", ClosedAt: at}, churn.Hardness{Band: churn.BandUnknown})
	got.Brief = &brief
	if err := schema.Validate(parse(t, write(t, got))); err != nil {
		t.Error(err)
	}
	got.Status = alert.Resolved
	if err := schema.Validate(parse(t, write(t, got))); err == nil {
		t.Error("a resolved alert without resolved_at was accepted")
	}
	got.ResolvedAt, got.Account, got.Contract, got.ValueAtRisk = &at, nil, nil, nil
	if err := schema.Validate(parse(t, write(t, got))); err != nil {
		t.Error(err)
	}
}
