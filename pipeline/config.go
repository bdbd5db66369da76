package pipeline

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/config"
	"github.com/aftershock/aftershock/console"
	"github.com/aftershock/aftershock/consumers"
	"github.com/aftershock/aftershock/embedded"
	"github.com/aftershock/aftershock/publish"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/warehouse"
)

// Config is the whole configuration: one file, every key also as an environment variable AFTERSHOCK_...
type Config struct {
	Kafka      broker.Config          `yaml:"kafka" envPrefix:"KAFKA_" doc:"how to reach Kafka, and its topics"`
	ClickHouse warehouse.Config       `yaml:"clickhouse" envPrefix:"CLICKHOUSE_" doc:"how to reach ClickHouse"`
	Consumers  consumers.Config       `yaml:"consumers" envPrefix:"CONSUMERS_" doc:"how records are gathered and stored"`
	Evaluate   EvaluateConfig         `yaml:"evaluate" envPrefix:"EVALUATE_" doc:"rules, and when they look"`
	Publish    publish.Config         `yaml:"publish" envPrefix:"PUBLISH_" doc:"where alerts go beside the Kafka topics"`
	Models     consumers.ModelsConfig `yaml:"models" envPrefix:"MODELS_" doc:"the models that score and classify"`
	Console    console.Config         `yaml:"console" envPrefix:"CONSOLE_" doc:"metrics and health"`
	Log        LogConfig              `yaml:"log" envPrefix:"LOG_" doc:"what is logged, and how"`
}

// EvaluateConfig says which rules are evaluated and how long a tick may wait.
type EvaluateConfig struct {
	Rules          []string      `yaml:"rules" env:"RULES" doc:"rule files or folders; empty: the built-in rules"`
	ReloadEvery    time.Duration `yaml:"reload_every" env:"RELOAD_EVERY" doc:"how often rule files are looked at for changes, which come into force without a restart; 0s: never"`
	HoldoutShare   float64       `yaml:"holdout_share" env:"HOLDOUT_SHARE" doc:"share of accounts, 0..1, whose alerts are stored and not published, so that their effect can be measured"`
	MaxWait        time.Duration `yaml:"max_wait" env:"MAX_WAIT" doc:"how long a tick waits for records that were produced before it, and then for links to follow from them; then it runs marked incomplete"`
	MaxLag         int64         `yaml:"max_lag" env:"MAX_LAG" doc:"records that consumers may be behind before a tick runs marked incomplete at once; 0: no limit"`
	UpkeepEvery    time.Duration `yaml:"upkeep_every" env:"UPKEEP_EVERY" doc:"how often links are brought up to date between ticks"`
	From           string        `yaml:"from" env:"FROM" doc:"RFC 3339 time from which a new rule group catches up; empty: from its first start"`
	TombstoneAfter time.Duration `yaml:"bury_after" env:"BURY_AFTER" doc:"how long after its resolve an alert is taken off the alert topics, with a tombstone; 0s: never"`
	Schedule       string        `yaml:"schedule" env:"SCHEDULE" doc:"cron schedule that replaces every group's own; empty: none"`
}

// LogConfig says what is logged.
type LogConfig struct {
	Level  slog.Level `yaml:"level" env:"LEVEL" doc:"debug, info, warn or error"`
	Format string     `yaml:"format" env:"FORMAT" doc:"text or json"`
}

func DefaultConfig() Config {
	return Config{
		Kafka: broker.DefaultConfig(), ClickHouse: warehouse.DefaultConfig(), Consumers: consumers.DefaultConfig(),
		Evaluate: EvaluateConfig{ReloadEvery: 5 * time.Second, MaxWait: time.Minute, UpkeepEvery: 5 * time.Second, TombstoneAfter: 30 * 24 * time.Hour},
		Publish:  publish.DefaultConfig(), Console: console.DefaultConfig(), Log: LogConfig{Format: "text"},
	}
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	errs := []error{config.Prefixed("kafka.", c.Kafka.Validate()), c.ClickHouse.Validate(), c.Consumers.Validate(), config.Prefixed("publish.", c.Publish.Validate())}
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

// On makes the pipeline use embedded servers.
func (c *Config) On(s *embedded.Servers) {
	c.Kafka.Brokers, c.ClickHouse.Addr = s.Broker.Addrs(), s.ClickHouse.Addr()
}

// Access is what Kafka must allow us to do.
func (c Config) Access() []broker.Access {
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

func (c LogConfig) Handler(w io.Writer) slog.Handler {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}
