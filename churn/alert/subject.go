package alert

import (
	"time"

	"github.com/aftershock/aftershock/churn"
)

// Score is the hardness that an alert carries, as Handoff reads it.
func (c *ContractBrief) Score() churn.Hardness {
	h := churn.Hardness{Band: c.Band, Coverage: c.Coverage, Missing: c.Missing, ModelVersion: c.ModelVersion}
	if c.Hardness != nil {
		h.Score = *c.Hardness
	}
	for _, part := range c.Contributions {
		h.Contributions = append(h.Contributions, churn.Contribution{Component: part.Component, Value: part.Value, Points: part.Points, Evidence: part.Evidence})
	}
	return h
}

// Subject is what an alert says about the contract (or, without ContractID, the account) that it concerns, as known at an instant.
type Subject struct {
	Account  AccountBrief
	Contract *ContractBrief
	Evidence []Evidence
	Brief    *HandoffBrief // of the contract's base; nil where the alert is about an account
}

// AccountBrief is the `account` of Alert v1.
type AccountBrief struct {
	AccountID   string `json:"account_id"`
	AccountName string `json:"account_name,omitempty"`
	Segment     string `json:"segment,omitempty"`
	Owner       string `json:"owner,omitempty"`
	Team        string `json:"team,omitempty"`
}

// ContractBrief is the `contract` of Alert v1. Money is a decimal string in Currency.
type ContractBrief struct {
	ContractID    string              `json:"contract_id"`
	DealID        string              `json:"deal_id"`
	ClosedAt      time.Time           `json:"closed_at"`
	EndsAt        time.Time           `json:"ends_at"`
	Currency      string              `json:"currency,omitempty"`
	ARR           string              `json:"arr,omitempty"`
	Hardness      *float64            `json:"hardness"` // null where the band is unknown
	Band          churn.Band          `json:"band"`
	Coverage      float64             `json:"coverage"`
	Contributions []ContributionBrief `json:"contributions"`
	Missing       []string            `json:"missing"`
	ModelVersion  string              `json:"model_version"`
}

// ContributionBrief is one contribution to a hardness score as alerts carry it.
type ContributionBrief struct {
	Component string  `json:"component"`
	Points    float64 `json:"points"`
	Value     float64 `json:"value"`
	Evidence  string  `json:"evidence"`
}

// Evidence is one ticket behind an alert.
type Evidence struct {
	TicketID   string         `json:"ticket_id"`
	Class      string         `json:"class"`
	Strength   churn.Strength `json:"strength"`
	Confidence float64        `json:"confidence"`
	Quote      string         `json:"quote"`
	LagDays    float64        `json:"lag_days"`
	At         time.Time      `json:"at"`
}
