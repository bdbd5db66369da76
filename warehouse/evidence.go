package warehouse

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/churn/links"
)

// evidenceRow is a row of subject_evidence.
type evidenceRow struct {
	alert.Evidence
	of churn.ContractKey // without a contract: it reopens whatever was in force
}

var subjectEvidence = []column[evidenceRow]{
	get("account_id", texts, func(r *evidenceRow) *string { return &r.of.AccountID }),
	get("contract_id", texts, func(r *evidenceRow) *string { return &r.of.ContractID }),
	get("ticket_id", texts, func(r *evidenceRow) *string { return &r.TicketID }),
	get("class", words, func(r *evidenceRow) *string { return &r.Class }),
	get("strength", words, func(r *evidenceRow) *churn.Strength { return &r.Strength }),
	get("confidence", floats, func(r *evidenceRow) *float64 { return &r.Confidence }),
	get("quote", texts, func(r *evidenceRow) *string { return &r.Quote }),
	get("lag_days", floats, func(r *evidenceRow) *float64 { return &r.LagDays }),
	get("attempt_at", instants, func(r *evidenceRow) *time.Time { return &r.At }),
}

var subjectInForce = []column[inForce]{
	get("account_id", texts, func(r *inForce) *string { return &r.account }),
	get("contract_id", texts, func(r *inForce) *string { return &r.ContractID }),
	get("since", instants, func(r *inForce) *time.Time { return &r.Since }),
	get("till", instants, func(r *inForce) *time.Time { return &r.Till }),
	get("closed_at", instants, func(r *inForce) *time.Time { return &r.ClosedAt }),
}

// mostEvidence is what is read for a contract: one more than an alert says tells that there is more.
const mostEvidence = alert.MaxEvidence + 1

// asked is what one account asked for. What it asked of no contract in particular is held once, however many contracts that reopens.
type asked struct {
	of      map[string][]evidenceRow // of each contract, the latest first
	any     []evidenceRow            // of whatever was in force, the latest first
	inForce map[string][]links.InForce
}

// evidenceOf reads what the accounts of the subjects asked for.
func (w *Warehouse) evidenceOf(ctx context.Context, asOf clickhouse.Parameters, subjects *ext.Table) ([]*asked, error) {
	accounts := map[string]*asked{}
	of := func(id string) *asked {
		if accounts[id] == nil {
			accounts[id] = &asked{of: map[string][]evidenceRow{}, inForce: map[string][]links.InForce{}}
		}
		return accounts[id]
	}
	asOf = maps.Clone(asOf)
	asOf["most"] = strconv.Itoa(mostEvidence)
	for r, err := range each(ctx, w, "subject_evidence", subjectEvidence, asOf, subjects) {
		if err != nil {
			return nil, err
		}
		if account := of(r.of.AccountID); r.of.ContractID == "" {
			account.any = append(account.any, *r)
		} else {
			account.of[r.of.ContractID] = append(account.of[r.of.ContractID], *r)
		}
	}
	for r, err := range each(ctx, w, "subject_in_force", subjectInForce, asOf, subjects) {
		if err != nil {
			return nil, err
		}
		if account := accounts[r.account]; account != nil {
			account.inForce[r.ContractID] = append(account.inForce[r.ContractID], r.InForce)
		}
	}
	var all []*asked
	for _, id := range slices.Sorted(maps.Keys(accounts)) {
		all = append(all, accounts[id])
	}
	return all, nil
}

// each tells the latest evidence of each contract of the account, contract by contract.
func (a *asked) each(tell func(*evidenceRow)) {
	contracts := maps.Clone(a.inForce)
	for id := range a.of {
		contracts[id] = a.inForce[id]
	}
	for _, id := range slices.Sorted(maps.Keys(contracts)) {
		rows := slices.Clone(a.of[id])
		for _, f := range contracts[id] {
			rows = append(rows, a.during(f)...)
		}
		slices.SortStableFunc(rows, func(a, b evidenceRow) int {
			return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.TicketID, b.TicketID), cmp.Compare(b.Confidence, a.Confidence))
		})
		for i := range min(len(rows), mostEvidence) {
			tell(&rows[i])
		}
	}
}

// during returns the latest of what was asked of no contract in particular while one was in force, as evidence of that.
func (a *asked) during(f links.InForce) (rows []evidenceRow) {
	first, _ := slices.BinarySearchFunc(a.any, f.Till, func(r evidenceRow, till time.Time) int {
		if r.At.Before(till) {
			return 1
		}
		return -1
	})
	for _, r := range a.any[first:] {
		if r.At.Before(f.Since) || len(rows) == mostEvidence {
			break
		}
		r.of.ContractID = f.ContractID
		r.LagDays = links.Link{Lag: r.At.Sub(f.ClosedAt)}.LagDays()
		rows = append(rows, r)
	}
	return rows
}
