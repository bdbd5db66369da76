package main

import (
	"log/slog"
	"os"
	"reflect"

	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/config"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/publish"
)

const envPrefix = "AFTERSHOCK_"

// loadConfig reads defaults, then the file, then the environment. Unknown keys are mistakes.
func loadConfig(command *cobra.Command) (pipeline.Config, error) {
	c := pipeline.DefaultConfig()
	path, err := command.Flags().GetString("config")
	if err != nil {
		return c, err
	}
	if err := config.Load(&c, configSource(path)); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil {
		return c, config.Wrong(err)
	}
	slog.SetDefault(slog.New(c.Log.Handler(os.Stderr)))
	return c, nil
}

// configSource is where the configuration is read from.
func configSource(path string) config.Source {
	return config.Source{
		Path: path, Prefix: envPrefix,
		Others: []string{"AFTERSHOCK_CONFIG", "AFTERSHOCK_ENGINE", "AFTERSHOCK_TESTDATA", "AFTERSHOCK_EMBEDDED_*"},
		Lists:  map[reflect.Type]func(string) (any, error){reflect.TypeFor[[]publish.WebhookConfig](): config.List[publish.WebhookConfig]},
	}
}

func configCommand() *cobra.Command {
	return group("config", "Look at the configuration", &cobra.Command{
		Use: "reference", Short: "Print every key, its environment variable, its default and what it means, as Markdown", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return config.Reference(c.OutOrStdout(), pipeline.DefaultConfig(), envPrefix)
		},
	})
}
