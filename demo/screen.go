package demo

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	cell "github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"github.com/aftershock/aftershock/text"
)

// show paints what a revenue-operations person wants to see: in place on a terminal, as plain lines elsewhere.
func (d *Demo) show(ctx context.Context, beat *pulse) error {
	if d.JSON && !d.onTerminal() && beat == nil && d.Once {
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
	accounts := Table("ARR AT RISK, BY ACCOUNT", table.Row{"account", "owner", "at risk", "attempts", "hardness", "why"})
	for _, a := range top {
		hardness := "unknown"
		if a.Hardness != nil {
			hardness = fmt.Sprintf("%.0f", *a.Hardness)
		}
		accounts.AppendRow(table.Row{a.Name, a.Owner, fmt.Sprintf("%s %s", text.Whole(a.AtRisk), a.Currency), a.Attempts, hardness,
			cell.WrapSoft(fit(a.Why, 110), 56) + "\n" + fit("says: "+a.Quote, 56)})
	}
	b.WriteString(accounts.Render() + "\n\n")
	alerts := Table("NEWEST ALERTS", table.Row{"at", "state", "rule", "what"})
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
	_, err = fmt.Fprint(d.Out, b.String())
	return err
}

// Table is a table with a title, as the screen has them.
func Table(title string, header table.Row) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options.SeparateRows = false
	t.SetTitle(title)
	t.AppendHeader(header)
	return t
}

// fit brings a text to one line of a width that a screen has room for.
func fit(s string, width int) string { return text.Fit(text.Line(s), width, "…") }

// onTerminal reports whether a person looks at the output.
func (d *Demo) onTerminal() bool {
	file, ok := d.Out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
