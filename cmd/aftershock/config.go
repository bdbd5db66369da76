package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/console"
	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/publish"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/warehouse"
)

// Config is the whole configuration: one file, every key also as an environment variable AFTERSHOCK_...
type Config struct {
	Kafka      broker.Config    `yaml:"kafka" envPrefix:"KAFKA_" doc:"how to reach Kafka, and its topics"`
	ClickHouse warehouse.Config `yaml:"clickhouse" envPrefix:"CLICKHOUSE_" doc:"how to reach ClickHouse"`
	Consumers  consumers.Config `yaml:"consumers" envPrefix:"CONSUMERS_" doc:"how records are gathered and stored"`
	Evaluate   EvaluateConfig   `yaml:"evaluate" envPrefix:"EVALUATE_" doc:"rules, and when they look"`
	Publish    publish.Config   `yaml:"publish" envPrefix:"PUBLISH_" doc:"where alerts go beside the Kafka topics"`
	Models     ModelsConfig     `yaml:"models" envPrefix:"MODELS_" doc:"the models that score and classify"`
	Console    console.Config   `yaml:"console" envPrefix:"CONSOLE_" doc:"metrics and health"`
	Log        LogConfig        `yaml:"log" envPrefix:"LOG_" doc:"what is logged, and how"`
}

// EvaluateConfig says which rules are evaluated and how long a tick may wait.
type EvaluateConfig struct {
	Rules          []string      `yaml:"rules" env:"RULES" doc:"rule files or folders; empty: the built-in rules"`
	ReloadEvery    time.Duration `yaml:"reload_every" env:"RELOAD_EVERY" doc:"how often rule files are looked at for changes, which come into force without a restart; 0s: never"`
	HoldoutShare   float64       `yaml:"holdout_share" env:"HOLDOUT_SHARE" doc:"share of accounts, 0..1, whose alerts are stored and not published, so that their effect can be measured"`
	MaxWait        time.Duration `yaml:"max_wait" env:"MAX_WAIT" doc:"how long a tick waits for records that were produced before it; then it runs marked incomplete"`
	MaxLag         int64         `yaml:"max_lag" env:"MAX_LAG" doc:"records that consumers may be behind before a tick runs marked incomplete at once; 0: no limit"`
	UpkeepEvery    time.Duration `yaml:"upkeep_every" env:"UPKEEP_EVERY" doc:"how often links are brought up to date between ticks"`
	From           string        `yaml:"from" env:"FROM" doc:"RFC 3339 time from which a new rule group catches up; empty: from its first start"`
	TombstoneAfter time.Duration `yaml:"bury_after" env:"BURY_AFTER" doc:"how long after its resolve an alert is taken off the alert topics, with a tombstone; 0s: never"`
	Schedule       string        `yaml:"schedule" env:"SCHEDULE" doc:"cron schedule that replaces every group's own; empty: none"`
}

// ModelsConfig names the model files in force.
type ModelsConfig struct {
	Hardness   string `yaml:"hardness" env:"HARDNESS" doc:"hardness model file; empty: the built-in one"`
	Classifier string `yaml:"classifier" env:"CLASSIFIER" doc:"classifier model file; empty: the built-in one"`
}

// LogConfig says what is logged.
type LogConfig struct {
	Level  slog.Level `yaml:"level" env:"LEVEL" doc:"debug, info, warn or error"`
	Format string     `yaml:"format" env:"FORMAT" doc:"text or json"`
}

func defaultConfig() Config {
	return Config{
		Kafka: broker.DefaultConfig(), ClickHouse: warehouse.DefaultConfig(), Consumers: consumers.DefaultConfig(),
		Evaluate: EvaluateConfig{ReloadEvery: 5 * time.Second, MaxWait: time.Minute, UpkeepEvery: 5 * time.Second, TombstoneAfter: 30 * 24 * time.Hour},
		Publish:  publish.DefaultConfig(), Console: console.DefaultConfig(), Log: LogConfig{Format: "text"},
	}
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	errs := []error{prefixed("kafka.", c.Kafka.Validate()), c.ClickHouse.Validate(), c.Consumers.Validate(), prefixed("publish.", c.Publish.Validate())}
	if !(c.Evaluate.HoldoutShare >= 0 && c.Evaluate.HoldoutShare <= 1) { // so that NaN is refused too
		errs = append(errs, fmt.Errorf("evaluate.holdout_share: %v is not between 0 and 1", c.Evaluate.HoldoutShare))
	}
	if c.Evaluate.MaxWait <= 0 || c.Evaluate.UpkeepEvery <= 0 {
		errs = append(errs, errors.New("evaluate.max_wait and evaluate.upkeep_every must be above zero"))
	}
	if c.Evaluate.ReloadEvery < 0 {
		errs = append(errs, errors.New("evaluate.reload_every must not be below zero"))
	}
	if c.Evaluate.TombstoneAfter < 0 {
		errs = append(errs, errors.New("evaluate.bury_after must not be below zero"))
	}
	if _, err := c.Evaluate.from(); err != nil {
		errs = append(errs, err)
	}
	if c.Evaluate.Schedule != "" {
		if _, err := rules.ParseSchedule(c.Evaluate.Schedule, time.UTC); err != nil {
			errs = append(errs, fmt.Errorf("evaluate.schedule: %w", err))
		}
	}
	if c.Publish.Digest.Schedule != "" {
		if _, err := digestSchedule(c.Publish.Digest); err != nil {
			errs = append(errs, err)
		}
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		errs = append(errs, fmt.Errorf("log.format: %q is neither text nor json", c.Log.Format))
	}
	return errors.Join(errs...)
}

// access is what Kafka must allow us to do.
func (c Config) access() []broker.Access {
	return c.Kafka.Topics.Access(c.Consumers.Group, c.Consumers.ControlGroup)
}

func (c EvaluateConfig) from() (time.Time, error) {
	if c.From == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, c.From)
	if err != nil {
		return t, fmt.Errorf("evaluate.from: %q is not an RFC 3339 time such as 2026-01-31T00:00:00Z", c.From)
	}
	return t, nil
}

const envPrefix = "AFTERSHOCK_"

// loadConfig reads defaults, then the file, then the environment. Unknown keys are mistakes.
func loadConfig(command *cobra.Command) (Config, error) {
	c := defaultConfig()
	path, err := command.Flags().GetString("config")
	if err != nil {
		return c, err
	}
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("reading the configuration: %w", err)
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict(), yaml.CustomUnmarshaler(unmarshalLevel))
		if err := decoder.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
			return c, fmt.Errorf("reading the configuration: %w\nTry: aftershock config reference, which lists every key", placed(path, err))
		}
	}
	if err := env.ParseWithOptions(&c, env.Options{Prefix: envPrefix, FuncMap: map[reflect.Type]env.ParserFunc{
		reflect.TypeFor[[]publish.WebhookConfig](): readWebhooks,
	}}); err != nil {
		return c, fmt.Errorf("reading the configuration from the environment: %w\nTry: aftershock config reference, which lists every key", named(c, err))
	}
	if err := unknownVariables(os.Environ()); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("the configuration is wrong:\n%w\nTry: aftershock config reference, which lists every key", err)
	}
	slog.SetDefault(slog.New(c.Log.handler(os.Stderr)))
	return c, nil
}

// readWebhooks reads a list as it stands in a file, or as JSON.
func readWebhooks(text string) (any, error) {
	var list []publish.WebhookConfig
	err := yaml.NewDecoder(strings.NewReader(text), yaml.Strict()).Decode(&list)
	var mistake yaml.Error
	if errors.As(err, &mistake) { // its own message shows the text, and a secret may be in it
		err = errors.New(mistake.GetMessage())
	}
	return list, err
}

// placed says where in the file a mistake is. YAML's own message shows the lines around it, and a password may be on one.
func placed(path string, err error) error {
	var mistake yaml.Error
	if !errors.As(err, &mistake) || mistake.GetToken() == nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	at := mistake.GetToken().Position
	return fmt.Errorf("%s:%d:%d: %s", path, at.Line, at.Column, mistake.GetMessage())
}

// named says which variable holds a value that cannot be read: the parser knows only the field.
func named(c Config, err error) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	var errs []error
	for _, e := range all.Errors {
		var mistake env.ParseError
		if !errors.As(e, &mistake) {
			errs = append(errs, e)
			continue
		}
		var variables []string
		for _, k := range keys(c) {
			if _, set := os.LookupEnv(k.env); set && k.field == mistake.Name {
				variables = append(variables, k.env)
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", strings.Join(variables, " or "), mistake.Err))
	}
	return errors.Join(errs...)
}

// prefixed puts the section's name before every line of what is wrong with it.
func prefixed(section string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(section + strings.ReplaceAll(err.Error(), "\n", "\n"+section))
}

func unmarshalLevel(level *slog.Level, text []byte) error {
	return level.UnmarshalText(bytes.Trim(bytes.TrimSpace(text), `"'`))
}

func (c LogConfig) handler(w io.Writer) slog.Handler {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// others are the variables AFTERSHOCK_... that are no keys of the configuration.
var others = []string{"AFTERSHOCK_CONFIG", "AFTERSHOCK_ENGINE", "AFTERSHOCK_TESTDATA"}

// unknownVariables refuses a misspelt variable, which would otherwise change nothing without a word.
func unknownVariables(environment []string) error {
	known := map[string]bool{}
	for _, k := range keys(defaultConfig()) {
		known[k.env] = true
	}
	for _, name := range others {
		known[name] = true
	}
	var errs []error
	for _, pair := range environment {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, envPrefix) && !known[name] && !strings.HasPrefix(name, "AFTERSHOCK_EMBEDDED_") {
			errs = append(errs, fmt.Errorf("%s is no key of the configuration", name))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("reading the configuration from the environment: %w\nTry: aftershock config reference, which lists every key", errors.Join(errs...))
	}
	return nil
}

// key is one key of the configuration, as its documentation lists it.
type key struct{ path, env, field, value, doc string }

// keys walks the configuration's types, so that no key can be undocumented.
func keys(c Config) []key { return keysOf(reflect.ValueOf(c), "", envPrefix) }

func keysOf(v reflect.Value, path, prefix string) []key {
	var all []key
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := path + f.Tag.Get("yaml")
		if f.Type.Kind() == reflect.Struct {
			all = append(all, keysOf(v.Field(i), name+".", prefix+f.Tag.Get("envPrefix"))...)
			continue
		}
		value := fmt.Sprint(v.Field(i).Interface())
		if list, ok := v.Field(i).Interface().([]string); ok {
			value = strings.Join(list, ",")
		}
		all = append(all, key{name, prefix + f.Tag.Get("env"), f.Name, value, f.Tag.Get("doc")})
	}
	return all
}

func configCommand() *cobra.Command {
	return group("config", "Look at the configuration", &cobra.Command{
		Use: "reference", Short: "Print every key, its environment variable, its default and what it means, as Markdown", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return writeConfigReference(c.OutOrStdout()) },
	})
}

func writeConfigReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| key | environment | default | meaning |\n|---|---|---|---|\n")
	for _, k := range keys(defaultConfig()) {
		value := ""
		if k.value != "" {
			value = "`" + k.value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", k.path, k.env, value, k.doc)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
