package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// Subjects returns what alerts say about contracts (or, without a contract id, about accounts), as known at an instant.
func (w *Warehouse) Subjects(ctx context.Context, at time.Time, keys []churn.ContractKey) (map[churn.ContractKey]alert.Subject, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	w.keeping.RLock()
	defer w.keeping.RUnlock()
	table, err := along("subjects", keys, func(k churn.ContractKey) []any { return []any{k.AccountID, k.ContractID} },
		ext.Column("account_id", "String"), ext.Column("contract_id", "String"))
	if err != nil {
		return nil, err
	}
	s := subjects{of: map[churn.ContractKey]alert.Subject{}, owners: map[churn.ContractKey]churn.Owners{}, counted: map[ticketOf]bool{}}
	asOf := clickhouse.Parameters{"at": timeParameter(at)}
	for r, err := range each(ctx, w, "subject_contracts", subjectContract, asOf, table) {
		if err != nil {
			return nil, fmt.Errorf("reading the contracts that alerts are about: %w", err)
		}
		s.contract(r)
	}
	for r, err := range each(ctx, w, "subject_deals", subjectDeal, asOf, table) {
		if err != nil {
			return nil, fmt.Errorf("reading the deals that alerts are about: %w", err)
		}
		s.deal(r)
	}
	asked, err := w.evidenceOf(ctx, asOf, table)
	if err != nil {
		return nil, fmt.Errorf("reading the evidence of alerts: %w", err)
	}
	for _, account := range asked {
		account.each(s.evidence)
	}
	return s.of, nil
}

// subjects are gathered from the answers of several queries.
type subjects struct {
	of     map[churn.ContractKey]alert.Subject
	owners map[churn.ContractKey]churn.Owners // imported ones supersede what the deal said

	counted map[ticketOf]bool
}

// contractRow is a row of subject_contracts.
type contractRow struct {
	account  alert.AccountBrief
	owners   churn.Owners
	contract alert.ContractBrief
}

var subjectContract = []column[contractRow]{
	get("account_id", texts, func(r *contractRow) *string { return &r.account.AccountID }),
	get("contract_id", texts, func(r *contractRow) *string { return &r.contract.ContractID }),
	get("account_name", texts, func(r *contractRow) *string { return &r.account.AccountName }),
	get("segment", words, func(r *contractRow) *string { return &r.account.Segment }),
	get("owner", texts, func(r *contractRow) *string { return &r.account.Owner }),
	get("team", texts, func(r *contractRow) *string { return &r.account.Team }),
	get("account_executive", texts, func(r *contractRow) *string { return &r.owners.AccountExecutive }),
	get("account_manager", texts, func(r *contractRow) *string { return &r.owners.AccountManager }),
	get("deal_id", texts, func(r *contractRow) *string { return &r.contract.DealID }),
	get("closed_at", instants, func(r *contractRow) *time.Time { return &r.contract.ClosedAt }),
	get("ends_at", instants, func(r *contractRow) *time.Time { return &r.contract.EndsAt }),
	get("currency", words, func(r *contractRow) *string { return &r.contract.Currency }),
	get("arr", amounts, func(r *contractRow) *string { return &r.contract.ARR }),
	get("hardness", floatsOrNull, func(r *contractRow) **float64 { return &r.contract.Hardness }),
	get("band", words, func(r *contractRow) *churn.Band { return &r.contract.Band }),
	get("coverage", floats, func(r *contractRow) *float64 { return &r.contract.Coverage }),
	getEach("components", words, briefs, func(c *alert.ContributionBrief) *string { return &c.Component }),
	getEach("component_values", floats, briefs, func(c *alert.ContributionBrief) *float64 { return &c.Value }),
	getEach("component_points", floats, briefs, func(c *alert.ContributionBrief) *float64 { return &c.Points }),
	getEach("component_evidence", texts, briefs, func(c *alert.ContributionBrief) *string { return &c.Evidence }),
	getEach("missing", words, func(r *contractRow) *[]string { return &r.contract.Missing }, theSame),
	get("model_version", words, func(r *contractRow) *string { return &r.contract.ModelVersion }),
}

func briefs(r *contractRow) *[]alert.ContributionBrief { return &r.contract.Contributions }

func (s *subjects) contract(r *contractRow) {
	c := &r.contract
	if c.Contributions == nil {
		c.Contributions = []alert.ContributionBrief{}
	}
	if c.Missing == nil {
		c.Missing = []string{}
	}
	r.owners.Team = r.account.Team
	account := churn.ContractKey{AccountID: r.account.AccountID}
	key := churn.ContractKey{AccountID: r.account.AccountID, ContractID: c.ContractID}
	s.of[account] = alert.Subject{Account: r.account, Evidence: s.of[account].Evidence}
	s.of[key] = alert.Subject{Account: r.account, Contract: c}
	s.owners[key] = r.owners
}

// dealRow is a row of subject_deals.
type dealRow struct {
	of      churn.ContractKey
	deal    string
	payload []byte
}

var subjectDeal = []column[dealRow]{
	get("account_id", texts, func(r *dealRow) *string { return &r.of.AccountID }),
	get("contract_id", texts, func(r *dealRow) *string { return &r.of.ContractID }),
	get("deal_id", texts, func(r *dealRow) *string { return &r.deal }),
	get("payload", blobs, func(r *dealRow) *[]byte { return &r.payload }),
}

func (s *subjects) deal(r *dealRow) {
	subject := s.of[r.of]
	if subject.Contract == nil || subject.Contract.DealID != r.deal {
		return // another deal of the contract, not its base
	}
	record, err := churn.DecodeDeal(r.payload, time.Time{})
	if err != nil {
		return // accepted by a build that was less strict: an alert without a brief is better than none
	}
	record.Owners = s.owners[r.of]
	brief := alert.Handoff(&record, subject.Contract.Score())
	subject.Brief = &brief
	s.of[r.of] = subject
}

func (s *subjects) evidence(r *evidenceRow) {
	ticket := ticketOf{r.of.AccountID, r.TicketID, r.Class}
	for _, key := range []churn.ContractKey{r.of, {AccountID: r.of.AccountID}} {
		subject := s.of[key]
		if key.ContractID == "" {
			if s.counted[ticket] {
				continue // an attempt counts once for the account, however many contracts it reopens
			}
			s.counted[ticket] = true
		}
		subject.Evidence = append(subject.Evidence, r.Evidence)
		s.of[key] = subject
	}
}

// ticketOf is what evidence is told apart by within an account.
type ticketOf struct{ account, ticket, class string }
