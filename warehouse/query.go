package warehouse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/shopspring/decimal"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
)

// each runs queries/name.sql and calls row for each of its rows.
func (w *Warehouse) each(ctx context.Context, name string, option clickhouse.QueryOption, row func(scan func(...any) error) error) error {
	ctx, cancel := w.within(ctx)
	defer cancel()
	rows, err := w.conn.Query(clickhouse.Context(ctx, option), query(name))
	if err != nil {
		return w.explain("running the query "+name, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return fmt.Errorf("reading a row of the query %s: %w", name, err)
		}
	}
	return w.explain("reading the rows of the query "+name, rows.Err())
}

// exec runs the statement queries/name.sql.
func (w *Warehouse) exec(ctx context.Context, name string, options ...clickhouse.QueryOption) error {
	ctx, cancel := w.within(ctx)
	defer cancel()
	return w.explain("running the statement "+name, w.conn.Exec(clickhouse.Context(ctx, options...), query(name)))
}

// What a rule's query may do is bounded: it reads, and it ends. The driver makes max_execution_time out of the deadline and
// overwrites what is set here, and a query that ends by its deadline is no overload, which one would wait out.
var (
	ruleSettings = clickhouse.Settings{"readonly": 2}
	ruleTimeout  = time.Minute
)

// Rows runs a rule's query as of an instant, which the query reads as {at:DateTime64(3, 'UTC')}.
func (w *Warehouse) Rows(ctx context.Context, text string, at time.Time) ([]alert.Row, error) {
	w.keeping.RLock()
	defer w.keeping.RUnlock()
	ctx, cancel := w.asRule(ctx, at)
	defer cancel()
	rows, err := w.conn.Query(ctx, flatten().Replace(text))
	if err != nil {
		return nil, w.explain("running the query", tooSlow(err))
	}
	defer rows.Close()
	all, err := rowsOf(rows, rows.ColumnTypes())
	return all, w.explain("reading rows", tooSlow(err))
}

// rowsOf reads what a rule's query answers, from the driver's own interface or from that of database/sql.
func rowsOf[C interface {
	Name() string
	ScanType() reflect.Type
}](rows interface {
	Next() bool
	Scan(cells ...any) error
	Err() error
}, columns []C) (all []alert.Row, err error) {
	for rows.Next() {
		cells := make([]any, len(columns))
		for i, c := range columns {
			cells[i] = reflect.New(c.ScanType()).Interface()
		}
		if err := rows.Scan(cells...); err != nil {
			return nil, err
		}
		row := make(alert.Row, len(columns))
		for i, c := range columns {
			row[c.Name()] = plain(reflect.ValueOf(cells[i]).Elem())
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// asRule bounds a query that is a rule's and tells it the instant.
func (w *Warehouse) asRule(ctx context.Context, at time.Time) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, min(ruleTimeout, w.config.QueryTimeout))
	return clickhouse.Context(ctx, clickhouse.WithSettings(ruleSettings), clickhouse.WithParameters(clickhouse.Parameters{"at": timeParameter(at)})), cancel
}

// tooSlow tells a deadline that ended the reading from a network that failed, as which the driver reports it.
func tooSlow(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("there was no answer within %s: %w", ruleTimeout, context.DeadlineExceeded)
	}
	return err
}

// plain turns what the driver scanned into the few types that alert.Row allows.
func plain(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case decimal.Decimal:
		m, err := churn.Money(x.String())
		if err != nil { // more digits than an amount has: a computed ratio, not money
			f, _ := x.Float64()
			return f
		}
		return m
	case time.Time:
		return x.UTC()
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return int64(v.Uint())
	case reflect.Float32, reflect.Float64:
		return v.Float()
	case reflect.Bool:
		return v.Bool()
	case reflect.String:
		return v.String()
	case reflect.Slice, reflect.Array:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	}
	return fmt.Sprint(v.Interface())
}

// Columns asks the server which columns a rule's query has, without running it. A mistake in the query is an error.
func (w *Warehouse) Columns(ctx context.Context, text string) ([]alert.Column, error) {
	ctx, cancel := w.within(ctx)
	defer cancel()
	ctx = clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"at": timeParameter(w.clock())}))
	// A view over the query cannot be described in a file: the query is the caller's.
	rows, err := w.conn.Query(ctx, strings.Replace(query("describe"), "-- the query --", text, 1))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var columns []alert.Column
	for rows.Next() {
		var c alert.Column
		var ignored [5]string
		if err := rows.Scan(&c.Name, &c.Type, &ignored[0], &ignored[1], &ignored[2], &ignored[3], &ignored[4]); err != nil {
			return nil, fmt.Errorf("reading the columns of a query: %w", err)
		}
		columns = append(columns, c)
	}
	return columns, rows.Err()
}

// Subjects tells what alerts say about contracts (or, without a contract id, about accounts), as known at an instant.
func (w *Warehouse) Subjects(ctx context.Context, at time.Time, keys []churn.ContractKey) (map[churn.ContractKey]alert.Subject, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	w.keeping.RLock()
	defer w.keeping.RUnlock()
	table, err := ext.NewTable("subjects", ext.Column("account_id", "String"), ext.Column("contract_id", "String"))
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if err := table.Append(k.AccountID, k.ContractID); err != nil {
			return nil, err
		}
	}
	options := func(c *clickhouse.QueryOptions) error {
		if err := clickhouse.WithExternalTable(table)(c); err != nil {
			return err
		}
		return clickhouse.WithParameters(clickhouse.Parameters{"at": timeParameter(at)})(c)
	}
	subjects := map[churn.ContractKey]alert.Subject{}
	owners := map[churn.ContractKey]churn.Owners{} // imported ones supersede what the deal said
	err = w.each(ctx, "subject_contracts", options, func(scan func(...any) error) error {
		var key churn.ContractKey
		var s alert.Subject
		c := alert.ContractBrief{Contributions: []alert.ContributionBrief{}}
		var arr *decimal.Decimal
		var band string
		var answers churn.Owners
		var components, evidence []string
		var values, points []float64
		err := scan(&key.AccountID, &key.ContractID, &s.Account.AccountName, &s.Account.Segment, &s.Account.Owner, &s.Account.Team,
			&answers.AccountExecutive, &answers.AccountManager, &c.DealID, &c.ClosedAt, &c.EndsAt, &c.Currency, &arr, &c.Hardness, &band, &c.Coverage,
			&components, &values, &points, &evidence, &c.Missing, &c.ModelVersion)
		if err != nil {
			return err
		}
		s.Account.AccountID, c.ContractID, c.Band = key.AccountID, key.ContractID, churn.Band(band)
		c.ClosedAt, c.EndsAt = c.ClosedAt.UTC(), c.EndsAt.UTC()
		if arr != nil {
			c.ARR = arr.StringFixedBank(2)
		}
		for i := range components {
			c.Contributions = append(c.Contributions, alert.ContributionBrief{Component: components[i], Points: points[i], Value: values[i], Evidence: evidence[i]})
		}
		account := churn.ContractKey{AccountID: key.AccountID}
		subjects[account] = alert.Subject{Account: s.Account, Evidence: subjects[account].Evidence}
		answers.Team = s.Account.Team
		s.Contract, owners[key] = &c, answers
		subjects[key] = s
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the contracts that alerts are about: %w", err)
	}
	err = w.each(ctx, "subject_deals", options, func(scan func(...any) error) error {
		var key churn.ContractKey
		var deal, payload string
		if err := scan(&key.AccountID, &key.ContractID, &deal, &payload); err != nil {
			return err
		}
		s := subjects[key]
		if s.Contract == nil || s.Contract.DealID != deal {
			return nil // another deal about the contract, not its base
		}
		record, err := churn.DecodeDeal([]byte(payload), time.Time{})
		if err != nil {
			return nil // accepted by a build that was less strict: an alert without a brief is better than none
		}
		record.Owners = owners[key]
		brief := alert.Handoff(&record, s.Contract.Score())
		s.Brief = &brief
		subjects[key] = s
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the deals that alerts are about: %w", err)
	}
	err = w.each(ctx, "subject_evidence", options, func(scan func(...any) error) error {
		var account, contract, strength string
		var e alert.Evidence
		if err := scan(&account, &contract, &e.TicketID, &e.Class, &strength, &e.Confidence, &e.Quote, &e.LagDays, &e.At); err != nil {
			return err
		}
		e.Strength, e.At = churn.Strength(strength), e.At.UTC()
		for _, key := range []churn.ContractKey{{AccountID: account, ContractID: contract}, {AccountID: account}} {
			s := subjects[key]
			if key.ContractID == "" && hasTicket(s.Evidence, e) {
				continue // an attempt counts once an account, however many contracts it reopens
			}
			s.Evidence = append(s.Evidence, e)
			subjects[key] = s
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the evidence of alerts: %w", err)
	}
	return subjects, nil
}

func hasTicket(all []alert.Evidence, e alert.Evidence) bool {
	for _, x := range all {
		if x.TicketID == e.TicketID && x.Class == e.Class {
			return true
		}
	}
	return false
}

// DealRecord is a deal as its newest event says it.
type DealRecord struct {
	AccountID string
	Value     []byte // the record's value, whole
}

// NewestDeals finds the present record of each deal; those that never arrived are left out.
func (w *Warehouse) NewestDeals(ctx context.Context, ids []string) (map[string]DealRecord, error) {
	table, err := ext.NewTable("wanted", ext.Column("deal_id", "String"))
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := table.Append(id); err != nil {
			return nil, err
		}
	}
	deals := make(map[string]DealRecord, len(ids))
	err = w.each(ctx, "newest_deals", clickhouse.WithExternalTable(table), func(scan func(...any) error) error {
		var id, value string
		var d DealRecord
		if err := scan(&id, &d.AccountID, &value); err != nil {
			return err
		}
		d.Value = []byte(value)
		deals[id] = d
		return nil
	})
	return deals, err
}
