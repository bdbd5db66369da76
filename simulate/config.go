package simulate

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config says what world to make up. Shares are of 0 to 1.
type Config struct {
	Seed     uint64    // same seed and same config: same records. Defaults to 1
	Accounts int       // clients and prospects that join between From and To. Defaults to 2000
	From, To time.Time // records become known in [From, To). Default to 2024 and 2025, whole years

	HazardRatio float64 // of hard over soft, for loss and for attempts. 1: hardness has no effect. Defaults to 2.5
	ChurnRate   float64 // losses of soft contracts a year. Defaults to 0.15
	AttemptRate float64 // renegotiation attempts of soft contracts a year. Defaults to 0.5
	TicketRate  float64 // tickets that are no attempts, an account and year. Defaults to 17

	HardShare       float64 // deals negotiated hard. Defaults to 0.2. The first team's deals grow harder over time
	FirmShare       float64 // deals negotiated firmly. Defaults to 0.35
	PartialShare    float64 // deals of which a CRM recorded only what it could. Defaults to 0.1
	UnrecordedShare float64 // deals whose negotiation nobody recorded. Defaults to 0.1

	NamedShare   float64 // tickets that name their contract. Defaults to 0.35
	ForeignShare float64 // tickets that name a contract that is not their account's. Defaults to 0.02

	LateShare      float64 // facts that become known days after they occurred. Defaults to 0.05
	DuplicateShare float64 // facts that arrive twice. Defaults to 0.02
	CorrectedShare float64 // facts that first arrive wrong, and right in a later revision. Defaults to 0.02
	BrokenShare    float64 // facts of which a broken copy arrives too. Defaults to 0.005
}

// DefaultConfig returns the defaults that Config names.
func DefaultConfig() Config {
	return Config{
		Seed: 1, Accounts: 2000,
		From:        time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC),
		To:          time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		HazardRatio: 2.5, ChurnRate: 0.15, AttemptRate: 0.5, TicketRate: 17,
		HardShare: 0.2, FirmShare: 0.35, PartialShare: 0.1, UnrecordedShare: 0.1,
		NamedShare: 0.35, ForeignShare: 0.02,
		LateShare: 0.05, DuplicateShare: 0.02, CorrectedShare: 0.02, BrokenShare: 0.005,
	}
}

const maxAccounts = 1_000_000

// Validate reports everything that is wrong with the config.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Accounts >= 1 && c.Accounts <= maxAccounts, "accounts is %d, want 1 to %d", c.Accounts, maxAccounts)
	check(c.To.Sub(c.From) >= 24*time.Hour, "from %s to %s is less than a day", c.From.Format(time.RFC3339), c.To.Format(time.RFC3339))
	// Contracts run up to three years ahead, and events must lie in 1970..2200.
	check(c.From.Year() >= 1971 && c.To.Year() <= 2150, "from %s to %s is not within the years 1971 to 2150", c.From.Format(time.RFC3339), c.To.Format(time.RFC3339))
	check(c.HazardRatio > 0 && c.HazardRatio <= 100, "hazard_ratio is %v, want more than 0 and at most 100", c.HazardRatio)
	for _, rate := range []struct {
		name string
		v    float64
	}{{"churn_rate", c.ChurnRate}, {"attempt_rate", c.AttemptRate}, {"ticket_rate", c.TicketRate}} {
		check(rate.v >= 0 && rate.v <= 1000, "%s is %v a year, want 0 to 1000", rate.name, rate.v)
	}
	for _, share := range []struct {
		name string
		v    float64
	}{
		{"hard_share", c.HardShare}, {"firm_share", c.FirmShare}, {"hard_share + firm_share", c.HardShare + c.FirmShare},
		{"partial_share", c.PartialShare}, {"unrecorded_share", c.UnrecordedShare},
		{"partial_share + unrecorded_share", c.PartialShare + c.UnrecordedShare},
		{"named_share", c.NamedShare}, {"foreign_share", c.ForeignShare}, {"named_share + foreign_share", c.NamedShare + c.ForeignShare},
		{"late_share", c.LateShare}, {"duplicate_share", c.DuplicateShare}, {"corrected_share", c.CorrectedShare}, {"broken_share", c.BrokenShare},
	} {
		check(share.v >= 0 && share.v <= 1 && !math.IsNaN(share.v), "%s is %v, want 0 to 1", share.name, share.v)
	}
	if len(errs) > 0 {
		return fmt.Errorf("simulation config: %w", errors.Join(errs...))
	}
	return nil
}
