package past

import (
	"fmt"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/outcomes"
)

// Foretold is what a backtest found: what rules would have said, and whether that foretold what became of contracts.
type Foretold struct {
	*Report
	Outcomes *outcomes.Report `json:"outcomes"`

	Terms []churn.Term `json:"-"`
}

// Judge holds the alerts against what became of contracts.
func (p *Foretold) Judge(span outcomes.Span) (err error) {
	var names []string
	var alerts []outcomes.Alert
	for _, r := range p.Rules {
		names = append(names, r.Rule)
	}
	for _, a := range p.Alerts {
		// By its identity: an alert of an account names one of its contracts, but speaks of all.
		alerts = append(alerts, outcomes.Alert{Rule: a.Rule, AccountID: a.Identity["account_id"], ContractID: a.Identity["contract_id"], At: a.FiredAt})
	}
	p.Outcomes, err = span.Judge(p.Terms, names, alerts)
	return err
}

// OwnersShown is how many owners a screen has room for.
const OwnersShown = 15

func ShareText(s outcomes.Share) string {
	switch {
	case s.Of == 0:
		return ""
	case s.Share == nil:
		return fmt.Sprintf("%d of %d", s.Hits, s.Of)
	}
	return fmt.Sprintf("%d of %d: %.0f %% (%.0f to %.0f)", s.Hits, s.Of, 100**s.Share, 100**s.Low, 100**s.High)
}

func LeadText(m outcomes.Median) string {
	if m.Median == nil {
		return ""
	}
	return fmt.Sprintf("%.0f (%.0f to %.0f)", *m.Median, *m.Low, *m.High)
}
