package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	cell "github.com/jedib0t/go-pretty/v6/text"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/dial"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/simulate"
	"github.com/aftershock/aftershock/text"
)

// step is how often the live demo moves on and repaints.
const step = time.Second

// pulse is what the live demo measures between two paints.
type pulse struct {
	sent int // records in the last step
	lag  int64
}

// live goes on after the history in time lapse: records arrive as their time comes, consumers read them, ticks are evaluated.
func (d *demo) live(ctx context.Context, s *simulate.Simulation) error {
	return d.pipeline.Lapse(ctx, func(ctx context.Context, to pipeline.MoveOn) error { return d.lapse(ctx, s, to) })
}

func (d *demo) lapse(ctx context.Context, s *simulate.Simulation, to pipeline.MoveOn) error {
	next, stop := iter.Pull(s.Live(d.history.At))
	defer stop()
	p := broker.NewProducer(d.pipeline.Kafka)
	defer p.Close()
	record, more := next()
	for ctx.Err() == nil {
		now := d.clock().Add(time.Duration(float64(step) * float64(24*time.Hour) / float64(d.day)))
		d.now.Store(now.UnixMilli())
		before := p.Sent()
		for ; more && !record.KnownAt.After(now); record, more = next() {
			if err := p.Add(ctx, topicOf(record, d.pipeline.Kafka.Topics()), record.Key, record.Value, record.KnownAt); err != nil {
				return stopped(ctx, err)
			}
		}
		if err := p.Flush(ctx); err != nil {
			return stopped(ctx, err)
		}
		lag, err := to(ctx, now)
		if err != nil {
			return stopped(ctx, err)
		}
		beat := &pulse{sent: p.Sent() - before, lag: lag}
		if err := d.show(ctx, beat); err != nil {
			return stopped(ctx, err)
		}
		_ = dial.Sleep(ctx, step)
	}
	return nil
}

// stopped drops the errors that only say that the user ended the demo.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// show paints what a revenue-operations person wants to see: in place on a terminal, as plain lines elsewhere.
func (d *demo) show(ctx context.Context, beat *pulse) error {
	if d.asJSON && !d.onTerminal() && beat == nil && d.once {
		return nil // a program reads the last line; the screen would only be noise
	}
	top, err := d.pipeline.Warehouse.TopAccounts(ctx, d.clock(), 8)
	if err != nil {
		return err
	}
	newest, err := d.pipeline.Warehouse.NewestAlerts(ctx, 8)
	if err != nil {
		return err
	}
	counts, err := d.pipeline.Warehouse.Counts(ctx)
	if err != nil {
		return err
	}
	var b strings.Builder
	if d.onTerminal() {
		b.WriteString("\x1b[H\x1b[2J") // to the top left, on an empty screen
	}
	fmt.Fprintf(&b, "Aftershock demo  %s UTC   simulated clients: %d\n\n", d.clock().Format("2006-01-02 15:04"), d.history.Accounts)
	accounts := screenTable("ARR AT RISK, BY ACCOUNT", table.Row{"account", "owner", "at risk", "attempts", "hardness", "why"})
	for _, a := range top {
		hardness := "unknown"
		if a.Hardness != nil {
			hardness = fmt.Sprintf("%.0f", *a.Hardness)
		}
		accounts.AppendRow(table.Row{a.Name, a.Owner, fmt.Sprintf("%s %s", text.Whole(a.AtRisk), a.Currency), a.Attempts, hardness,
			cell.WrapSoft(fit(a.Why, 110), 56) + "\n" + fit("says: "+a.Quote, 56)})
	}
	b.WriteString(accounts.Render() + "\n\n")
	alerts := screenTable("NEWEST ALERTS", table.Row{"at", "state", "rule", "what"})
	for _, a := range newest {
		alerts.AppendRow(table.Row{a.At.UTC().Format("2006-01-02"), a.State, a.Rule, fit(a.Summary, 76)})
	}
	b.WriteString(alerts.Render() + "\n\n")
	fmt.Fprintf(&b, "events %d   duplicates %d   dead letters %d   deals %d (%d hard)   tickets %d   attempts %d   links %d",
		counts.Events, counts.Duplicates, counts.DeadLetters, counts.Deals, counts.HardDeals, counts.Tickets, counts.Attempts, counts.Links)
	if beat != nil {
		fmt.Fprintf(&b, "   arriving %d/s   lag %d", beat.sent, beat.lag)
	}
	b.WriteString("\n")
	_, err = fmt.Fprint(d.out, b.String())
	return err
}

func screenTable(title string, header table.Row) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options.SeparateRows = false
	t.SetTitle(title)
	t.AppendHeader(header)
	return t
}

// fit brings a text to one line of a width that a screen has room for.
func fit(s string, width int) string { return text.Fit(text.Line(s), width, "…") }
