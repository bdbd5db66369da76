package schemas

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/rules"
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
	walk("", reflect.TypeFor[rules.Alert](), document)
}

func TestAnAlertAsItIsWritten(t *testing.T) {
	schema, _ := load(t, "alert.v1")
	at := time.Date(2026, 3, 1, 8, 5, 0, 123e6, time.UTC)
	score := 71.5
	fingerprint := churn.Fingerprint("EarlyRenegotiation", map[string]string{"account_id": "A-17"})
	alert := rules.Alert{
		SchemaVersion: rules.AlertSchemaVersion, TransitionID: churn.TransitionID(fingerprint, 1, 1), Fingerprint: fingerprint, Episode: 1, Sequence: 1,
		Status: churn.Firing, Reason: "condition_met", Rule: "EarlyRenegotiation", Severity: "warning", Arm: churn.Treatment, StartsAt: at, EvaluatedAt: at,
		Labels: map[string]string{}, Annotations: map[string]string{"summary": "x"}, Account: &churn.AccountBrief{AccountID: "A-17"},
		Contract:    &churn.ContractBrief{ContractID: "C", DealID: "D", Band: churn.BandHard, Hardness: &score},
		Evidence:    []churn.Evidence{{TicketID: "T", Class: churn.ClassDowngrade, Strength: churn.Strong, Confidence: 1, At: at}},
		ValueAtRisk: &rules.AlertValue{Amount: "60000", Currency: "EUR"},
	}
	brief := churn.Handoff(&churn.DealClosed{AccountID: "A-17", ClosedAt: at}, churn.Hardness{Band: churn.BandUnknown})
	alert.Brief = &brief
	if err := schema.Validate(parse(t, write(t, alert))); err != nil {
		t.Error(err)
	}
	alert.Status = churn.Resolved
	if err := schema.Validate(parse(t, write(t, alert))); err == nil {
		t.Error("a resolved alert without resolved_at was accepted")
	}
	alert.ResolvedAt, alert.Account, alert.Contract, alert.ValueAtRisk = &at, nil, nil, nil
	if err := schema.Validate(parse(t, write(t, alert))); err != nil {
		t.Error(err)
	}
}
