package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/publish"
	"github.com/aftershock/aftershock/text"
	"github.com/aftershock/aftershock/warehouse"
)

func digestCommand() *cobra.Command {
	var owner string
	var days int
	var asJSON bool
	c := &cobra.Command{
		Use: "digest", Short: "Print what an owner's digest says: new, open, over, withheld, and what nobody has taken up", Args: cobra.NoArgs,
		Long: "Digest prints for the last days what publish.digest sends for the time between two instants of its schedule. Nothing is sent.",
	}
	c.Flags().StringVar(&owner, "owner", "", "only this owner's; without it, every owner's")
	c.Flags().IntVar(&days, "days", 7, "how many days it looks back")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, as a template of a digest gets it")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if days < 1 {
			return usageError{errors.New("--days must be above zero")}
		}
		digests := []publish.Digest{}
		err := withWarehouse(c, func(w *warehouse.Warehouse) error {
			if err := w.CheckSchema(c.Context()); err != nil {
				return err
			}
			to := clock().UTC().Truncate(time.Second)
			from := to.AddDate(0, 0, -days)
			alerts, err := w.Week(c.Context(), from, to)
			for _, d := range publish.Digests(from, to, alerts) {
				if owner == "" || d.Owner == owner {
					digests = append(digests, d)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), digests)
		}
		if len(digests) == 0 {
			fmt.Fprintln(c.OutOrStdout(), "no alerts")
			return nil
		}
		for i, d := range digests {
			if i > 0 {
				fmt.Fprintln(c.OutOrStdout())
			}
			if err := writeDigest(c.OutOrStdout(), d); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

// writeDigest prints a digest for a person.
func writeDigest(w io.Writer, d publish.Digest) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Alerts of %s, %s to %s\n", text.Visible(alert.OrNobody(d.Owner)), d.From.Format(time.DateOnly), d.To.Format(time.DateOnly))
	for _, sum := range d.AtRisk {
		fmt.Fprintf(&b, "%s %s at risk\n", sum.Amount, sum.Currency)
	}
	for _, list := range []struct {
		title string
		lines []publish.DigestLine
	}{
		{"new", d.Fired}, {"open", d.Open}, {"nobody has taken up", d.Waiting}, {"over", d.Resolved}, {"not told, for it was too many at once", d.Withheld},
	} {
		fmt.Fprintf(&b, "\n%s: %d\n", list.title, len(list.lines))
		for _, l := range list.lines {
			value := ""
			if l.ValueAtRisk != nil {
				value = strings.TrimSpace(l.ValueAtRisk.Amount + " " + l.ValueAtRisk.Currency)
			}
			fmt.Fprintf(&b, "  %s  %-16s  %s%s\n", l.Fingerprint[:min(alert.Shown, len(l.Fingerprint))], value, text.Visible(l.Summary), text.Visible(alert.PrefixedUnlessEmpty(", taken up by ", l.By)))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
