package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/warehouse"
)

func deliveriesCommand() *cobra.Command {
	return group("deliveries", "List what was delivered where, and send again what a destination refused", deliveriesList(), deliveriesResend())
}

func deliveriesList() *cobra.Command {
	f, asJSON := warehouse.DeliveryFilter{}, false
	c := &cobra.Command{Use: "list", Short: "List deliveries, the latest first, with what the destination answered", Args: cobra.NoArgs}
	c.Flags().BoolVar(&f.Refused, "refused", false, "only what the destination refused for good")
	c.Flags().StringVar(&f.Destination, "destination", "", "only to this one, such as kafka or 'webhook chat'")
	c.Flags().IntVar(&f.Limit, "limit", 100, "at most so many; 0: all")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = withDeliveries(&f, func(c *cobra.Command, _ *warehouse.Warehouse, found []warehouse.FoundDelivery) error {
		if asJSON {
			return writeJSON(c.OutOrStdout(), append([]warehouse.FoundDelivery{}, found...))
		}
		t := table.NewWriter()
		t.AppendHeader(table.Row{"transition", "destination", "at", "outcome", "rule", "account", "superseded", "answer"})
		for _, d := range found {
			t.AppendRow(table.Row{d.ID, d.Destination, d.At.Format(time.RFC3339), d.Outcome, d.Rule, shown(d.AccountID, 40), d.Superseded, shown(d.Detail, 100)})
		}
		fmt.Fprintln(c.OutOrStdout(), t.Render())
		return nil
	})
	return c
}

func deliveriesResend() *cobra.Command {
	f, everything := warehouse.DeliveryFilter{Refused: true}, false
	c := &cobra.Command{
		Use: "resend [TRANSITION...]", Short: "Have refused deliveries tried again, once what they were refused for is mended",
		Long: "Resend has the process that leads try again, within half a minute, to deliver these transitions to those who refused them. What a later\ntransition of the same alert superseded is not sent: the destination has the later one.",
	}
	c.Flags().BoolVar(&everything, "all", false, "everything that was refused")
	c.Flags().StringVar(&f.Destination, "destination", "", "only to this one")
	resend := withDeliveries(&f, func(c *cobra.Command, w *warehouse.Warehouse, found []warehouse.FoundDelivery) error {
		if len(found) == 0 && !everything {
			return errors.New("nothing of that was refused: `aftershock deliveries list --refused` lists what was")
		}
		fmt.Fprintf(c.OutOrStdout(), "%d deliveries will be tried again\n", len(found))
		return w.SendAgain(c.Context(), found)
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		if f.IDs = args; everything == (len(args) > 0) {
			return usageError{errors.New("give either transitions or --all")}
		}
		return resend(c, args)
	}
	return c
}

// withDeliveries runs a command on the deliveries that are found.
func withDeliveries(f *warehouse.DeliveryFilter, do func(*cobra.Command, *warehouse.Warehouse, []warehouse.FoundDelivery) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		return withSchema(c, func(w *warehouse.Warehouse) error {
			found, err := w.Deliveries(c.Context(), *f)
			if err != nil {
				return err
			}
			return do(c, w, found)
		})
	}
}
