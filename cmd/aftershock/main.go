// Command aftershock is an early-warning pipeline for customer churn. See README.md, or `aftershock --help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/embedded"
)

func main() {
	embedded.ChildMain() // returns at once, but in the child process that is the embedded ClickHouse
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

// clock is what commands hand on to the parts; none looks at another one.
var clock = time.Now

// Exit codes: 1 for a failure, 2 for a command line that makes no sense.
const (
	exitFailure = 1
	exitUsage   = 2
)

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "aftershock:", err)
	var usage usageError
	if errors.As(err, &usage) || isCobraUsage(err) {
		fmt.Fprintf(os.Stderr, "Try: %s --help\n", command.CommandPath())
		return exitUsage
	}
	return exitFailure
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

// isCobraUsage recognises the errors that cobra itself raises about commands, flags and arguments; it gives them no type.
func isCobraUsage(err error) bool {
	for _, prefix := range []string{"unknown command", "unknown flag", "unknown shorthand flag", "required flag", "accepts ", "requires at least", "flag needs an argument", "invalid argument"} {
		if strings.HasPrefix(err.Error(), prefix) {
			return true
		}
	}
	return false
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "aftershock",
		Short: "Early warning of churn: links hard-negotiated contracts with later attempts to renegotiate them",
		Long: `Aftershock reads closed deals and support tickets from Kafka, scores how hard each deal was negotiated, recognises
renegotiation attempts, links them to the contracts they reopen, and publishes alerts on schedules.

Start with: aftershock demo`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentFlags().String("config", os.Getenv("AFTERSHOCK_CONFIG"), "configuration file (AFTERSHOCK_CONFIG); every key is also an environment variable")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		demoCommand(), sandboxCommand(), runCommand(), migrateCommand(), topicsCommand(), importCommand(), simulateCommand(),
		rulesCommand(), alertsCommand(), deliveriesCommand(), deadletterCommand(), scoreCommand(), classifyCommand(), doctorCommand(), schemaCommand(), configCommand(),
	)
	return root
}

// group makes a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())}
			}
			return usageError{fmt.Errorf("%q needs one of its commands", c.CommandPath())}
		},
	}
	c.AddCommand(commands...)
	return c
}
