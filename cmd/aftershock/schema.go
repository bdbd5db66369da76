package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/deploy/schemas"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema [NAME]", Short: "Print the JSON Schema of a value, or list the schemas", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				fmt.Fprintln(c.OutOrStdout(), strings.Join(schemas.Names(), "\n"))
				return nil
			}
			text, err := schemas.Read(args[0])
			if err != nil {
				return usageError{err}
			}
			_, err = c.OutOrStdout().Write(text)
			return err
		},
	}
}
