package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/publish"
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
		err := withSchema(c, func(w *warehouse.Warehouse) error {
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
			fmt.Fprint(c.OutOrStdout(), d.Text())
		}
		return nil
	}
	return c
}
