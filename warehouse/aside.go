package warehouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// SetAside returns the accounts whose links are no longer brought up to date. The caller does not change them.
func (l *Links) SetAside() map[string]bool {
	if accounts := l.aside.Load(); accounts != nil {
		return *accounts
	}
	return nil
}

// openAside reads which accounts were set aside, and links those that are no longer too large: the bounds may have been raised.
func (l *Links) openAside(ctx context.Context) error {
	stored, err := find(ctx, l, "set_aside", asideRows.columns, nil)
	if err != nil {
		return fmt.Errorf("reading which accounts are set aside: %w", err)
	}
	accounts := map[string]bool{}
	for _, a := range stored {
		accounts[a.account] = true
	}
	l.aside.Store(&accounts)
	if len(accounts) == 0 {
		return nil
	}
	all := slices.Sorted(maps.Keys(accounts))
	names := stringArray(all)
	_, err = l.renew(ctx, step{
		accounts: all, whole: all,
		parameters: clickhouse.Parameters{"accounts": names, "whole": names, "deals": stringArray(nil), "tickets": stringArray(nil)},
	})
	return err
}

// setAside notes which accounts of a step are too large, and says so when they come to be and when they no longer are.
func (l *Links) setAside(ctx context.Context, s step, large []aside) error {
	was, is := l.SetAside(), map[string]bool{}
	maps.Copy(is, was)
	for _, account := range s.accounts {
		delete(is, account)
	}
	for i := range large {
		is[large[i].account], large[i].since = true, l.warehouse.clock()
	}
	if maps.Equal(was, is) {
		return nil
	}
	sent, err := asideRows.native(large)
	if err == nil {
		err = l.write(ctx, "upkeep_set_aside", nil, s.parameters, clickhouse.Parameters{"set_aside": sent})
	}
	if err != nil {
		return fmt.Errorf("noting that accounts are set aside: %w", err)
	}
	for _, account := range s.accounts {
		switch {
		case is[account] && !was[account]:
			slog.Error("an account is set aside, for it has more deals or attempts than there is a bound for: its links stay as they are and its alerts hold, while all others go on; see the view set_aside_accounts",
				"account", account, "max_account_deals", l.warehouse.config.MaxAccountDeals, "max_account_attempts", l.warehouse.config.MaxAccountAttempts)
		case was[account] && !is[account]:
			slog.Info("an account is no longer set aside: it is linked again", "account", account)
		}
	}
	l.aside.Store(&is)
	return nil
}

// aside is a row of set_aside_accounts.
type aside struct {
	account         string
	since           time.Time
	deals, attempts uint64
}

var asideRows = table[aside]{"set_aside", []column[aside]{
	both("account_id", texts, func(a *aside) *string { return &a.account }),
	both("since", instants, func(a *aside) *time.Time { return &a.since }),
	both("deals", uint64s, func(a *aside) *uint64 { return &a.deals }),
	both("attempts", uint64s, func(a *aside) *uint64 { return &a.attempts }),
}}

// largeAccount is a row of large_accounts.
var largeAccount = []column[aside]{asideRows.columns[0], asideRows.columns[2], asideRows.columns[3]}

// CheckAccounts returns an error that names the accounts that are set aside.
func (w *Warehouse) CheckAccounts(ctx context.Context) error {
	stored, err := all(ctx, w, "set_aside", asideRows.columns, nil)
	if err != nil {
		return fmt.Errorf("reading which accounts are set aside: %w", err)
	}
	const most = 10
	var errs []error
	for _, a := range stored[:min(len(stored), most)] {
		errs = append(errs, fmt.Errorf("%q is set aside since %s, with %d deals and %d attempts: its links are no longer brought up to date and its alerts hold; find out what falls into it, or raise clickhouse.max_account_deals (%d) or clickhouse.max_account_attempts (%d)",
			a.account, a.since.Format(time.RFC3339), a.deals, a.attempts, w.config.MaxAccountDeals, w.config.MaxAccountAttempts))
	}
	if more := len(stored) - most; more > 0 {
		errs = append(errs, fmt.Errorf("and %d more: see the view set_aside_accounts", more))
	}
	return errors.Join(errs...)
}
