package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/deploy/schemas"
	"github.com/aftershock/aftershock/rules"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema [NAME]", Short: "Print the JSON Schema of a value or of a rule file, or list the schemas", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			files := rules.Schemas()
			names := append(schemas.Names(), slices.Sorted(maps.Keys(files))...)
			if len(args) == 0 {
				fmt.Fprintln(c.OutOrStdout(), strings.Join(names, "\n"))
				return nil
			}
			text, known := files[strings.TrimSuffix(args[0], ".json")]
			if !known {
				var err error
				if text, err = schemas.Read(args[0]); err != nil {
					return usageError{fmt.Errorf("there is no schema %q; there are %s", args[0], strings.Join(names, ", "))}
				}
			}
			_, err := c.OutOrStdout().Write(text)
			return err
		},
	}
}
